package command

import (
	"context"
	"math"
	"time"

	"offhook/internal/media"
	"offhook/session"
)

// Stats is the result of call.stats, and the event call.stats. Durations are in milliseconds, losses shares from 0 to 1,
// levels in dB below full scale, where -127 is silence.
type Stats struct {
	Call         string `json:"call"`
	Conversation string `json:"conversation"`
	Codec        string `json:"codec"` // that we send
	ReceiveCodec string `json:"receive_codec"`
	Security     string `json:"security"` // none, sdes, dtls
	Suite        string `json:"suite,omitempty"`
	Local        string `json:"local"`
	Remote       string `json:"remote"`

	Loss         float64 `json:"loss"`
	RemoteLoss   float64 `json:"remote_loss"`
	Jitter       float64 `json:"jitter"`
	RemoteJitter float64 `json:"remote_jitter"`
	RoundTrip    float64 `json:"round_trip,omitempty"` // left out until it is known
	Delay        float64 `json:"delay"`                // mouth to ear
	Buffer       float64 `json:"buffer"`
	Target       float64 `json:"target"` // of the buffer
	Concealed    float64 `json:"concealed_ms"`
	Stretched    float64 `json:"stretched_ms"`
	MOS          float64 `json:"mos,omitempty"` // left out until it is known
	RemoteMOS    float64 `json:"remote_mos,omitempty"`

	Levels StatsLevels `json:"levels"`

	Sent          uint64  `json:"sent"` // packets
	SentBytes     uint64  `json:"sent_bytes"`
	Received      uint64  `json:"received"`
	ReceivedBytes uint64  `json:"received_bytes"`
	Lost          uint64  `json:"lost"`
	Late          uint64  `json:"late"`
	Duplicates    uint64  `json:"duplicates"`
	Reordered     uint64  `json:"reordered"`
	Rejected      uint64  `json:"rejected"`
	SinceHeard    float64 `json:"since_heard"`
	Muted         bool    `json:"muted"`
	Held          bool    `json:"held"`
	Recording     string  `json:"recording,omitempty"`
}

// StatsLevels are how loud both sides are.
type StatsLevels struct {
	Send    float64 `json:"send"`
	Receive float64 `json:"receive"`
}

func stats(_ context.Context, e *Env, p callParam) (any, error) {
	c, err := e.findAudio(p.Call, current)
	if err != nil {
		return nil, err
	}
	return StatsOf(c), nil
}

// StatsOf tells how an audio call is doing.
func StatsOf(c *session.AudioVideoCall) Stats {
	out := statsOf(c.Stats())
	out.Call, out.Conversation = c.ID(), c.Conversation().ID()
	return out
}

func statsOf(s media.Stats) Stats {
	return Stats{
		Codec: s.SendCodec, ReceiveCodec: s.ReceiveCodec, Security: s.Security, Suite: s.Suite, Local: s.Local, Remote: s.Remote,
		Loss: round(s.Loss, 4), RemoteLoss: round(s.RemoteLoss, 4), Jitter: ms(s.Jitter), RemoteJitter: ms(s.RemoteJitter),
		RoundTrip: ms(s.RoundTrip), Delay: ms(s.Delay), Buffer: ms(s.Buffer), Target: ms(s.Target),
		Concealed: ms(s.Concealed), Stretched: ms(s.Stretched), MOS: round(s.MOS, 2), RemoteMOS: round(s.RemoteMOS, 2),
		Levels: StatsLevels{dBov(s.SendLevel), dBov(s.ReceiveLevel)},
		Sent:   s.Sent, SentBytes: s.SentBytes, Received: s.Received, ReceivedBytes: s.ReceivedBytes,
		Lost: s.Lost, Late: s.Late, Duplicates: s.Duplicates, Reordered: s.Reordered, Rejected: s.Rejected,
		SinceHeard: ms(s.SinceHeard), Muted: s.Muted, Held: s.Held, Recording: s.Recording,
	}
}

// ms is a duration in milliseconds, to a hundredth.
func ms(d time.Duration) float64 { return round(float64(d)/float64(time.Millisecond), 2) }

// dBov is a level to a tenth; nothing is quieter than silence.
func dBov(f float64) float64 {
	if !(f > silence) {
		return silence
	}
	return round(f, 1)
}

// silence is the level of nothing at all.
const silence = -127

// round keeps n decimals, and what JSON cannot tell out.
func round(f float64, n int) float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	scale := math.Pow10(n)
	return math.Round(f*scale) / scale
}
