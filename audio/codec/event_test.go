package codec

import (
	"bytes"
	"errors"
	"testing"
)

func TestEventWire(t *testing.T) {
	for _, c := range []struct {
		event Event
		wire  []byte
	}{
		{Event{Code: 1, Volume: 10, Duration: 160}, []byte{1, 10, 0, 160}},
		{Event{Code: 11, End: true, Volume: 10, Duration: 1280}, []byte{11, 0x8A, 5, 0}},
		{Event{Code: 255, End: true, Volume: 63, Duration: 65535}, []byte{255, 0xBF, 255, 255}},
	} {
		if got := c.event.Append([]byte{9}); !bytes.Equal(got, append([]byte{9}, c.wire...)) {
			t.Errorf("%+v is sent as %v, want %v", c.event, got[1:], c.wire)
		}
		if got, err := ParseEvent(c.wire); err != nil || got != c.event {
			t.Errorf("%v is read as %+v, %v", c.wire, got, err)
		}
	}
	if got := (Event{Volume: 200}).Append(nil); got[1] != 200&0x3F {
		t.Errorf("a volume that is too large spills into the flags: %#x", got[1])
	}
	// The reserved bit is ignored, and so is what follows.
	if got, err := ParseEvent([]byte{5, 0x4A, 0, 1, 0xFF}); err != nil || got != (Event{Code: 5, Volume: 10, Duration: 1}) {
		t.Errorf("read as %+v, %v", got, err)
	}
	for n := range 4 {
		if _, err := ParseEvent(make([]byte, n)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d bytes give %v", n, err)
		}
	}
}

func TestDigits(t *testing.T) {
	for code, want := range []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "#", "A", "B", "C", "D"} {
		if got, ok := (Event{Code: uint8(code)}).Digit(); !ok || got != want {
			t.Errorf("code %d is %q, want %q", code, got, want)
		}
		if got, ok := DigitCode(rune(want[0])); !ok || int(got) != code {
			t.Errorf("%q has code %d, want %d", want, got, code)
		}
	}
	if got, ok := DigitCode('d'); !ok || got != 15 {
		t.Errorf("d has code %d, %v", got, ok)
	}
	for _, r := range "eE ,+é" {
		if _, ok := DigitCode(r); ok {
			t.Errorf("%q is a key", r)
		}
	}
	if _, ok := (Event{Code: 16}).Digit(); ok { // the hook flash is no key
		t.Error("16 is a key")
	}
}
