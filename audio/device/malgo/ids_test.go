package malgo

import (
	"bytes"
	"testing"
)

func TestIDs(t *testing.T) {
	for _, c := range []struct {
		raw, text string
	}{
		{"alsa_input.usb-Jabra_Evolve-00.mono-fallback", "alsa_input.usb-Jabra_Evolve-00.mono-fallback"},
		{":0,0", ":0,0"},
		{"", "hex:"},
		{"\x03", "hex:03"},
		{"{\x000\x00.\x000\x00}", "hex:7b0030002e0030007d"}, // UTF-16
		{"evil\x1b[31m", "hex:6576696c1b5b33316d"},
		{"hex:00", "hex:6865783a3030"}, // so that nothing is taken for another
		{" spaces ", "hex:2073706163657320"},
	} {
		raw := make([]byte, 256)
		copy(raw, c.raw)
		if got := idText(raw); got != c.text {
			t.Errorf("%q is called %q, want %q", c.raw, got, c.text)
		}
		back := bytes.Repeat([]byte{7}, 256)
		if !idBytes(back, c.text) || !bytes.Equal(back, raw) {
			t.Errorf("%q does not lead back to %q", c.text, c.raw)
		}
	}
	for _, bad := range []string{"hex:xyz", "hex:123", string(make([]byte, 256))} {
		if idBytes(make([]byte, 256), bad) {
			t.Errorf("%q is an id", bad)
		}
	}
}

func TestPseudoDevices(t *testing.T) {
	for id, want := range map[string]bool{
		"default": false, "pulse": false, ":0,0": false, "my_headset": false,
		"null": true, "lavrate": true, "oss": true, "usbstream:CARD=PCH": true,
	} {
		if isPseudo(id) != want {
			t.Errorf("%s: %v", id, !want)
		}
	}
}
