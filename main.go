// Offhook is a softphone and instant-messaging client for people who live in a terminal.
//
// This package holds the command line: subcommands and flags, and how the parts are joined for each of them. What the
// program does is elsewhere: ui and internal/headless are the two front ends, session is what both of them show,
// server and internal/demo what one command can start on loopback. Flags override the configuration file, which overrides
// the defaults.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/alecthomas/kong"

	"offhook/internal/config"
	"offhook/internal/headless"
	"offhook/internal/sipua"
	"offhook/session"
)

// version is that of the next release.
const version = "0.1.0-dev"

// Exit codes.
const (
	exitFailed        = 1
	exitUsage         = 2
	exitConfig        = 3
	exitNotRegistered = 4
	exitInterrupted   = 130
)

// commandLine is all subcommands and flags.
type commandLine struct {
	Common

	UI       uiCommand       `cmd:"" default:"1" hidden:"" help:"The terminal UI."`
	Demo     demoCommand     `cmd:"" help:"The UI with everything it needs on loopback: a server, and robots to talk to."`
	Server   serverCommand   `cmd:"" help:"The embedded server alone: registrar, forking proxy, presence, stored messages."`
	Headless headlessCommand `cmd:"" help:"One endpoint without a UI: JSON-RPC 2.0, one object a line, on stdin and stdout."`
	Ctl      ctlCommand      `cmd:"" help:"Call a running instance over its control socket."`
	Devices  devicesCommand  `cmd:"" help:"The audio devices, one a line."`
	Config   struct {
		Check checkCommand `cmd:"" help:"Validate a configuration: file, line, what is wrong, what is accepted."`
		Init  initCommand  `cmd:"" help:"Write a commented configuration where it belongs, never over an existing one."`
	} `cmd:"" help:"Check the configuration, or write a first one."`
	Version versionCommand `cmd:"" help:"Version, Go version, codecs and audio backends compiled in."`
}

// Common is the flags of every subcommand.
type Common struct {
	ConfigFile string `name:"config" placeholder:"FILE" help:"Configuration file."`
	Profile    string `placeholder:"NAME" help:"Profile: its own settings, state, history and control socket."`
	StateDir   string `placeholder:"DIR" help:"Directory for history, instance id and control socket."`
	Log        string `placeholder:"FILE" help:"Log file; the log never goes to the terminal."`
	LogLevel   string `placeholder:"LEVEL" enum:",debug,info,warn,error" default:"" help:"Least severe log entries: debug, info, warn or error."`
	SIPTrace   string `name:"sip-trace" placeholder:"FILE" help:"Write every SIP message to FILE, without credentials."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// streams are what a subcommand reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// run runs the program and returns its exit code.
func run(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	var line commandLine
	exited := -1
	parser := newParser(&line, kong.Writers(out, errs), kong.Exit(func(code int) { exited = code }))
	parsed, err := parser.Parse(args)
	if exited >= 0 { // --help
		return exited
	}
	if err != nil {
		fmt.Fprintf(errs, "offhook: %v\n", err)
		return exitUsage
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	return exitCode(parsed.Run(&line.Common, &streams{in, out, errs}), errs)
}

// newParser understands arguments. The manual and the shells' completion are made from what it knows.
func newParser(line *commandLine, options ...kong.Option) *kong.Kong {
	return kong.Must(line, append(options, kong.Name("offhook"), kong.UsageOnError(),
		kong.Description("A softphone and instant-messaging client for the terminal. Without a subcommand: the terminal UI."))...)
}

// errUsage is wrapped by what is wrong with the arguments and the parser cannot see.
var errUsage = errors.New("wrong usage")

// exitCode reports err and returns the exit code it stands for.
func exitCode(err error, errs io.Writer) int {
	var problems config.Problems
	var refused *headless.Error
	switch {
	case err == nil:
		return 0
	case errors.Is(err, headless.ErrInterrupted), errors.Is(err, context.Canceled):
		return exitInterrupted
	}
	fmt.Fprintf(errs, "offhook: %v\n", err)
	if hint := hintOf(err); hint != "" {
		fmt.Fprintf(errs, "hint: %s\n", hint)
	}
	switch {
	case errors.Is(err, errInvalid):
		return exitFailed
	case errors.As(err, &problems):
		return exitConfig
	case errors.Is(err, headless.ErrNotRegistered):
		return exitNotRegistered
	case errors.Is(err, errUsage), errors.As(err, &refused) && refused.Usage():
		return exitUsage
	default:
		return exitFailed
	}
}

func hintOf(err error) string {
	var refused *headless.Error
	var known *session.Error
	switch {
	case errors.As(err, &refused):
		return refused.Hint()
	case errors.As(err, &known):
		return known.Hint()
	default:
		return ""
	}
}

// paths are the profile's.
func (c *Common) paths() (config.Paths, error) {
	p, err := config.ProfilePaths(c.Profile, c.StateDir)
	if err != nil {
		return p, fmt.Errorf("%w: %w", errUsage, err)
	}
	if c.ConfigFile != "" {
		p.Config = c.ConfigFile
	}
	return p, nil
}

// files opens the log and the trace.
func (c *Common) files(settings config.Log, state string) (*slog.Logger, func(sipua.TraceEvent), error) {
	path := settings.File
	if path == "" {
		path = filepath.Join(state, "offhook.log")
	}
	if c.Log != "" {
		path = c.Log
	}
	var level slog.Level
	if c.LogLevel != "" {
		settings.Level = c.LogLevel
	}
	if err := level.UnmarshalText([]byte(settings.Level)); err != nil {
		return nil, nil, err
	}
	file, err := appendTo(path)
	if err != nil {
		return nil, nil, fmt.Errorf("log: %w", err)
	}
	log := slog.New(slog.NewTextHandler(file, &slog.HandlerOptions{Level: level}))
	if c.SIPTrace == "" {
		return log, nil, nil
	}
	trace, err := appendTo(c.SIPTrace)
	if err != nil {
		return nil, nil, fmt.Errorf("SIP trace: %w", err)
	}
	return log, headless.Trace(trace), nil
}

// appendTo opens a file that lives as long as the process. What is in it is nobody else's business.
func appendTo(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}
