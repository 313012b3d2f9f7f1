package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"offhook/internal/config"
	"offhook/internal/contacts"
	"offhook/internal/demo"
	"offhook/internal/headless"
	"offhook/ui"
)

// uiCommand is offhook without a subcommand.
type uiCommand struct{}

func (*uiCommand) Run(ctx context.Context, common *Common, _ *streams) error {
	paths, err := common.paths()
	if err != nil {
		return err
	}
	settings, err := config.Load(paths.Config)
	if errors.Is(err, fs.ErrNotExist) && common.ConfigFile == "" {
		return ui.Welcome(ctx, ui.Config{Welcome: welcome(paths.Config)})
	}
	if err != nil {
		return err
	}
	return showUI(ctx, common, settings, paths, []string{
		"Type /msg WHO TEXT to write to somebody, /help for keys and commands.",
	})
}

// welcome is what somebody sees who has no configuration yet.
func welcome(path string) []string {
	return []string{
		"offhook has no account yet.",
		"",
		"  offhook demo          try it: a server and robots to talk to, all on this machine",
		"  offhook config init   write a commented configuration to " + path,
		"  offhook --help        everything else",
	}
}

// showUI runs the UI on an account.
func showUI(ctx context.Context, common *Common, settings config.Config, paths config.Paths, hints []string) error {
	log, trace, err := common.files(settings.Log, paths.State)
	if err != nil {
		return err
	}
	instance, err := headless.NewInstance(headless.Options{
		Config: settings, Paths: paths, Version: version, Log: log, Trace: trace, Sound: soundOf(settings.Audio, log), Alone: true,
	})
	if errors.Is(err, headless.ErrInUse) {
		return fmt.Errorf("this profile is %w; use --profile for another account, `offhook ctl` to control it", err)
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-instance.Quit():
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := instance.Start(ctx); err != nil {
		return errors.Join(err, instance.Close())
	}
	err = ui.Run(ctx, ui.Config{
		Endpoint: instance.Endpoint, Env: instance.Env, History: instance.History, Contacts: instance.Env.Contacts,
		Welcome: hints, Notify: settings.UI.Notifications, NoMouse: !settings.UI.Mouse, Logger: log,
	})
	return errors.Join(err, instance.Close())
}

// demoCommand is offhook demo.
type demoCommand struct{}

func (*demoCommand) Run(ctx context.Context, common *Common, _ *streams) error {
	state := common.StateDir
	if state == "" {
		temporary, err := os.MkdirTemp("", "offhook-demo-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temporary)
		state = temporary
	}
	paths, err := config.ProfilePaths("", state)
	if err != nil {
		return err
	}
	settings := config.Default()
	log, _, err := (&Common{Log: common.Log, LogLevel: common.LogLevel}).files(settings.Log, paths.State)
	if err != nil {
		return err
	}
	world, err := demo.Start(ctx, demo.Config{StateDir: filepath.Join(state, "server"), Logger: log.With("host", "demo")})
	if err != nil {
		return err
	}
	settings.Account.AOR, settings.Account.Server = world.AOR, world.Server
	settings.Account.DisplayName, settings.Account.Listen = "Alice", "127.0.0.1:0"
	if err = introduce(paths.Contacts, demo.People()); err == nil {
		err = showUI(ctx, common, settings, paths, world.Hints)
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(err, world.Close(closing))
}

// introduce puts people into an address book that is still empty.
func introduce(path string, people []contacts.Contact) error {
	book, err := contacts.Open(path)
	if err != nil || len(book.All()) > 0 {
		return err
	}
	for _, c := range people {
		if _, err := book.Add(c); err != nil {
			return err
		}
	}
	return nil
}

// headlessCommand is offhook headless. A flag that is given overrides the configuration.
type headlessCommand struct {
	AOR             string        `name:"aor" placeholder:"URI" help:"Address of record: sip:alice@example.org."`
	PasswordCommand string        `xor:"password" placeholder:"CMD" help:"Shell command that prints the password."`
	PasswordFile    string        `xor:"password" placeholder:"FILE" help:"File with the password; only you may be able to read it."`
	Server          string        `placeholder:"URI" help:"Outbound proxy and registrar: sip:127.0.0.1:5060;transport=udp (or tcp, tls)."`
	Listen          string        `placeholder:"HOST:PORT" help:"Local address for SIP; port 0 picks one."`
	Instance        string        `placeholder:"URN" help:"This endpoint's instance id, urn:uuid:…; by default kept in the state directory."`
	DeviceName      string        `placeholder:"NAME" help:"What the user's other devices call this one."`
	NoRegister      bool          `help:"Place and accept calls without a registrar."`
	NoPublish       bool          `help:"Do not publish or use device state."`
	ToastTimeout    time.Duration `placeholder:"10s" help:"Accept window of a forked message."`
	Mic             string        `placeholder:"DEVICE" help:"What is sent: device, silence, tone:HZ, file:PATH.wav (,loop appended repeats it), or a device's name."`
	Speaker         string        `placeholder:"DEVICE" help:"Where received audio goes: device, discard, file:PATH.wav, or a device's name."`
	MediaListen     string        `placeholder:"HOST:PORT" help:"Local address for RTP; port 0 picks one, FIRST-LAST is a range."`
	Answer          string        `placeholder:"HOW" enum:",manual,auto" default:"" help:"Audio calls wait (manual) or are answered at once (auto)."`
	Codecs          []string      `placeholder:"LIST" help:"Codecs to offer and accept, best first: opus,g722,pcmu,pcma."`
	ParkServer      string        `placeholder:"URI" help:"Park service: sip:park@example.org, which is the default for that domain, or off."`
	ParkStrategy    string        `placeholder:"HOW" enum:",auto,rfc5359,asterisk,attended" default:"" help:"How to park: rfc5359, asterisk or attended; auto finds out."`
	SRTP            string        `name:"srtp" placeholder:"HOW" enum:",off,opportunistic,required" default:"" help:"Encryption of media: off, opportunistic or required."`
}

func (c *headlessCommand) Run(ctx context.Context, common *Common, s *streams) error {
	paths, err := common.paths()
	if err != nil {
		return err
	}
	settings, err := config.Load(paths.Config)
	if errors.Is(err, fs.ErrNotExist) && common.ConfigFile == "" && c.AOR != "" {
		settings, err = config.Default(), nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return config.Problems{{File: paths.Config, Text: "no such file; give --aor, or write one with `offhook config init`"}}
	}
	if err != nil {
		return err
	}
	c.override(&settings)
	if err := settings.Check(); err != nil {
		return err
	}
	log, trace, err := common.files(settings.Log, paths.State)
	if err != nil {
		return err
	}
	instance, err := headless.NewInstance(headless.Options{
		Config: settings, Paths: paths, Version: version, Log: log, Trace: trace, Sound: soundOf(settings.Audio, log),
	})
	if err != nil {
		return err
	}
	return headless.Run(ctx, instance, s.in, s.out)
}

// override applies the flags that were given.
func (c *headlessCommand) override(settings *config.Config) {
	a, audio := &settings.Account, &settings.Audio
	for _, f := range []struct {
		flag  string
		value *string
	}{
		{c.AOR, &a.AOR},
		{c.Server, &a.Server},
		{c.Listen, &a.Listen},
		{c.Instance, &a.Instance},
		{c.DeviceName, &a.DeviceName},
		{deviceFlag(c.Mic), &audio.Capture},
		{deviceFlag(c.Speaker), &audio.Playback},
		{c.MediaListen, &audio.MediaListen},
		{c.Answer, &audio.Answer},
		{c.SRTP, &audio.SRTP},
		{c.ParkServer, &settings.Park.Server},
		{c.ParkStrategy, &settings.Park.Strategy},
	} {
		if f.flag != "" {
			*f.value = f.flag
		}
	}
	if c.PasswordCommand != "" || c.PasswordFile != "" {
		a.PasswordCommand, a.PasswordFile, a.Keyring = c.PasswordCommand, c.PasswordFile, false
	}
	if len(c.Codecs) > 0 {
		settings.Audio.Codecs = c.Codecs
	}
	if c.NoRegister {
		a.Register = false
	}
	if c.NoPublish {
		settings.Presence.Publish = false
	}
	if c.ToastTimeout != 0 {
		settings.IM.ToastTimeout.Duration = c.ToastTimeout
	}
}

// deviceFlag translates the word for the sound card, which a configuration calls the default device.
func deviceFlag(name string) string {
	if name == "device" {
		return "default"
	}
	return name
}
