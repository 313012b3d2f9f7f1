package session

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"offhook/internal/media"
	"offhook/internal/plaintext"
	"offhook/internal/sdp"
)

// AudioVideoCall is an audio call. Video that is offered is declined line by line.
//
// It shares the tables of an IM call. What offer and answer agree (package sdp) is put into force by a media stream, which
// lives as long as the call. Being on hold is a table of its own.
type AudioVideoCall struct {
	call

	turn     chan struct{} // capacity 1; held by the operation of this user that changes the media
	settling sync.Mutex    // held while the stream is told whether the call is on hold

	describing  sync.Mutex       // a leaf
	description *sdp.Negotiation // Guarded by describing. What is offered and agreed; see negotiate.go.
	wire        sdp.Direction    // Guarded by describing. What we said last that we want.
	policy      sdp.Policy       // Guarded by describing. The endpoint's, or stricter because the peer is; see persuade.

	// Guarded by e.mu.
	stream  media.Stream // nil until it is opened
	hold    Hold
	since   time.Time // when this user put it on hold
	muted   bool
	group   string // conference
	record  string // path
	early   bool
	told    CallMedia // what was published last
	silence *silence  // while nothing is heard
	active  bool      // the user talks in it, or has: its microphone is open unless it is on hold
	trouble string    // what is wrong with microphone or speaker
	taken   bool      // another call of this endpoint takes its place: nobody is told anything but the end
	next    string    // and this is how it goes on

	parking   *parkAttempt        // while it is being parked
	far       far                 // what the other side says of itself
	other     Party               // who is there now, if that is not the conversation's peer; zero otherwise
	lodging   *lodging            // where the other side has parked this user; nil: it has not
	retrieval *retrieval          // it takes a parked call; nil: it does not
	recall    *recall             // it is a parked call that comes back; nil: it is not
	back      bool                // what has become of that is told
	heldFor   *AudioVideoCall     // whom this one was put on hold for, while the user has not decided otherwise; nil: nobody
	referred  map[string][]string // what the answer has told, for who has sent this user there

	shut sync.Once // closes the stream
}

// newAudioLocked makes a call in its first state.
func (c *Conversation) newAudioLocked(dir Direction) *AudioVideoCall {
	av := &AudioVideoCall{turn: make(chan struct{}, 1), hold: HoldNone}
	av.initLocked(av, c, kindAudio, dir)
	c.audio = append(c.audio, av)
	return av
}

// NewAudio makes an Idle outbound audio call.
func (c *Conversation) NewAudio() *AudioVideoCall {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	return c.newAudioLocked(Outbound)
}

// Dial calls the peer and blocks until the call is Established or has failed. The call is returned in either case.
func (c *Conversation) Dial(ctx context.Context) (*AudioVideoCall, error) {
	av := c.NewAudio()
	return av, av.Establish(ctx, AudioOptions{})
}

// Audio is the audio call that actions are about: an Established one, else one on its way, else one that comes in; nil if
// there is none.
func (c *Conversation) Audio() *AudioVideoCall {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	return c.audioLocked()
}

func (c *Conversation) audioLocked() *AudioVideoCall {
	for _, states := range [][]State{{Established, Transferring}, {Establishing}, {Incoming}} {
		for _, av := range slices.Backward(c.audio) {
			if slices.Contains(states, av.state) {
				return av
			}
		}
	}
	return nil
}

// FindAudio returns an audio call by its id.
func (e *Endpoint) FindAudio(id string) (*AudioVideoCall, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	av, ok := e.calls[id].(*AudioVideoCall)
	return av, ok
}

// audioLocked lists the audio calls that are not Terminated, oldest first.
func (e *Endpoint) audioLocked() []*AudioVideoCall {
	e.mu.Held()
	var all []*AudioVideoCall
	for _, o := range e.calls {
		if av, ok := o.(*AudioVideoCall); ok {
			all = append(all, av)
		}
	}
	slices.SortFunc(all, func(a, b *AudioVideoCall) int { return byID(a.id, b.id) })
	return all
}

// Info describes the call.
func (c *AudioVideoCall) Info() CallInfo {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	return c.infoLocked()
}

func (c *AudioVideoCall) infoLocked() CallInfo {
	info := c.call.infoLocked()
	info.EarlyMedia = c.state == Establishing && c.early
	info.Hold, info.Muted, info.Recording, info.Conference = c.hold, c.muted, c.record, c.group
	info.Codec, info.Security, info.Suite = c.told.Codec, c.told.Security, c.told.Suite
	if c.state == Incoming {
		info.Waiting = slices.ContainsFunc(c.e.audioLocked(), func(o *AudioVideoCall) bool { return o != c && live(o.state) })
	}
	if c.silence != nil {
		info.Silence = c.silence.text
	}
	if c.other.URI != "" {
		info.Party = c.other
	}
	if l := c.lodging; l != nil && l.parked {
		info.Parked, info.ParkedBy, info.Orbit = true, l.by, l.orbit
	} else if c.retrieval != nil {
		info.Orbit = c.retrieval.orbit
	} else if c.recall != nil {
		info.Orbit = c.recall.orbit
	}
	return info
}

// Stats tells how the sound of the call is doing.
func (c *AudioVideoCall) Stats() media.Stats {
	c.e.mu.Blocking()
	if s := c.media(); s != nil {
		return s.Stats()
	}
	return media.Stats{}
}

// media is the stream of the call, nil if there is none.
func (c *AudioVideoCall) media() media.Stream {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	return c.stream
}

// established returns the stream of an Established call, or says why an operation is not possible.
func (c *AudioVideoCall) established(op string) (media.Stream, error) {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	if !live(c.state) {
		return nil, refuse(op, c.conv.peer.URI, KindState, "the call is %s", c.state)
	}
	return c.stream, nil
}

// Mute sends silence instead of the microphone, or the microphone again.
func (c *AudioVideoCall) Mute(on bool) error {
	c.e.mu.Blocking()
	s, err := c.established("mute")
	if err != nil {
		return err
	}
	s.Mute(on)
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	if c.muted != on {
		c.muted = on
		c.e.publishLocked(CallMuted{Call: c.id, Conversation: c.conv.id, Muted: on})
	}
	return nil
}

// noticeLocked writes a line into the thread of the conversation.
func (c *call) noticeLocked(text string) { c.conv.noticeLocked(text) }

func (c *Conversation) noticeLocked(text string) {
	c.last = time.Now()
	c.e.publishLocked(Notice{Conversation: c.id, Time: c.last, Text: plaintext.Line(text, 512)})
}

// errNoAudio is why an endpoint without a media engine makes no call.
var errNoAudio = errors.New("this endpoint has no audio")

// open makes the stream of the call.
func (c *AudioVideoCall) open(ctx context.Context) error {
	c.e.mu.Blocking()
	if c.e.cfg.Media == nil {
		return refuse("call", c.conv.peerURI(), KindDevice, "%w", errNoAudio)
	}
	s, err := c.e.cfg.Media.Open(ctx, media.Options{
		Name: c.id, Local: c.e.mediaAddress(), Policy: c.e.cfg.Encryption, Told: c.hear,
	})
	if err != nil {
		return refuse("call", c.conv.peerURI(), KindDevice, "the media could not be opened: %w", err)
	}
	c.describing.Lock()
	c.description, c.policy = sdp.NewNegotiation(s.Local()), c.e.cfg.Encryption
	c.describing.Unlock()
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	c.stream = s
	return nil
}

// close ends the stream of the call, once. Who was in a conference with it goes on without.
func (c *AudioVideoCall) close() { c.shut.Do(c.closeStream) }

func (c *AudioVideoCall) closeStream() {
	c.e.mu.Lock()
	members := c.membersLocked()
	c.leaveLocked()
	s := c.stream
	c.e.mu.Unlock()
	regroup(members)
	if s == nil {
		return
	}
	if err := s.Close(); err != nil {
		c.e.log.Debug("media could not be closed", "call", c.id, "err", err)
	}
}

// endedLocked forgets a Terminated call.
func (c *AudioVideoCall) endedLocked() {
	e := c.e
	c.conv.audio = slices.DeleteFunc(c.conv.audio, func(o *AudioVideoCall) bool { return o == c })
	if c.record != "" {
		e.publishLocked(CallRecording{Call: c.id, Conversation: c.conv.id, File: c.record})
		c.record = ""
	}
	c.quietLocked()
	c.backLocked(false)
	c.giveBackLocked()
	if c.trouble != "" {
		c.troubleLocked("")
	}
	e.audioChangedLocked(c.conv)
}
