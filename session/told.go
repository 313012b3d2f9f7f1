package session

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/media"
)

const (
	// probeAfter is how long a silence lasts before the other side is asked whether it still has the call, and how often.
	probeAfter = time.Minute
	// deaf is the age of the last packet from which on there is nothing rather than silence in packets.
	deaf = 4 * time.Second
	// networkLook is how often it is looked whether this endpoint has moved to another network.
	networkLook = 5 * time.Second
)

// silence is a time in which nothing is heard although something should be.
type silence struct {
	over chan struct{} // closed when it is over
	text string        // a sentence about the likely cause, once known
}

// hear takes what the stream of the call finds out. It runs on goroutines of the stream, and neither waits nor calls it.
func (c *AudioVideoCall) hear(ev media.Event) {
	e := c.e
	e.mu.Lock()
	defer e.mu.Unlock()
	if c.state == Terminated {
		return
	}
	now := c.told
	switch ev.Kind {
	case media.FirstAudio:
		now.Heard = true
		c.quietLocked()
		e.tones.wakeUp()
	case media.Secured: // "dtls AEAD_AES_128_GCM"
		if method, suite, ok := strings.Cut(ev.Text, " "); ok {
			now.Security, now.Suite = method, suite
		}
	case media.FormatChanged: // one way or the other: the stream knows
		e.goLocked("formats", func(context.Context) { c.askFormats() })
	case media.PeerMoved:
		now.Remote = ev.Text
	case media.SecurityFailed: // RFC 8643 §3: never without what was promised
		e.log.Warn("media could not be protected", "call", c.id, "err", ev.Err)
		e.publishLocked(CallTrouble{Call: c.id, Conversation: c.conv.id, Kind: KindEncryption, Text: errSecurity.Error()})
		e.goLocked("hang up", c.terminateLocked(errSecurity.Error()))
	case media.Silent:
		c.silentLocked(ev.Text)
	case media.Heard:
		c.quietLocked()
	case media.Digit:
		e.publishLocked(CallDigit{Call: c.id, Conversation: c.conv.id, Digit: ev.Text})
	case media.DeviceTrouble:
		c.troubleLocked(ev.Text)
	}
	if now.Call != "" {
		c.tellMediaLocked(now)
	}
}

// troubleLocked tells what is wrong with microphone or speaker; "" that nothing is any more. The call goes on without.
func (c *AudioVideoCall) troubleLocked(text string) {
	e := c.e
	c.trouble = text
	e.setHealthLocked(healthSound, slices.ContainsFunc(e.audioLocked(), func(o *AudioVideoCall) bool { return o.trouble != "" }))
	e.publishLocked(CallTrouble{Call: c.id, Conversation: c.conv.id, Kind: KindDevice, Text: text})
	if text != "" {
		c.noticeLocked(text)
	}
}

// askFormats tells the codecs that are in use now.
func (c *AudioVideoCall) askFormats() {
	c.e.mu.Blocking()
	stats := c.Stats()
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	now := c.told
	if stats.SendCodec != "" {
		now.Codec = stats.SendCodec
	}
	if stats.ReceiveCodec != "" {
		now.ReceiveCodec = stats.ReceiveCodec
	}
	c.tellMediaLocked(now)
}

// silentLocked begins a silence. text is what the stream knows about it.
func (c *AudioVideoCall) silentLocked(text string) {
	if c.silence != nil || c.hold != HoldNone || !live(c.state) {
		return
	}
	s := &silence{over: make(chan struct{})}
	c.silence = s
	if !c.e.goLocked("silence", func(ctx context.Context) { c.endure(ctx, s, text) }) {
		c.silence = nil
	}
}

// quietLocked ends a silence, if there is one: something is heard, or nothing is expected to be any more.
func (c *AudioVideoCall) quietLocked() {
	c.e.mu.Held()
	s := c.silence
	if s == nil {
		return
	}
	c.silence = nil
	close(s.over)
	if s.text != "" {
		c.e.publishLocked(CallSilence{Call: c.id, Conversation: c.conv.id})
	}
}

// endure says why nothing is heard, and asks the other side from time to time whether it still has the call. If it has not,
// or does not answer, that ends the dialog (RFC 5057 §5.1).
func (c *AudioVideoCall) endure(ctx context.Context, s *silence, known string) {
	e := c.e
	e.mu.Blocking()
	stats := c.Stats()
	cause, text := causeOf(stats)
	if known != "" {
		text = known
	}
	e.mu.Lock()
	dlg := c.dialog
	if c.silence == s {
		s.text = text
		e.publishLocked(CallSilence{Call: c.id, Conversation: c.conv.id, Silent: true, Cause: cause, Text: text})
	}
	e.mu.Unlock()
	probe := time.NewTicker(probeAfter)
	defer probe.Stop()
	for {
		select {
		case <-probe.C:
			before := stats.Received
			if stats = c.Stats(); stats.Received != before {
				continue // they are there, and say nothing
			}
			if _, err := dlg.Do(ctx, sip.OPTIONS, "", nil); err != nil && statusOf(err) == 0 {
				e.log.Info("the other side does not answer any more", "call", c.id, "err", err)
			}
		case <-s.over:
			return
		case <-ctx.Done():
			return
		}
	}
}

// causeOf guesses from what has arrived why nothing is heard. That they hold us is not a silence.
func causeOf(s media.Stats) (cause, text string) {
	switch {
	case s.Received == 0 && s.Rejected > 0:
		return "rejected", "what arrives from them does not belong to this call, or cannot be decrypted"
	case s.Received == 0:
		return "never_heard", "nothing arrives from them: their sound is blocked on the way, or goes somewhere else"
	case s.SinceHeard < deaf:
		return "muted", "only silence arrives from them: their microphone may be muted"
	}
	return "stopped", "nothing arrives from them any more: they have stopped sending, or the network has failed"
}

// mediaAddress is where media can be received, as the other side shall see it.
func (e *Endpoint) mediaAddress() netip.Addr {
	e.mu.Lock()
	local := e.local
	e.mu.Unlock()
	if local != nil {
		return local()
	}
	contact, err := netip.ParseAddr(strings.Trim(e.agent.Contact().Address.Host, "[]"))
	if err != nil {
		contact = netip.Addr{}
	}
	// Beyond a NAT the Contact is not an address of this machine, but leads to the one that is used.
	for _, network := range []string{"udp", "tcp", "tls"} {
		if local, ok := e.stack.Local(network, contact); ok {
			return local.Addr()
		}
	}
	return contact
}

// watchNetwork tells the other side where we are, whenever this endpoint has moved to another network.
func (c *AudioVideoCall) watchNetwork(ctx context.Context) {
	at := c.e.mediaAddress()
	tick := time.NewTicker(networkLook)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-c.ctx.Done():
			return
		case <-ctx.Done():
			return
		}
		now := c.e.mediaAddress()
		if now == at || !now.IsValid() || now.IsUnspecified() || now.IsLoopback() && !at.IsLoopback() {
			continue // the same, or no network at all: that may pass
		}
		if err := c.move(ctx, now); err != nil {
			c.e.log.Info("the call could not follow to another network, yet", "call", c.id, "to", now, "err", err)
			continue // it is tried again
		}
		at = now
	}
}

// move takes the media to another address and tells it by re-INVITE, which tells our new Contact as well.
func (c *AudioVideoCall) move(ctx context.Context, to netip.Addr) error {
	c.e.mu.Blocking()
	s, err := c.established("move")
	if err != nil {
		return err
	}
	if err := s.Move(ctx, to); err != nil {
		return err
	}
	if err := c.takeTurn(ctx); err != nil {
		return err
	}
	defer c.passTurn()
	if err := c.moved(s); err != nil {
		return err
	}
	c.e.log.Info("the network has changed", "call", c.id, "to", to)
	return c.propose(c.want())
}

// moved puts what is in force into force at the stream's new address.
func (c *AudioVideoCall) moved(s media.Stream) error {
	c.describing.Lock()
	defer c.describing.Unlock()
	local := s.Local()
	local.Policy = c.policy
	c.description.SetLocal(local)
	if agreed, ok := c.description.Current(); ok {
		return c.apply(agreed, false)
	}
	return nil
}
