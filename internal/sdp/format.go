package sdp

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// static are the payload types that need no rtpmap (RFC 3551 §6). The codecs we lack are here to be named.
var static = map[uint8]Format{
	0: {Name: "pcmu", ClockRate: 8000}, 3: {Name: "gsm", ClockRate: 8000}, 4: {Name: "g723", ClockRate: 8000},
	5: {Name: "dvi4", ClockRate: 8000}, 6: {Name: "dvi4", ClockRate: 16000}, 7: {Name: "lpc", ClockRate: 8000},
	8: {Name: "pcma", ClockRate: 8000}, 9: {Name: "g722", ClockRate: 8000}, 10: {Name: "l16", ClockRate: 44100, Channels: 2},
	11: {Name: "l16", ClockRate: 44100}, 12: {Name: "qcelp", ClockRate: 8000}, 13: {Name: "cn", ClockRate: 8000},
	14: {Name: "mpa", ClockRate: 90000}, 15: {Name: "g728", ClockRate: 8000}, 18: {Name: "g729", ClockRate: 8000},
}

// spelling is how encoding names are written where that is not in capitals.
var spelling = map[string]string{"opus": "opus", "telephone-event": "telephone-event"}

const (
	event = "telephone-event" // RFC 4733
	noise = "cn"              // RFC 3389
)

// isAudio reports whether the format carries sound by itself.
func (f Format) isAudio() bool { return f.Name != event && f.Name != noise }

func (f Format) isEvent() bool { return f.Name == event }

// same reports whether two formats are one codec, whatever their payload types and parameters.
func (f Format) same(g Format) bool {
	// RFC 7587 §7 says opus/48000/2, and some leave the channels out.
	return f.Name == g.Name && f.ClockRate == g.ClockRate && (max(f.Channels, 1) == max(g.Channels, 1) || f.Name == "opus")
}

// attributes are the rtpmap and fmtp of a format of ours.
func (f Format) attributes() []Attribute {
	name := f.Name
	if s, ok := spelling[name]; ok {
		name = s
	} else {
		name = strings.ToUpper(name)
	}
	value := fmt.Sprintf("%d %s/%d", f.PayloadType, name, f.ClockRate)
	if f.Channels > 1 {
		value += "/" + strconv.Itoa(f.Channels)
	}
	attributes := []Attribute{{"rtpmap", value}}
	params := f.Params
	if f.Name == event && params == "" {
		params = "0-15" // RFC 4733 §2.4.1
	}
	if params != "" {
		attributes = append(attributes, Attribute{"fmtp", fmt.Sprintf("%d %s", f.PayloadType, params)})
	}
	return attributes
}

// readFormats reads the formats of an audio line. Those without a meaning are left out, and so are numbers that RTCP
// would be taken for (RFC 5761 §4).
func readFormats(m Media) []Format {
	named, params := map[uint8]Format{}, map[uint8]string{}
	for _, a := range m.Attributes {
		number, rest, _ := strings.Cut(a[1], " ")
		pt, err := strconv.ParseUint(number, 10, 7)
		if err != nil {
			continue
		}
		rest = strings.TrimSpace(rest)
		switch strings.ToLower(a[0]) {
		case "rtpmap":
			if f, ok := parseMap(rest); ok {
				named[uint8(pt)] = f
			}
		case "fmtp":
			params[uint8(pt)] = rest
		}
	}
	var formats []Format
	var seen [128]bool
	for _, number := range m.Formats {
		pt, err := strconv.ParseUint(number, 10, 7)
		if err != nil || seen[pt] || pt >= 64 && pt <= 95 {
			continue
		}
		seen[pt] = true
		f, ok := named[uint8(pt)]
		if !ok {
			f, ok = static[uint8(pt)]
		}
		if ok {
			f.PayloadType, f.Params, f.Channels = uint8(pt), params[uint8(pt)], max(f.Channels, 1)
			formats = append(formats, f)
		}
	}
	return formats
}

// parseMap reads "opus/48000/2".
func parseMap(s string) (Format, bool) {
	f := strings.Split(s, "/")
	if len(f) < 2 || f[0] == "" {
		return Format{}, false
	}
	rate, err := strconv.ParseUint(strings.TrimSpace(f[1]), 10, 31)
	if err != nil || rate == 0 {
		return Format{}, false
	}
	format := Format{Name: strings.ToLower(f[0]), ClockRate: int(rate), Channels: 1}
	if len(f) > 2 {
		if channels, err := strconv.ParseUint(strings.TrimSpace(f[2]), 10, 8); err == nil {
			format.Channels = max(int(channels), 1)
		}
	}
	if format.Name == "g722" && rate == 16000 {
		format.ClockRate = 8000 // RFC 3551 §4.5.2: a rate that was wrong once and stays so; some write the right one
	}
	return format, true
}

// shared finds the formats that both sides have, in their order (RFC 3264 §6.1), sound before the rest: what to send has
// their payload types and parameters. What to receive has our parameters, with their payload types when we answer their
// offer and with ours otherwise. Events and noise are of use beside a codec of the same clock rate (RFC 4733 §2.1). Where
// there are no such events others are taken: many phones know events at 8000 Hz alone and send them so beside Opus.
func shared(theirs, ours []Format, answering bool) (send, receive []Format) {
	rates := map[int]bool{}
	take := func(wanted func(t Format) bool) {
		for _, t := range theirs {
			i := slices.IndexFunc(ours, t.same)
			if i < 0 || !wanted(t) || slices.ContainsFunc(send, t.same) {
				continue
			}
			o := ours[i]
			o.Channels = max(o.Channels, 1)
			if answering {
				o.PayloadType = t.PayloadType
			}
			send, receive = append(send, t), append(receive, o)
		}
	}
	take(Format.isAudio)
	for _, f := range send {
		rates[f.ClockRate] = true
	}
	take(func(t Format) bool { return rates[t.ClockRate] })
	if !slices.ContainsFunc(send, Format.isEvent) {
		take(Format.isEvent)
	}
	if len(rates) == 0 {
		return nil, nil
	}
	return send, receive
}

// noCodec says what each side has.
func noCodec(they string, theirs, ours []Format) error {
	return fmt.Errorf("%w: they %s %s; here are %s", ErrNoCodec, they, names(theirs), names(ours))
}

func names(formats []Format) string {
	var names []string
	for _, f := range formats {
		if f.isAudio() && !slices.Contains(names, printable(f.Name)) {
			names = append(names, printable(f.Name))
		}
	}
	if len(names) == 0 {
		return "none"
	}
	return list(names)
}

// preferred are our formats, best first: once there is a codec in use it is that one. A caller whose preference was followed
// would be told to change it otherwise by every hold, which not all phones survive.
func (n *Negotiation) preferred() []Format {
	formats := slices.Clone(n.local.Formats)
	if n.current == nil {
		return formats
	}
	inUse := n.current.Send[0]
	slices.SortStableFunc(formats, func(a, b Format) int {
		switch {
		case a.same(inUse) && !b.same(inUse):
			return -1
		case b.same(inUse) && !a.same(inUse):
			return 1
		}
		return 0
	})
	return formats
}

// numbered are our formats with the payload types of an offer. A number keeps its meaning for the whole dialog.
func (n *Negotiation) numbered() []Format {
	taken := maps.Clone(n.bound)
	rates := map[int]bool{}
	for _, f := range n.local.Formats {
		rates[f.ClockRate] = rates[f.ClockRate] || f.isAudio()
	}
	var formats []Format
	for _, f := range n.preferred() {
		if !rates[f.ClockRate] || slices.ContainsFunc(formats, f.same) {
			continue
		}
		pt, ok := n.number(f, taken)
		if !ok {
			continue
		}
		f.PayloadType, f.Channels = pt, max(f.Channels, 1)
		taken[pt] = f
		formats = append(formats, f)
	}
	return formats
}

// number chooses the payload type of a format: the one in use, its own, or a free one.
func (n *Negotiation) number(f Format, taken map[uint8]Format) (pt uint8, ok bool) {
	free := func(pt uint8) bool {
		other, isTaken := taken[pt]
		return !isTaken || other.same(f)
	}
	if n.current != nil {
		for _, r := range n.current.Receive {
			if r.same(f) && free(r.PayloadType) {
				return r.PayloadType, true
			}
		}
	}
	fixed, isStatic := static[f.PayloadType]
	if (isStatic && fixed.same(f) || f.PayloadType >= 96 && f.PayloadType <= 127) && free(f.PayloadType) {
		return f.PayloadType, true
	}
	for pt := uint8(96); pt <= 127; pt++ {
		if free(pt) {
			return pt, true
		}
	}
	return 0, false
}
