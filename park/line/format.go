package line

import (
	"slices"

	"offhook/audio/codec"
	"offhook/internal/sdp"
)

const (
	telephoneEvent = "telephone-event"
	comfortNoise   = "cn"
)

// Payload types of our offers that are not registered: dynamic ones (RFC 3551 §6), where others expect them.
const (
	typeOpus        = 111
	typeEvents48000 = 110
	typeEvents8000  = 101
	typeComfort     = 13 // RFC 3389 §4
)

// formats are those that a line offers: the codecs in which music can be encoded, telephone events for their clock rates,
// and comfort noise, which is relayed.
func formats() []sdp.Format {
	var list []sdp.Format
	clocks := map[int]bool{}
	for _, c := range codec.All {
		if c.NewEncoder == nil {
			continue
		}
		f := sdp.Format{PayloadType: typeOpus, Name: c.Name, ClockRate: c.ClockRate, Channels: c.Channels, Params: c.Params}
		if c.Static >= 0 {
			f.PayloadType = uint8(c.Static)
		}
		clocks[c.ClockRate] = true
		list = append(list, f)
	}
	if clocks[48000] {
		list = append(list, sdp.Format{PayloadType: typeEvents48000, Name: telephoneEvent, ClockRate: 48000, Channels: 1, Params: "0-15"})
	}
	return append(list,
		sdp.Format{PayloadType: typeEvents8000, Name: telephoneEvent, ClockRate: 8000, Channels: 1, Params: "0-15"},
		sdp.Format{PayloadType: typeComfort, Name: comfortNoise, ClockRate: 8000, Channels: 1})
}

// same reports whether two formats are one, whatever their payload types and parameters. Some leave the channels of Opus
// out (RFC 7587 §7).
func same(f, g sdp.Format) bool {
	return f.Name == g.Name && f.ClockRate == g.ClockRate && (max(f.Channels, 1) == max(g.Channels, 1) || f.Name == "opus")
}

func isSound(f sdp.Format) bool { return f.Name != telephoneEvent && f.Name != comfortNoise }

// find is the first of a list that is the same format as f.
func find(list []sdp.Format, f sdp.Format) (sdp.Format, bool) {
	i := slices.IndexFunc(list, func(g sdp.Format) bool { return same(f, g) })
	if i < 0 {
		return sdp.Format{}, false
	}
	return list[i], true
}

// understood reports whether any sound of one list is in the other.
func understood(from, to []sdp.Format) bool {
	return slices.ContainsFunc(from, func(f sdp.Format) bool {
		_, ok := find(to, f)
		return ok && isSound(f)
	})
}

// translate gives for each payload type that may arrive the one under which the other side takes the same format.
func translate(receive, send []sdp.Format) (types [128]uint8) {
	for i := range types {
		types[i] = none
	}
	for _, f := range receive {
		if g, ok := find(send, f); ok {
			types[f.PayloadType&0x7f] = g.PayloadType
		}
	}
	return types
}

// Local is what may be offered for this line: every format it can play music in.
func (l *Line) Local() sdp.Local { return l.offer(formats()) }

// Restrict is Local with those formats alone that are in a list, such as the offer of whoever picks up: both legs are to end
// with codecs in common, for nothing is transcoded. Those that this line uses already stay first and keep their payload
// types, which mean the same for the whole dialog (RFC 3264 §8.3.2). The parameters are those of the list: they say what the
// one who will receive it in the end wants.
func (l *Line) Restrict(to []sdp.Format) sdp.Local {
	l.mu.Lock()
	agreed, inUse := l.agreement.Receive, l.agreement.Send
	l.mu.Unlock()
	var list []sdp.Format
	clocks := map[int]bool{}
	for _, f := range formats() {
		theirs, ok := find(to, f)
		if !ok || !isSound(f) && !clocks[f.ClockRate] {
			continue // events and noise are of use beside a codec of the same clock rate (RFC 4733 §2.1)
		}
		clocks[f.ClockRate] = true
		f.Params = theirs.Params
		if used, ok := find(agreed, f); ok {
			f.PayloadType = used.PayloadType
		}
		list = append(list, f)
	}
	rank := func(f sdp.Format) int {
		i := slices.IndexFunc(inUse, func(g sdp.Format) bool { return same(f, g) })
		if i < 0 {
			i = len(inUse)
		}
		return i
	}
	slices.SortStableFunc(list, func(f, g sdp.Format) int { return rank(f) - rank(g) })
	return l.offer(list)
}

func (l *Line) offer(list []sdp.Format) sdp.Local {
	return sdp.Local{
		Addr: l.local, Formats: list, Ptime: codec.DefaultPtime, Policy: l.cfg.Policy, Fingerprint: l.cfg.Fingerprint,
	}
}
