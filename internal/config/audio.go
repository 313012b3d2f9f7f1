package config

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Names of devices that are none of the system's.
const (
	filePrefix = "file:" // a WAV file
	tonePrefix = "tone:" // a sine, its frequency in Hz follows
	loopSuffix = ",loop" // of a file: begin again at its end
)

// maxTone is below half the rate of the engine, in Hz.
const maxTone = 23999

// wrong returns the values that are refused, in the order of the fields.
func (a Audio) wrong() []wrong {
	var out []wrong
	refuse := func(key string, err error) {
		if err != nil {
			out = append(out, wrong{"audio." + key, err.Error()})
		}
	}
	refuse("capture", checkCapture(a.Capture))
	refuse("playback", checkPlayback(a.Playback))
	for _, ringer := range a.Ringers {
		refuse("ringers", checkPlayback(ringer))
	}
	if a.RingTone != "" {
		refuse("ring_tone", checkFile(a.RingTone))
	}
	refuse("codecs", checkCodecs(a.Codecs))
	if _, _, err := ParseMediaListen(a.MediaListen); a.MediaListen != "" {
		refuse("media_listen", err)
	}
	return out
}

func checkCapture(name string) error {
	if err := checkDevice(name); err != nil {
		return err
	}
	if hz, ok := strings.CutPrefix(name, tonePrefix); ok {
		f, err := strconv.ParseFloat(hz, 64)
		if err != nil || !(f >= 1 && f <= maxTone) {
			return fmt.Errorf("%.60q is not a tone; expected tone: and 1 to %d Hz, e.g. tone:1000", name, maxTone)
		}
	}
	if file, ok := strings.CutPrefix(name, filePrefix); ok {
		return checkFile(strings.TrimSuffix(file, loopSuffix))
	}
	return nil
}

func checkPlayback(name string) error {
	switch {
	case strings.HasPrefix(name, tonePrefix), name == "silence":
		return fmt.Errorf("%.60q can be heard, not played to; accepted are default, a device, discard, file:PATH.wav", name)
	case strings.HasPrefix(name, filePrefix) && strings.HasSuffix(name, loopSuffix):
		return fmt.Errorf("%.60q: only a file that is read can begin again", name)
	case strings.TrimPrefix(name, filePrefix) == "":
		return fmt.Errorf("%q names no file; expected file:PATH.wav", name)
	}
	return checkDevice(name)
}

// checkDevice refuses what no device can be called. Whether there is one of this name is seen when it is opened: it may be
// plugged in later.
func checkDevice(name string) error {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' }) {
		return fmt.Errorf("%.60q is not a device; expected default, or what `offhook devices` lists", name)
	}
	return nil
}

func checkFile(path string) error {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		return fmt.Errorf("%s is a directory", path)
	}
	return err
}

func checkCodecs(names []string) error {
	s, _ := find("audio.codecs")
	if len(names) == 0 {
		return fmt.Errorf("is empty; accepted are %s", strings.Join(s.values, ", "))
	}
	for i, name := range names {
		switch {
		case !slices.Contains(s.values, name):
			return fmt.Errorf("%.40q is not a codec; accepted are %s", name, strings.Join(s.values, ", "))
		case slices.Contains(names[:i], name):
			return fmt.Errorf("%q is there twice", name)
		}
	}
	return nil
}

// ParseMediaListen understands a local address for RTP: host:port, where port 0 picks one, or host:first-last. The range is
// zero for any port. RTP takes an even port and the odd one above (RFC 3550 §11), so a range holds two at least; one port
// alone is that and the next.
func ParseMediaListen(s string) (addr netip.Addr, ports [2]uint16, err error) {
	host, text, err := net.SplitHostPort(s)
	if err == nil {
		addr, err = netip.ParseAddr(host)
	}
	if err != nil {
		return netip.Addr{}, ports, fmt.Errorf("%.60q is not an IP address and port of this host; expected e.g. 127.0.0.1:0, or 192.0.2.7:16384-16583", s)
	}
	first, last, ranged := strings.Cut(text, "-")
	if !ranged {
		last = first
	}
	low, badLow := strconv.ParseUint(first, 10, 16)
	high, badHigh := strconv.ParseUint(last, 10, 16)
	switch {
	case badLow != nil || badHigh != nil || ranged && low == 0:
		return netip.Addr{}, ports, fmt.Errorf("%.60q has no valid port; expected 0, a port, or first-last", s)
	case low == 0:
		return addr, ports, nil
	case !ranged && low < 65535:
		high = low + 1
	}
	if low+low%2 >= high {
		return netip.Addr{}, ports, fmt.Errorf("%.60q holds no even port with the odd one above it, which RTP needs", s)
	}
	return addr, [2]uint16{uint16(low), uint16(high)}, nil
}
