package line

import (
	"github.com/pion/rtp"

	"offhook/audio/rtpconn"
)

// route is where the packets of a line go while it is joined. It is replaced when an agreement changes, and the relay goes
// on.
type route struct {
	// Immutable.
	to    *rtpconn.Conn
	relay *rtpconn.Relay // Owned by the reader of the line.
	types [128]uint8     // by payload type: under which one it leaves; none for those that do not
}

// none is not a payload type.
const none = 0xff

// pass sends a packet on.
func (r *route) pass(l *Line, p *rtp.Packet) {
	payloadType := r.types[p.PayloadType&0x7f]
	if payloadType == none {
		r.relay.Omit(&p.Header)
		l.omitted.Add(1)
		return
	}
	if err := r.to.Forward(r.relay, payloadType, p); err != nil {
		l.log.Debug("packet could not be relayed", "err", err)
		return
	}
	l.relayed.Add(1)
}

// Join relays what arrives on either line to the other, until Part or until one of them is closed. Music stops, for good.
// Both must have an agreement, and a codec in common.
func (l *Line) Join(o *Line) error {
	if l == o {
		return ErrJoined
	}
	defer lockBoth(l, o, false)()
	switch {
	case l.closed || o.closed:
		return ErrClosed
	case l.peer != nil || o.peer != nil:
		return ErrJoined
	case !l.agreed || !o.agreed:
		return ErrNoAgreement
	case !understood(l.agreement.Receive, o.agreement.Send) || !understood(o.agreement.Receive, l.agreement.Send):
		return ErrNoCodec
	}
	for _, each := range []*Line{l, o} {
		each.source = nil
		each.stopLocked()
	}
	l.peer, o.peer = o, l
	l.routeLocked()
	o.routeLocked()
	return nil
}

// Part ends a Join. Both lines are silent after it.
func (l *Line) Part() {
	defer l.lock()()
	l.partLocked()
}

// partLocked is for whoever has the locks of both lines.
func (l *Line) partLocked() {
	if l.peer == nil {
		return
	}
	l.route.Store(nil)
	l.peer.route.Store(nil)
	l.peer.peer, l.peer = nil, nil
}

// routeLocked works out where the packets of this line go. The caller has the locks of both lines.
func (l *Line) routeLocked() {
	next := &route{to: l.peer.conn, types: translate(l.agreement.Receive, l.peer.agreement.Send)}
	if old := l.route.Load(); old != nil {
		next.relay = old.relay
	} else {
		next.relay = new(rtpconn.Relay)
	}
	l.route.Store(next)
}
