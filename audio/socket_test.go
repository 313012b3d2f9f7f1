package audio

import (
	"net/netip"
	"slices"
	"testing"

	"offhook/internal/media"
)

// TestPortsAreOfTheRange opens streams until no pair of the range is left, at odd ends of it.
func TestPortsAreOfTheRange(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.party("10.0.0.1", nil, "pcmu")
		a.cfg.Ports, a.cfg.Listen = [2]uint16{30001, 30006}, netip.MustParseAddr("10.0.0.9")
		var ports []int
		for {
			s, err := a.Open(w.ctx, media.Options{Local: a.addr})
			if err != nil {
				break
			}
			at := s.Local().Addr
			if at.Addr() != a.cfg.Listen {
				t.Errorf("sound is received at %v", at)
			}
			ports = append(ports, int(at.Port()))
		}
		slices.Sort(ports)
		if len(ports) == 0 || ports[0] < 30002 || ports[len(ports)-1] > 30004 || len(slices.Compact(ports)) != len(ports) {
			t.Errorf("ports %v", ports)
		}
	})
}
