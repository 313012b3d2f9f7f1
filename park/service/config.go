package service

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sdp"
	"offhook/internal/sipua"
	"offhook/park"
)

// Config configures a Service.
type Config struct {
	Domain string  // whose users may park and pick up
	Proxy  sip.Uri // where every request goes first; without a host requests go where they are addressed to
	Listen []sipua.Listener
	// ListenPacket opens UDP sockets, for SIP and for media; tests put an in-memory network here. Default net.ListenConfig.
	ListenPacket func(ctx context.Context, network, address string) (net.PacketConn, error)
	Admit        func(netip.Addr) bool // whose packets are read at all; nil: everybody's
	Media        netip.Addr            // where media are received; not valid: the address of the route to the peer
	Lot          park.LotConfig
	Music        []int16 // what callers hear, mono at 48 kHz; nil: a melody of our own
	NoMusic      bool    // they hear silence
	Policy       sdp.Policy
	// Mark is what the proxy and the service know each other by: the value of X-Offhook-Mark for a Call-ID.
	Mark func(callID string) string
	// Changed is told of whom the dialog state may be new: orbits, "park-lot", and the users of safe-retrieve URIs. It must
	// not block. May be nil.
	Changed func(users []string)
	Logger  *slog.Logger
	Trace   func(sipua.TraceEvent)
	// Lamp is the state of the dialog that stands for a parked caller: "confirmed", or "early" for telephones whose
	// keys blink and pick up then. Default confirmed.
	Lamp string
}

// complete checks the configuration and puts defaults in.
func (c *Config) complete() error {
	c.Domain = strings.ToLower(c.Domain)
	if c.Lamp == "" {
		c.Lamp = lampConfirmed
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case c.Domain == "":
		return errors.New("park service: no domain")
	case c.Mark == nil:
		return errors.New("park service: without a mark nobody could be trusted")
	case len(c.Listen) == 0:
		return errors.New("park service: no address to listen on")
	case c.Lamp != lampConfirmed && c.Lamp != lampEarly:
		return errors.New("park service: a lamp is confirmed or early")
	}
	return nil
}

// The users that the service answers for, besides the orbits.
const (
	userPark    = "park"
	userLot     = "park-lot"
	tokenPrefix = "pk-"
)

// headerMark carries the mark.
const headerMark = "X-Offhook-Mark"

// serverName is the Server and User-Agent header, by which clients know what to expect.
const serverName = "offhook park"
