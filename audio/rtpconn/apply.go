package rtpconn

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"offhook/internal/media"
	"offhook/internal/sdp"
)

// Apply puts an agreement into force. It may be called again and again: what has not changed goes on undisturbed,
// sequence numbers and rollover counters included. It does not wait for a handshake; Told hears of its end. When
// it returns an error, nothing has changed.
func (c *Conn) Apply(a sdp.Agreement) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	a.Remote, a.RemoteRTCP = unmap(a.Remote), unmap(a.RemoteRTCP)
	old := c.agreement.Direction
	// An address to be silent to is none: the peer is still where it was.
	moved := a.Remote.IsValid() && !a.Silent && a.Remote != c.path.signalled
	if err := c.protectLocked(a.Protection, moved); err != nil {
		return err
	}
	if moved {
		c.forgetSourceLocked()
		c.peer.sender.valid, c.peer.receiver.valid = false, false
		c.reports.due = now + jittered(firstReport)
	}
	c.routeLocked(a, moved, now)
	c.reports.greet = a.Direction&sdp.Sending == 0 && (moved || old&sdp.Sending != 0)
	c.agreement, c.agreed, c.since = a, true, now
	c.doubtful = a.Protection.Existing && a.Protection.Active && a.Direction&sdp.Receiving != 0 && !a.Silent
	c.formats = formatsOf(a)
	c.in.first = true
	c.in.last = now
	c.wake()
	return nil
}

// routeLocked sets where packets go. Strangers may correct an address when it is new, when nothing has come from it so far,
// and when the peer begins to send after a pause in which a NAT may have forgotten it.
func (c *Conn) routeLocked(a sdp.Agreement, moved bool, now time.Duration) {
	resumed := a.Direction&sdp.Receiving != 0 && c.agreement.Direction&sdp.Receiving == 0
	if moved || resumed || !c.path.heard {
		c.path.open(cmp.Or(usable(a, a.Remote), c.path.signalled), now)
	}
	if control := cmp.Or(usable(a, a.RemoteRTCP), c.control.signalled); control != c.control.signalled ||
		resumed || !c.control.heard {
		c.control.open(control, now)
	}
}

// usable is an address of an agreement, or the zero value if nothing may go there.
func usable(a sdp.Agreement, to netip.AddrPort) netip.AddrPort {
	if a.Silent || !to.IsValid() {
		return netip.AddrPort{}
	}
	return to
}

// protectLocked puts the keys of an agreement into force, or has Run begin to agree on some. moved: the peer is at
// another address.
func (c *Conn) protectLocked(p sdp.Protection, moved bool) error {
	switch p.Method {
	case sdp.Plain:
		c.dropLinkLocked()
		c.keys = protection{method: sdp.Plain}
		return nil
	case sdp.SDES:
		return c.keySDESLocked(p, moved)
	case sdp.DTLS:
		return c.keyDTLSLocked(p, moved)
	default:
		return ErrMethod
	}
}

func (c *Conn) keySDESLocked(p sdp.Protection, moved bool) error {
	m := material{sdp.SDES, p.Suite, slices.Clone(p.LocalKey), slices.Clone(p.RemoteKey), slices.Clone(p.RemoteMKI)}
	if c.keys.same(m) {
		return nil
	}
	if err := m.check(); err != nil {
		return err
	}
	c.dropLinkLocked()
	return c.installLocked(m, moved || c.keys.method != sdp.SDES, false)
}

// installLocked makes the contexts of SRTP and tells of it. Rollover counters go on when only the keys change (RFC 3711
// §3.3.1). afresh: whoever is at the other end now cannot know ours. If it is above zero then, our stream begins anew
// under another SSRC rather than with a lower counter, which could use an index twice under one key (RFC 3711 §9.1).
// patience: it may not have these keys yet, but has the former ones.
func (c *Conn) installLocked(m material, afresh, patience bool) error {
	if !c.keys.keepsLocal(m) && (afresh || c.keys.out == nil) && c.out.index>>16 > 0 {
		c.reports.farewell = c.out.ssrc
		c.out.renew()
	}
	n := numbers{ssrc: c.out.ssrc, roc: uint32(c.out.index >> 16), control: c.out.control}
	if s := c.in.source; s != nil {
		n.peer, n.peerROC, n.known = s.ssrc, s.highest>>16-1, true
		if len(c.keys.in) > 0 {
			n.peerROC, _ = c.keys.in[0].ROC(s.ssrc)
		}
	}
	kept := c.keys.keepsLocal(m)
	if err := c.keys.install(m, n, patience, c.now()); err != nil {
		return err
	}
	if !kept {
		c.out.floor = c.out.index
	}
	c.tellLocked(media.Event{Kind: media.Secured, Text: string(m.method) + " " + m.suite})
	return nil
}

// keyDTLSLocked keeps an association with the same peer, else it has Run begin another one. A new one is due when the
// fingerprint or the transport changes (RFC 5763 §6.6). Whether the side that begins has changed does not matter then:
// many offer actpass in every offer and mean no handshake by it. Where the same peer asks for another association, the one
// in force stays until that is complete.
func (c *Conn) keyDTLSLocked(p sdp.Protection, moved bool) error {
	if c.cfg.Certificate == nil || len(p.Fingerprints) == 0 {
		return ErrCertificate
	}
	old := c.link
	if old != nil && !old.failed && !moved && slices.Equal(old.fingerprints, p.Fingerprints) {
		if c.renewal != nil && c.renewal.active != p.Active {
			c.dropRenewalLocked()
		}
		if p.Renew && p.Active {
			c.renewLocked(p)
		}
		return nil
	}
	early := c.early
	c.dropLinkLocked()
	// Whoever was authenticated before may be somebody else from now on.
	c.keys.clear()
	c.link = newAssociation(c, p)
	for _, d := range early {
		c.link.deliver(d.from, d.data)
	}
	return nil
}

// dropLinkLocked ends the DTLS association in force.
func (c *Conn) dropLinkLocked() {
	c.dropRenewalLocked()
	if c.link != nil {
		c.link.cancel()
		c.link = nil
	}
	c.early = nil
}
