package command

import (
	"context"

	"offhook/session"
)

func programCommands() []Command {
	return []Command{
		{
			Method:  "status",
			Summary: "account, calls and health",
			Forms:   []Form{{Name: "status"}},
			run:     immediate(status),
		}, {
			Method:  "quit",
			Summary: "end calls, sign out and end the program",
			Forms:   []Form{{Name: "quit", Aliases: []string{"exit", "q"}}},
			run: immediate(func(ctx context.Context, e *Env, _ none) (any, error) {
				return none{}, e.Quit(ctx)
			}),
		},
	}
}

// statusResult is the result of status.
type statusResult struct {
	Version string                  `json:"version"`
	Account session.Account         `json:"account"`
	Calls   []session.CallInfo      `json:"calls"`
	Health  []session.HealthChanged `json:"health"`
}

func status(_ context.Context, e *Env, _ none) (any, error) {
	s := e.Endpoint.Snapshot()
	s.Account.Devices = list(s.Account.Devices)
	return statusResult{Version: e.Version, Account: s.Account, Calls: list(s.Calls), Health: list(s.Health)}, nil
}

// windowCommands are the UI's own.
func windowCommands() []Command {
	window := func(summary string, f Form) Command { return Command{Summary: summary, Forms: []Form{f}} }
	return []Command{
		window("open a conversation", Form{Name: "query", Args: []Arg{
			{Param: "to", Show: "WHO", Kind: Who}, {Param: "text", Show: "TEXT", Rest: true, Optional: true},
		}}),
		window("go to a window by number or name, or next and previous", Form{Name: "win", Args: []Arg{
			{Param: "window", Show: "N|NAME|next|+1|-1", Kind: Who},
		}}),
		window("choose microphone, speaker and ringers, see their levels; or switch what is done to the microphone's sound", Form{
			Name: "device", Aliases: []string{"devices"}, Args: []Arg{
				{Param: "stage", Show: "echo|noise|gain", Kind: Choice, Choices: []string{"echo", "noise", "gain"}, Optional: true},
				{Param: "switch", Show: "on|off", Kind: Choice, Choices: []string{"on", "off"}, Optional: true},
			},
		}),
		window("the contact list", Form{Name: "contacts"}),
		window("go to the first unread line", Form{Name: "unread"}),
		window("the log of this session", Form{Name: "log"}),
		window("draw the screen anew", Form{Name: "redraw"}),
		window("keys and commands", Form{Name: "help", Aliases: []string{"h", "?"}, Args: []Arg{
			{Param: "topic", Show: "COMMAND", Kind: Name, Optional: true},
		}}),
	}
}
