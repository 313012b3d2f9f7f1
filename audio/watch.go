package audio

import (
	"fmt"
	"time"

	"offhook/internal/media"
)

const (
	// deafAfter is how long nothing may be heard before the user is told.
	deafAfter = 5 * time.Second
	// quietAfter is how long a peer that has been heard may send nothing but silence: people think, and listen.
	quietAfter = 30 * time.Second
	// audiblePower is the power of a block that counts as sound: -65 dBov, above the noise of a muted line.
	audiblePower = 3.2e-7
	watchEvery   = time.Second
)

// tell queues an event for Options.Told, which may wait for a lock of the session. It never blocks.
func (s *Stream) tell(ev media.Event) {
	select {
	case s.events <- ev:
	default:
		s.log.Warn("an event of the stream was lost", "kind", ev.Kind, "text", ev.Text)
	}
}

// watch delivers events and looks after the stream once a second.
func (s *Stream) watch() {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	w := watcher{s: s}
	for {
		select {
		case ev := <-s.events:
			if s.opt.Told != nil {
				s.opt.Told(ev)
			}
		case <-tick.C:
			w.look()
		case <-s.ended:
			return
		}
	}
}

// watcher notices that nothing is heard.
type watcher struct {
	s        *Stream
	plan     *plan
	since    time.Duration // when this plan was first seen, on the engine's clock
	received uint64        // packets, when last looked
	last     time.Duration // when they last grew
	silent   bool          // told
}

// look compares the counts with those of a second ago.
func (w *watcher) look() {
	s := w.s
	s.mu.Lock()
	p, conn := s.plan, s.conn
	s.mu.Unlock()
	if p == nil {
		return
	}
	now, stats := s.e.now(), conn.Stats()
	s.lossReport.store(stats.RemoteLoss)
	if p != w.plan {
		w.plan, w.since, w.last = p, now, now
	}
	if stats.Received != w.received {
		w.received, w.last = stats.Received, now
	}
	if !p.receives || s.held.Load() {
		w.since, w.last, w.silent = now, now, false
		return
	}
	switch text := w.trouble(now); {
	case text != "" && !w.silent:
		w.silent = true
		s.tell(media.Event{Kind: media.Silent, Text: text})
	case text == "" && w.silent:
		w.silent = false
		s.tell(media.Event{Kind: media.Heard})
	}
}

// trouble says in a sentence why nothing is heard; "" while something is.
func (w *watcher) trouble(now time.Duration) string {
	s := w.s
	sound := time.Duration(s.lastSound.Load())
	switch {
	case now-w.last >= deafAfter && w.received == 0:
		return "nothing arrives from them: their sound is blocked on the way or goes somewhere else"
	case now-w.last >= deafAfter && s.receivedCodec() == comfortNoise:
		return "" // they told that they are silent (RFC 3389)
	case now-w.last >= deafAfter:
		return fmt.Sprintf("nothing has arrived from them for %d s: they have stopped sending, or the network has failed",
			int((now-w.last)/time.Second))
	case sound == 0 && now-w.since >= deafAfter:
		return "only silence arrives from them: their microphone is muted or they use another device"
	case sound > 0 && now-max(sound, w.since) >= quietAfter:
		return "only silence has arrived from them for a while: their microphone may be muted"
	}
	return ""
}
