package headless

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"offhook/internal/command"
	"offhook/internal/config"
	"offhook/internal/contacts"
	"offhook/internal/history"
	"offhook/internal/media"
	"offhook/internal/sdp"
	"offhook/internal/sipua"
	"offhook/session"
)

const (
	// closeTime bounds ending calls and the registration, with a server that does not answer.
	closeTime = 5 * time.Second
	// maxInstances bounds how many instances of one profile run side by side.
	maxInstances = 64
)

// Options of an Instance.
type Options struct {
	Config  config.Config
	Paths   config.Paths
	Version string
	Log     *slog.Logger
	Trace   func(sipua.TraceEvent)
	// Sound makes what calls sound like. health takes what is wrong with it; it may be called from any goroutine. Nil is
	// an instance without audio calls.
	Sound func(health func(session.HealthChanged)) (Sound, error)
	// Alone refuses to run beside another instance of the profile. Otherwise a further one is another device with a
	// state of its own.
	Alone bool
}

// Sound is the audio of an instance: that of the calls, and the devices.
type Sound interface {
	media.Engine
	command.Audio
	// Run makes sound until ctx ends or the Sound is closed.
	Run(ctx context.Context) error
	Close() error
}

// Instance is a signed-in account with all that belongs to it, whatever front end shows it.
type Instance struct {
	// Immutable.
	Endpoint *session.Endpoint
	Env      *command.Env
	History  *history.Store
	Paths    config.Paths // as they are used, which may be those of a further instance
	log      *slog.Logger
	lock     *Lock
	socket   *Socket
	recorder *history.Recorder
	sound    Sound // nil without
	// unregistered tells that the account does without a registrar.
	unregistered bool

	quit     chan struct{} // closed when a client has asked to quit and the endpoint is closed
	quitOnce sync.Once
	built    chan struct{}  // closed when Endpoint is there
	work     sync.WaitGroup // recorder, socket and sound

	// Set by Start.
	cancel     context.CancelFunc // ends work
	stopSound  context.CancelFunc // ends the sound
	stopSocket context.CancelFunc // ends the socket
}

// NewInstance puts an instance together. Nothing is on the network until Start; the history is being opened meanwhile.
func NewInstance(o Options) (*Instance, error) {
	if o.Config.Account.AOR == "" {
		return nil, config.Problems{{File: o.Config.Path, Text: "account.aor is missing: your address, sip:user@domain"}}
	}
	paths, lock, err := takeState(o.Paths, o.Alone)
	if err != nil {
		return nil, err
	}
	i := &Instance{Paths: paths, lock: lock, log: o.Log, unregistered: !o.Config.Account.Register, quit: make(chan struct{}), built: make(chan struct{})}
	if err := i.build(o); err != nil {
		return nil, errors.Join(err, i.closeSound(), i.release())
	}
	return i, nil
}

// takeState finds the state directory for this instance and locks it.
func takeState(paths config.Paths, alone bool) (config.Paths, *Lock, error) {
	lock, err := TakeLock(paths.State)
	if alone || !errors.Is(err, ErrInUse) {
		return paths, lock, err
	}
	for n := 2; n <= maxInstances; n++ {
		further := paths.Another(n)
		if lock, err = TakeLock(further.State); !errors.Is(err, ErrInUse) {
			return further, lock, err
		}
	}
	return paths, nil, fmt.Errorf("%d instances of this profile are running; end some, or use --state-dir", maxInstances)
}

func (i *Instance) build(o Options) error {
	account := o.Config.Account
	if account.Instance == "" {
		id, err := config.InstanceID(i.Paths.Instance)
		if err != nil {
			return fmt.Errorf("instance id: %w", err)
		}
		account.Instance = id
	}
	book, err := contacts.Open(i.Paths.Contacts)
	if err != nil {
		return fmt.Errorf("contacts: %w", err)
	}
	i.History = history.Open(i.Paths.History, account.AOR, o.Log)
	cfg := sessionConfig(o, account)
	cfg.Journal, cfg.Parks = i.History, i.History
	i.Env = &command.Env{Contacts: book, History: i.History, Version: o.Version, Quit: i.signOut}
	if o.Sound != nil {
		if i.sound, err = o.Sound(i.soundHealth); err != nil {
			return err
		}
		cfg.Media, i.Env.Audio = i.sound, i.sound
	}
	if i.Env.Recordings = o.Config.Audio.RecordingDir; i.Env.Recordings == "" {
		i.Env.Recordings = filepath.Join(i.Paths.State, "recordings")
	}
	i.Endpoint, err = session.New(cfg)
	if err != nil {
		return err
	}
	i.Env.Endpoint = i.Endpoint
	close(i.built)
	i.recorder = history.NewRecorder(i.History, i.Endpoint, i.historyHealth, o.Log)
	i.socket, err = Listen(i.Paths.Socket, i.Env, o.Log)
	if err != nil { // the program is worth having without
		o.Log.Error("no control socket", "path", i.Paths.Socket, "error", err)
	}
	return nil
}

// policies are what the words of audio.srtp mean.
var policies = map[string]sdp.Policy{"off": sdp.Off, "opportunistic": sdp.Opportunistic, "required": sdp.Required}

// sessionConfig is the endpoint's view of the configuration.
func sessionConfig(o Options, account config.Account) session.Config {
	cfg := session.Config{
		AOR: account.AOR, DisplayName: account.DisplayName, Instance: account.Instance, DeviceName: account.DeviceName,
		Server: account.Server, NoRegister: !account.Register,
		NoPublish: !o.Config.Presence.Publish, HideIdle: o.Config.Presence.HideIdle,
		ToastTimeout: o.Config.IM.ToastTimeout.Duration,
		Encryption:   policies[o.Config.Audio.SRTP], AutoAnswer: o.Config.Audio.Answer == "auto",
		Park:   parkSettings(o.Config.Park),
		Logger: o.Log, Trace: o.Trace, UserAgent: "offhook/" + o.Version, RootCAs: o.Config.TLS.CAFiles,
	}
	if cfg.DeviceName == "" {
		host, _ := os.Hostname()
		cfg.DeviceName, _, _ = strings.Cut(host, ".")
	}
	if account.Listen != "" {
		cfg.Listen = Listeners(account.Listen)
	}
	if account.HasPassword() {
		cfg.Credentials = func(ctx context.Context) (string, sipua.Secret, error) {
			password, err := account.Password(ctx)
			return user(account), sipua.Secret(password), err
		}
	}
	return cfg
}

// parkSettings is the session's view of how to park.
func parkSettings(c config.Park) session.ParkSettings {
	return session.ParkSettings{
		Server: c.Server, Strategy: c.Strategy, Extension: c.Extension, SlotURI: c.SlotURI, RetrieveURI: c.RetrieveURI, Orbits: c.Orbits,
	}
}

// user is the name for authentication.
func user(a config.Account) string {
	if a.User != "" {
		return a.User
	}
	_, rest, _ := strings.Cut(a.AOR, ":")
	name, _, _ := strings.Cut(rest, "@")
	return name
}

// historyHealth reports how the recorder does.
func (i *Instance) historyHealth(err error) {
	h := session.HealthChanged{Code: "history", Severity: "error", Text: "history is written again", Cleared: err == nil}
	if err != nil {
		h.Text = err.Error()
	}
	i.Endpoint.SetHealth(h)
}

// soundHealth reports what is wrong with the sound. What happens before there is an endpoint is told again when a call
// needs the devices.
func (i *Instance) soundHealth(h session.HealthChanged) {
	select {
	case <-i.built:
		i.Endpoint.SetHealth(h)
	default:
	}
}

// runSound runs the sound until ctx ends. Calls go on without it, and so does all else.
func (i *Instance) runSound(ctx context.Context) {
	if err := i.sound.Run(ctx); err != nil && ctx.Err() == nil {
		i.log.Error("sound", "error", err)
		i.soundHealth(session.HealthChanged{Code: "sound", Severity: "error", Text: err.Error()})
	}
}

// Start signs in and serves the control socket.
func (i *Instance) Start(ctx context.Context) error {
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	i.cancel = cancel
	if err := i.Endpoint.Start(background); err != nil {
		return err
	}
	i.work.Go(func() { i.recorder.Run(background) })
	if i.sound != nil {
		sounding, stop := context.WithCancel(background)
		i.stopSound = stop
		i.work.Go(func() { i.runSound(sounding) })
	}
	if i.socket != nil {
		serving, stop := context.WithCancel(background)
		i.stopSocket = stop
		i.work.Go(func() { i.socket.Serve(serving) })
	}
	i.Env.WatchContacts()
	return nil
}

// signOut is what `quit` does: the front end ends the program once Quit is closed.
func (i *Instance) signOut(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, closeTime)
	defer cancel()
	err := i.Endpoint.Close(ctx)
	i.quitOnce.Do(func() { close(i.quit) })
	return err
}

// Quit is closed when a client has asked to quit.
func (i *Instance) Quit() <-chan struct{} { return i.quit }

// Close ends calls and registration, writes what is left of the history and waits for everything. It takes little more
// than five seconds even if the server is dead.
func (i *Instance) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	err := i.Endpoint.Close(ctx)
	if i.cancel != nil {
		// The recorder ends by itself when it has written everything; a disk that refuses must not keep the program.
		defer time.AfterFunc(lastWords, i.cancel).Stop()
		defer i.cancel()
	}
	if i.stopSocket != nil {
		i.stopSocket()
	}
	if i.stopSound != nil {
		i.stopSound()
	}
	err = errors.Join(err, i.closeSound())
	i.work.Wait()
	i.Env.Wait()
	return errors.Join(err, i.release())
}

// closeSound gives the devices back.
func (i *Instance) closeSound() error {
	if i.sound == nil {
		return nil
	}
	return i.sound.Close()
}

// release gives back what NewInstance took, besides the sound.
func (i *Instance) release() error {
	var err error
	if i.History != nil {
		err = i.History.Close()
	}
	return errors.Join(err, i.lock.Release())
}
