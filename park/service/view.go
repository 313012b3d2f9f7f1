package service

import (
	"fmt"
	"slices"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sdp"
	"offhook/park"
)

// view is what one leg is shown of the other end.
type view struct {
	party   park.Party    // who is there; nobody, if parked
	orbit   string        // where the leg is parked; "" if it is not
	formats []sdp.Format  // what can be used, because the other end has it; nil: everything
	want    sdp.Direction // what the other end wants, as this side of the leg sees it
}

// parkedAt is the view of a caller who is parked.
func parkedAt(orbit string, formats []sdp.Format) view {
	return view{orbit: orbit, formats: formats, want: sdp.Both}
}

// headers say who is at the other end (RFC 3325, RFC 5876 §3): whoever it is, or the service.
func (s *Service) headers(v view) []sip.Header {
	if v.orbit == "" {
		return []sip.Header{asserted(v.party)}
	}
	self := s.uri(userPark)
	return []sip.Header{asserted(park.Party{URI: self.String()}), s.orbitInfo(v.orbit)}
}

// params are what the Contact says of us: to a caller who is parked, that nobody listens (RFC 4235 §5.2, RFC 3840 §10.9).
func (v view) params() sip.HeaderParams {
	if v.orbit == "" {
		return nil
	}
	return sip.HeaderParams{{K: "automaton"}, {K: "+sip.rendering", V: `"no"`}}
}

// orbitInfo names the orbit. Purposes that nobody knows are ignored (RFC 3261 §20.9), so no header is needed for it.
func (s *Service) orbitInfo(number string) sip.Header {
	return sip.NewHeader("Call-Info", s.orbitURI(number))
}

func (s *Service) orbitURI(number string) string {
	at := s.uri(number)
	return fmt.Sprintf(`<%s>;purpose=x-park-orbit;x-friendly=%q`, at.String(), number)
}

// retrieveInfo names the orbit and the safe-retrieve URI, for the parker alone. left, if there is some, is how long the
// caller waits until he comes back.
func (s *Service) retrieveInfo(o park.Orbit, left time.Duration) string {
	safe := s.uri(tokenPrefix + o.Token)
	info := fmt.Sprintf(`%s, <%s>;purpose=x-park-retrieve`, s.orbitURI(o.Number), safe.String())
	if left > 0 {
		info += fmt.Sprintf(";x-expires=%d", int(left.Round(time.Second)/time.Second))
	}
	return info
}

// reversed is a direction as the other leg sees it.
func reversed(d sdp.Direction) sdp.Direction { return d&sdp.Sending<<1 | d&sdp.Receiving>>1 }

// isWithin reports whether every codec of a list is in another one.
func isWithin(formats, of []sdp.Format) bool {
	return !slices.ContainsFunc(formats, func(f sdp.Format) bool {
		return !slices.ContainsFunc(of, func(o sdp.Format) bool { return f.Name == o.Name && f.ClockRate == o.ClockRate })
	})
}
