package media

import "time"

// Stats is how a stream is doing. Durations and levels of both directions are those of the last report or second; counts
// are since the stream began.
type Stats struct {
	SendCodec, ReceiveCodec string // "opus", "g722", …; "" before the first agreement
	Security                string // none, sdes, dtls
	Suite                   string // of SRTP; "" without
	Local, Remote           string // addresses of RTP

	Sent, Received           uint64 // packets
	SentBytes, ReceivedBytes uint64 // of payload
	Lost                     uint64 // packets that never came
	Late                     uint64 // packets that came too late to be played
	Duplicates, Reordered    uint64
	Rejected                 uint64 // packets from strangers, or that failed authentication or replay protection

	Loss         float64       // share of packets lost on the way to us, recently, 0 to 1
	RemoteLoss   float64       // share lost on the way to the peer, as it reports
	Jitter       time.Duration // interarrival jitter on the way to us (RFC 3550 §6.4.1)
	RemoteJitter time.Duration // as the peer reports
	RoundTrip    time.Duration // 0 until it is known
	Buffer       time.Duration // what the jitter buffer holds now
	Target       time.Duration // what it aims at
	Concealed    time.Duration // made up since the stream began
	Stretched    time.Duration // played slower or faster, since the stream began
	Delay        time.Duration // estimate from their mouth to this user's ear
	MOS          float64       // estimated quality of what is heard, 1 to 4.5 (ITU-T G.107); 0 until it is known
	RemoteMOS    float64       // as the peer reports for its side; 0 unknown

	SendLevel, ReceiveLevel float64 // dBov: 0 is full scale, -127 is silence
	SinceHeard              time.Duration
	Muted, Held             bool
	Recording               string // path; "" when nothing is recorded
}

// Device is a microphone or a speaker.
type Device struct {
	ID      string `json:"id"` // what a configuration and Select take
	Name    string `json:"name"`
	Backend string `json:"backend"` // pulse, alsa, coreaudio, wasapi, virtual
	Capture bool   `json:"capture"` // a microphone, else a speaker
	Default bool   `json:"default,omitempty"`
	InUse   bool   `json:"in_use,omitempty"`
}

// Selection names the devices to use. "" leaves a choice as it is; "default" follows the system.
type Selection struct {
	Capture  string   `json:"capture,omitempty"`
	Playback string   `json:"playback,omitempty"`
	Ringers  []string `json:"ringers,omitempty"`
}

// Levels are what the meters show, in dBov: 0 is full scale, -127 is silence.
type Levels struct {
	Capture  float64 `json:"capture"`
	Playback float64 `json:"playback"`
	Clipping bool    `json:"clipping,omitempty"` // the microphone is too loud
}
