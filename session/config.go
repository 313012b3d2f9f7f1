package session

import (
	"context"
	"log/slog"
	"net"
	"time"

	"offhook/internal/media"
	"offhook/internal/sdp"
	"offhook/internal/sipua"
)

// Config of an Endpoint. Only AOR is required.
type Config struct {
	AOR         string // sip:alice@example.org
	DisplayName string
	Instance    string // urn:uuid:…; default: a new one, so that every start is another device
	DeviceName  string // what the user's other devices call this one
	Server      string // sip:host:port;transport=udp; "" locates the AOR's domain
	Listen      []sipua.Listener
	Credentials func(ctx context.Context) (user string, password sipua.Secret, err error)
	NoRegister  bool // place and accept calls without a registrar
	NoPublish   bool // do not publish or use device state
	HideIdle    bool // publish no time of last input (RFC 4480 §3.14 lets the user choose)
	// ToastTimeout is the accept window of a forked IM; 0 means 10 s.
	ToastTimeout time.Duration
	// RegisterExpires is asked for; 0 means 10 minutes.
	RegisterExpires time.Duration
	// Media makes the sound of audio calls. Nil: this endpoint has no audio and refuses such calls.
	Media      media.Engine
	Encryption sdp.Policy // of audio: Opportunistic, Required or Off
	// AutoAnswer answers audio calls at once, unless another one is going on. Nobody is asked, so it is for machines.
	AutoAnswer   bool
	Park         ParkSettings // how calls are parked
	Journal      Journal      // nil: in memory only
	Parks        ParkJournal  // nil: in memory only
	Logger       *slog.Logger
	Trace        func(sipua.TraceEvent)
	ListenPacket func(ctx context.Context, network, address string) (net.PacketConn, error)
	UserAgent    string
	RootCAs      []string // PEM files trusted besides the system's
}

// Journal remembers messages across restarts. It is implemented by history.Store. Calls may write to disk.
type Journal interface {
	// Journal stores an inbound message before it is acknowledged to the network. known is true when a message with
	// this peer and id is there already: it is then not shown again. Only the beginning of a text, a message that is
	// Partial, is replaced by one that is not; that one counts as new.
	Journal(ctx context.Context, m Message) (known bool, err error)
}

// ParkSettings say how calls are parked. The zero value finds the park service of the account's domain by itself.
type ParkSettings struct {
	Server   string // address of the park service; "" means park@ the account's domain, "off" means none
	Strategy string // one of park.Strategies; "" means auto: by what the service answers to OPTIONS
	// What follows is for services that are a dial plan rather than a park service; see park.Settings.
	Extension, SlotURI, RetrieveURI string
	Orbits                          string // e.g. 701-720: the orbits whose lamps are watched one by one
}
