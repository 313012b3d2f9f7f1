package command

import (
	"context"
	"slices"
)

// Command is one row of the table.
type Command struct {
	Method  string // JSON-RPC name, e.g. "im.send"; "" for what only the UI can do
	Summary string // one line of help, without a full stop
	Params  []Param
	Forms   []Form // how it is typed; none for what is not typed

	run runFunc
}

// Param is one accepted parameter of a method.
type Param struct {
	Name     string
	Type     Type
	Required bool
	Help     string
}

// Type of a parameter, as JSON calls it.
type Type string

// Types of parameters.
const (
	String  Type = "string"
	Boolean Type = "boolean"
	Integer Type = "integer"
	Strings Type = "array of strings"
)

// Form is one way to type a command.
type Form struct {
	Name    string   // without the slash: msg
	Aliases []string // other names, not completed
	Args    []Arg
	Preset  map[string]any // parameters that the form decides
	Focus   Focus          // the parameter that comes from the window it is typed in
	Summary string         // overrides the command's
}

// Arg is one word of a form.
type Arg struct {
	Param    string // the parameter it becomes
	Show     string // in the usage: WHO
	Kind     Kind
	Optional bool
	Rest     bool     // takes the rest of the line as it is
	List     bool     // takes all further words as a list
	Choices  []string // of a Choice; of other kinds words that are accepted besides
	// Other is the parameter of a word of another sort: of WhoOrCall the one for a call, else one that a word of Choices
	// sets to true.
	Other string
}

// Kind of a word, for completion.
type Kind int

// Kinds of words.
const (
	Word Kind = iota
	Who       // a contact, a peer, an address
	File
	Choice    // one of Arg.Choices
	Name      // the name of a command
	Call      // a live call
	WhoOrCall // Who, or a live call, which becomes the argument's Other parameter
	Microphone
	Speaker
	Orbit      // where a call is parked; where it is optional, a word that is no number is not one
	FreeOrbit  // where none is, likewise
	WhoOrGroup // Who, or a group of contacts
)

// Focus names what a command typed in a window applies to.
type Focus int

// What a form takes from the window it is typed in.
const (
	NoFocus        Focus = iota
	OnConversation       // unless the line names somebody
	OnCall               // the call that is offered, else the session of messages
	OnAudio              // the audio call
	OnAnyCall            // the audio call, else the session
	OnToast
)

// Operation is the part of a command that waits for the network.
type Operation func(context.Context) (any, error)

// runFunc begins a command. A nil Operation means that result is the final one; otherwise result is what is known at
// once.
type runFunc func(ctx context.Context, env *Env, raw params) (result any, wait Operation, err error)

// Table returns all commands, in the order in which help shows them.
func Table() []Command {
	return slices.Concat(messageCommands(), callCommands(), audioCallCommands(), parkCommands(), audioCommands(), toastCommands(), presenceCommands(), contactCommands(),
		historyCommands(), programCommands(), windowCommands())
}

// Find returns the command of a method.
func Find(method string) (Command, bool) {
	for _, c := range Table() {
		if c.Method == method && method != "" {
			return c, true
		}
	}
	return Command{}, false
}

// FindForm returns the command that is typed as name, and the form.
func FindForm(name string) (Command, Form, bool) {
	for _, c := range Table() {
		for _, f := range c.Forms {
			if f.Name == name || slices.Contains(f.Aliases, name) {
				return c, f, true
			}
		}
	}
	return Command{}, Form{}, false
}

// Usage is the form as help shows it: /msg WHO TEXT.
func (f Form) Usage() string {
	usage := "/" + f.Name
	for _, a := range f.Args {
		show := a.Show
		if a.List {
			show += "…"
		}
		if a.Optional {
			show = "[" + show + "]"
		}
		usage += " " + show
	}
	return usage
}

// Help is the sentence that explains the form.
func (c Command) Help(f Form) string {
	if f.Summary != "" {
		return f.Summary
	}
	return c.Summary
}

// immediate makes the runFunc of a command that is done when it returns.
func immediate[P any](run func(context.Context, *Env, P) (any, error)) runFunc {
	return func(ctx context.Context, env *Env, raw params) (any, Operation, error) {
		var p P
		if err := raw.decode(&p); err != nil {
			return nil, nil, err
		}
		result, err := run(ctx, env, p)
		return result, nil, err
	}
}

// waiting makes the runFunc of a command with an Operation.
func waiting[P any](begin func(*Env, P) (any, Operation, error)) runFunc {
	return func(_ context.Context, env *Env, raw params) (any, Operation, error) {
		var p P
		if err := raw.decode(&p); err != nil {
			return nil, nil, err
		}
		return begin(env, p)
	}
}

// none is the parameters, or the result, of a command that has none.
type none struct{}
