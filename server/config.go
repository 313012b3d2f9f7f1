package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"time"

	"offhook/internal/sipua"
)

// Config of a Server. Listen is required, and either Users or Open.
type Config struct {
	Listen       []sipua.Listener // udp, tcp, tls
	Domain       string           // default: the host of the first listener
	Users        string           // path of a file with digest users; see readUsers for its format
	Open         bool             // anybody on loopback may register; refused on other addresses
	StateDir     string           // stored messages, and who is signed in; "" keeps both in memory only
	TLS          *tls.Config      // for tls listeners
	Logger       *slog.Logger
	Trace        func(sipua.TraceEvent)
	ListenPacket func(ctx context.Context, network, address string) (net.PacketConn, error)
	Park         *ParkConfig // call park; nil means the default
	// Limits; zero means the default of each.
	MinExpires, MaxExpires time.Duration // of registrations, publications and subscriptions: 60 s (10 s if Open), 1 h
	TimerC                 time.Duration // how long a branch may ring: 3 min (RFC 3261 §16.6 step 11)
}

// check completes the configuration and refuses what cannot work or would be unsafe.
func (cfg *Config) check() error {
	if len(cfg.Listen) == 0 {
		return errors.New("server: no listener given")
	}
	for _, l := range cfg.Listen {
		host, _, err := net.SplitHostPort(l.Address)
		if err != nil {
			return fmt.Errorf("server: listen address %q: give it as host:port: %w", l.Address, err)
		}
		if cfg.Open && !isLoopback(host) {
			return fmt.Errorf("server: open to anybody is possible on loopback addresses only, and %s is not one; "+
				"give a file of users, or listen on 127.0.0.1", l.Address)
		}
	}
	if !cfg.Open && cfg.Users == "" {
		return errors.New("server: nobody could sign in: give a file of users, or open the server to loopback")
	}
	if cfg.Open && cfg.Users != "" {
		return errors.New("server: either a file of users or open to anybody, not both")
	}
	if cfg.Domain == "" {
		cfg.Domain, _, _ = net.SplitHostPort(cfg.Listen[0].Address)
		if addr, err := netip.ParseAddr(cfg.Domain); cfg.Domain == "" || err == nil && addr.IsUnspecified() {
			return errors.New("server: name the domain: the listen address does not tell it")
		}
	}
	cfg.Domain = strings.ToLower(cfg.Domain)
	if strings.ContainsAny(cfg.Domain, "@;?<>\" \t\r\n/") {
		return fmt.Errorf("server: %q is not a domain", cfg.Domain)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	shortest := time.Minute
	if cfg.Open {
		shortest = 10 * time.Second // a demonstration on one machine may be impatient
	}
	cfg.MinExpires = cmp.Or(cfg.MinExpires, shortest)
	cfg.MaxExpires = max(cmp.Or(cfg.MaxExpires, time.Hour), cfg.MinExpires)
	cfg.TimerC = cmp.Or(cfg.TimerC, 3*time.Minute)
	parking := ParkConfig{}
	if cfg.Park != nil {
		parking = *cfg.Park
	}
	cfg.Park = &parking
	return nil
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
