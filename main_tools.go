package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"runtime"
	"strings"
	"time"

	"offhook/internal/config"
	"offhook/internal/headless"
	"offhook/internal/sipua"
	"offhook/server"
)

// serverCommand is offhook server.
type serverCommand struct {
	Listen    string `default:"127.0.0.1:5060" placeholder:"HOST:PORT" help:"Address for UDP and TCP; port 0 picks one."`
	TLSListen string `name:"tls-listen" placeholder:"HOST:PORT" help:"Address for TLS; needs --tls-cert and --tls-key."`
	TLSCert   string `name:"tls-cert" placeholder:"FILE" help:"PEM file with the server's certificate."`
	TLSKey    string `name:"tls-key" placeholder:"FILE" help:"PEM file with the certificate's key."`
	Domain    string `placeholder:"DOMAIN" help:"The domain it serves; by default the host it listens on."`
	Users     string `xor:"who" placeholder:"FILE" help:"File with the users."`
	Open      bool   `xor:"who" help:"Anybody on loopback may register; refused on other addresses."`

	NoPark           bool          `name:"no-park" help:"No call park."`
	Orbits           string        `default:"701-720" placeholder:"FIRST-LAST" help:"The numbers of call park, 701-720 by default."`
	ParkTimeout      time.Duration `default:"90s" placeholder:"DURATION" help:"How long a call is parked before it rings back at who parked it: 10s to 10m, 90s by default."`
	RingFor          time.Duration `default:"30s" placeholder:"DURATION" help:"How long it rings back, 30s by default."`
	RingbackAttempts int           `default:"2" placeholder:"N" help:"How often it rings back, 2 by default."`
	Fallback         string        `placeholder:"URI" help:"User who has the call when nobody wanted it; without one the caller is told and hung up on."`
	Quarantine       time.Duration `default:"30s" placeholder:"DURATION" help:"How long a number rests before another call is parked on it, 30s by default; 0s for not at all."`
	MOH              string        `name:"moh" placeholder:"FILE" help:"Music on hold, a WAV file of at most five minutes; without one the program makes some."`
}

// ready is the line that tells that the server serves.
type ready struct {
	Ready  bool     `json:"ready"`
	SIP    []string `json:"sip"`
	Domain string   `json:"domain"`
	Park   string   `json:"park,omitempty"`
	Orbits string   `json:"orbits,omitempty"`
}

// park is what the flags say of call park.
func (c *serverCommand) park() (*server.ParkConfig, error) {
	for flag, d := range map[string]time.Duration{"park-timeout": c.ParkTimeout, "ring-for": c.RingFor} {
		if d <= 0 { // where a duration that is not given means the default
			return nil, fmt.Errorf("%w: --%s: %v is not a time to wait", errUsage, flag, d)
		}
	}
	if c.Quarantine < 0 || c.RingbackAttempts < 1 {
		return nil, fmt.Errorf("%w: --quarantine cannot be less than 0s, nor --ringback-attempts less than 1", errUsage)
	}
	cfg := &server.ParkConfig{
		Off: c.NoPark, Orbits: c.Orbits, Timeout: c.ParkTimeout, Quarantine: c.Quarantine, Attempts: c.RingbackAttempts,
		RingFor: c.RingFor, Fallback: c.Fallback, MusicFile: c.MOH,
	}
	if c.Quarantine == 0 {
		cfg.Quarantine = -1
	}
	return cfg, nil
}

func (c *serverCommand) Run(ctx context.Context, common *Common, s *streams) error {
	if c.Users == "" && !c.Open {
		return fmt.Errorf("%w: give --users FILE, or --open to let anybody on loopback register", errUsage)
	}
	if _, err := net.ResolveUDPAddr("udp", c.Listen); err != nil {
		return fmt.Errorf("%w: --listen: %w; expected host:port, e.g. 127.0.0.1:5060", errUsage, err)
	}
	park, err := c.park()
	if err != nil {
		return err
	}
	paths, err := common.paths()
	if err != nil {
		return err
	}
	log, trace, err := common.files(config.Default().Log, paths.State)
	if err != nil {
		return err
	}
	cfg := server.Config{
		Listen: headless.Listeners(c.Listen), Domain: c.Domain, Users: c.Users, Open: c.Open,
		StateDir: paths.State, Logger: log, Trace: trace, Park: park,
	}
	if c.TLSListen != "" {
		certificate, err := tlsConfig(c.TLSCert, c.TLSKey)
		if err != nil {
			return fmt.Errorf("%w: %w", errUsage, err)
		}
		cfg.TLS = certificate
		cfg.Listen = append(cfg.Listen, sipua.Listener{Network: "tls", Address: c.TLSListen})
	}
	srv, err := server.New(cfg)
	if err != nil { // nothing has been opened: a setting is refused
		return config.Problems{{Text: err.Error()}}
	}
	if err := srv.Start(ctx); err != nil {
		return err
	}
	if err := json.NewEncoder(s.out).Encode(ready{true, srv.Addrs(), srv.Domain(), srv.Park(), srv.Orbits()}); err != nil {
		return err
	}
	<-ctx.Done()
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := srv.Close(closing); err != nil {
		return err
	}
	return headless.ErrInterrupted
}

// ctlCommand is offhook ctl.
type ctlCommand struct {
	Follow bool     `help:"Print events, one JSON object a line, until interrupted."`
	Args   []string `arg:"" optional:"" name:"method" help:"A method and its parameters as KEY=VALUE; with --follow, types of events."`
}

func (c *ctlCommand) Run(ctx context.Context, common *Common, s *streams) error {
	if len(c.Args) == 0 && !c.Follow {
		return fmt.Errorf("%w: a method is missing, e.g. offhook ctl status", errUsage)
	}
	paths, err := common.paths()
	if err != nil {
		return err
	}
	client, err := headless.Dial(paths.Socket)
	if err != nil {
		return err
	}
	defer client.Close()
	if c.Follow {
		return client.Follow(ctx, c.Args, s.out)
	}
	params, err := headless.ParseArgs(c.Args[1:])
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	result, err := client.Call(ctx, c.Args[0], params)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(s.out, "%s\n", result); err != nil {
		return err
	}
	return headless.Failed(result)
}

// errInvalid makes an invalid configuration the ordinary failure of the command that looks for it.
var errInvalid = errors.New("the configuration is not valid")

// checkCommand is offhook config check.
type checkCommand struct {
	File string `arg:"" optional:"" help:"The file; by default that of the profile."`
}

func (c *checkCommand) Run(_ context.Context, common *Common, s *streams) error {
	paths, err := common.paths()
	if err != nil {
		return err
	}
	if c.File != "" {
		paths.Config = c.File
	}
	settings, err := config.Load(paths.Config)
	var problems config.Problems
	switch {
	case errors.As(err, &problems):
		fmt.Fprintln(s.err, problems)
		return errInvalid
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w; write one with `offhook config init`", err)
	case err != nil:
		return err
	case settings.Account.AOR == "":
		fmt.Fprintf(s.out, "%s: valid; account.aor is not set yet\n", paths.Config)
	default:
		fmt.Fprintf(s.out, "%s: valid\n", paths.Config)
	}
	return nil
}

// initCommand is offhook config init.
type initCommand struct{}

func (*initCommand) Run(_ context.Context, common *Common, s *streams) error {
	paths, err := common.paths()
	if err != nil {
		return err
	}
	if err := config.Init(paths.Config); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "%s: written; set account.aor in it, then run `offhook config check`\n", paths.Config)
	return err
}

// versionCommand is offhook version.
type versionCommand struct{}

func (*versionCommand) Run(_ context.Context, _ *Common, s *streams) error {
	_, err := fmt.Fprintf(s.out, "offhook %s\n%s %s/%s\ncodecs: %s\naudio backends: %s\n",
		version, runtime.Version(), runtime.GOOS, runtime.GOARCH, strings.Join(codecs(), ", "), strings.Join(backends(), ", "))
	return err
}

// tlsConfig is a server's, with the certificate in two PEM files.
func tlsConfig(cert, key string) (*tls.Config, error) {
	if cert == "" || key == "" {
		return nil, errors.New("--tls-listen needs --tls-cert FILE and --tls-key FILE")
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}
