package park

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/google/go-cmp/cmp"

	"offhook/internal/body"
	"offhook/internal/sipua"
)

var errHung = errors.New("the user has hung up")

const (
	orbit701 = `<sip:701@example.org>;purpose=x-park-orbit;x-friendly="701", <sip:pk-secret@example.org>;purpose=x-park-retrieve;x-expires=90`
	toMary   = `sip:mary@example.org;gr=phone?Replaces=call-1`
	pbx      = `sip:192.0.2.1:5060?Replaces=call-2`

	referPark  = `REFER sip:park@example.org: ` + toMary + ` "order 77"`
	invitePark = `INVITE sip:park@example.org`
	referIn    = `REFER in the call: ` + pbx
	lamps      = `SUBSCRIBE sip:701@example.org…sip:703@example.org`
)

// helpers are the settings of an Asterisk whose dialplan takes our token.
var helpers = Settings{
	Extension: "park*{token}", SlotURI: "park-{orbit}*{token}", RetrieveURI: "get-{orbit}*{token}", Orbits: "701-703",
}

// TestPark is every way in which the services may answer, what comes of it, and all that was sent.
func TestPark(t *testing.T) {
	service := func(asserted string) map[string]*fakeConsultation {
		return map[string]*fakeConsultation{"park": {asserted: asserted, ends: true}}
	}
	told := service("sip:701@example.org")
	for _, tt := range []struct {
		name     string
		strategy string
		settings Settings
		wish     string
		leg      fakeLeg
		want     CallParkOrbit // without times
		err      error
		log      []string
	}{
		// RFC 5359
		{
			name: "REFER accepted", strategy: RFC5359, leg: fakeLeg{replaces: true, out: ok(orbit701)},
			want: CallParkOrbit{FriendlyOrbit: "701", SafeRetrieveURI: "sip:pk-secret@example.org"}, log: []string{referPark},
		},
		{
			name: "a wish is granted", strategy: RFC5359, wish: "702", leg: fakeLeg{replaces: true, out: ok()},
			want: CallParkOrbit{FriendlyOrbit: "702"}, log: []string{`REFER sip:702@example.org: ` + toMary + ` "order 77"`},
		},
		{
			name: "a wish that is no orbit", strategy: RFC5359, wish: "7@evil.test", leg: fakeLeg{replaces: true},
			err: ErrOrbitNotFound,
		},
		{
			name: "no orbit free", strategy: RFC5359, leg: fakeLeg{replaces: true, out: refusedWith(486, ErrNoOrbit.Warning("x"))},
			err: ErrNoOrbit, log: []string{referPark},
		},
		{
			name: "busy without a Warning", strategy: RFC5359, leg: fakeLeg{replaces: true, out: refusedWith(486)},
			err: ErrNoOrbit, log: []string{referPark},
		},
		{
			name: "parked already", strategy: RFC5359, leg: fakeLeg{replaces: true, out: refusedWith(403, ErrDoublePark.Warning("x"))},
			err: ErrDoublePark, log: []string{referPark},
		},
		{
			name: "not allowed, by Warning", strategy: RFC5359, leg: fakeLeg{replaces: true, out: refusedWith(403, ErrNotAllowed.Warning("x"))},
			err: ErrNotAllowed, log: []string{referPark},
		},
		{
			name: "the service is silent", strategy: RFC5359, leg: fakeLeg{replaces: true, out: answer{err: sipua.ErrTimeout}},
			err: sipua.ErrTimeout, log: []string{referPark},
		},
		{
			name: "the service is gone", strategy: RFC5359, leg: fakeLeg{replaces: true, out: refusedWith(503)},
			err: ErrLotClosed, log: []string{referPark},
		},
		{
			name: "the parkee refuses the service", strategy: RFC5359, leg: fakeLeg{replaces: true, out: failed(488)},
			err: ErrReplaces, log: []string{referPark},
		},
		{
			name: "the parkee declines", strategy: RFC5359, leg: fakeLeg{replaces: true, out: failed(603, ErrReplaces.Warning("x"))},
			err: ErrReplaces, log: []string{referPark},
		},
		{
			name: "the parkee is not reached, then by attended transfer", strategy: RFC5359,
			leg:  fakeLeg{replaces: true, out: failed(408), in: ok(), services: told},
			want: CallParkOrbit{FriendlyOrbit: "701"}, log: []string{referPark, invitePark, referIn},
		},
		{
			name: "the parkee does not know the dialog, by Warning", strategy: RFC5359,
			leg:  fakeLeg{replaces: true, out: failed(481, ErrReplaces.Warning("x")), in: ok(), services: told},
			want: CallParkOrbit{FriendlyOrbit: "701"}, log: []string{referPark, invitePark, referIn},
		},
		{
			name: "park time expired is not about the way", strategy: RFC5359,
			leg: fakeLeg{replaces: true, out: failed(480, ErrExpired.Warning("x")), services: told}, err: ErrExpired, log: []string{referPark},
		},
		{
			name: "neither way", strategy: RFC5359, leg: fakeLeg{replaces: true, out: failed(480), in: failed(481), services: told},
			err: ErrReplaces, log: []string{referPark, invitePark, referIn, "BYE"},
		},
		{
			name: "with a wish there is no second way", strategy: RFC5359, wish: "702",
			leg: fakeLeg{replaces: true, out: failed(420), services: told},
			err: ErrReplaces, log: []string{`REFER sip:702@example.org: ` + toMary + ` "order 77"`},
		},
		{
			name: "REFER refused", strategy: RFC5359, leg: fakeLeg{replaces: true, out: refusedWith(501), in: ok(), services: told},
			want: CallParkOrbit{FriendlyOrbit: "701"}, log: []string{referPark, invitePark, referIn},
		},
		{
			name: "REFER forbidden", strategy: RFC5359, leg: fakeLeg{replaces: true, out: refusedWith(403), in: ok(), services: told},
			want: CallParkOrbit{FriendlyOrbit: "701"}, log: []string{referPark, invitePark, referIn},
		},
		{
			name: "the parkee has not said that it knows Replaces", strategy: RFC5359, leg: fakeLeg{in: ok(), services: told},
			want: CallParkOrbit{FriendlyOrbit: "701"}, log: []string{invitePark, referIn},
		},
		// attended
		{
			name: "the service hangs up and tells the URI", strategy: Attended,
			leg: fakeLeg{in: ok(), services: map[string]*fakeConsultation{
				"park": {asserted: "sip:701@example.org", callInfo: []string{orbit701}, ends: true},
			}},
			want: CallParkOrbit{FriendlyOrbit: "701", SafeRetrieveURI: "sip:pk-secret@example.org"}, log: []string{invitePark, referIn},
		},
		{
			name: "the service does not hang up", strategy: Attended,
			leg:  fakeLeg{in: ok(), services: map[string]*fakeConsultation{"park": {asserted: "sip:701@example.org"}}},
			want: CallParkOrbit{FriendlyOrbit: "701"}, log: []string{invitePark, referIn, "BYE"},
		},
		{
			name: "the parkee's sipfrag is not believed", strategy: Attended, leg: fakeLeg{in: ok(orbit701), services: told},
			want: CallParkOrbit{FriendlyOrbit: "701"}, log: []string{invitePark, referIn},
		},
		{
			name: "with a wish", strategy: Attended, wish: "702", leg: fakeLeg{in: ok(), services: told}, err: ErrWish,
		},
		{
			name: "no orbit free", strategy: Attended, leg: fakeLeg{services: map[string]*fakeConsultation{"park": {err: status(486)}}},
			err: ErrNoOrbit, log: []string{invitePark},
		},
		{
			name: "no identity", strategy: Attended, leg: fakeLeg{services: service("")},
			err: ErrNotLearnt, log: []string{invitePark, "BYE"},
		},
		{
			name: "only its own identity", strategy: Attended, leg: fakeLeg{services: service("sip:park@example.org")},
			err: ErrNotLearnt, log: []string{invitePark, "BYE"},
		},
		{
			name: "an identity that is no orbit", strategy: Attended, settings: Settings{Orbits: "705-709"}, leg: fakeLeg{services: told},
			err: ErrNotLearnt, log: []string{invitePark, "BYE"},
		},
		{
			name: "the parkee refuses the REFER", strategy: Attended, leg: fakeLeg{in: refusedWith(486), services: told},
			err: ErrReplaces, log: []string{invitePark, referIn, "BYE"},
		},
		{
			name: "the parkee cannot reach the service", strategy: Attended, leg: fakeLeg{in: failed(503), services: told},
			err: ErrReplaces, log: []string{invitePark, referIn, "BYE"},
		},
		// Asterisk
		{
			name: "helpers", strategy: Asterisk, settings: helpers,
			leg:  fakeLeg{in: ok(), services: map[string]*fakeConsultation{"park*TOKEN": {asserted: "sip:702@192.0.2.1", ends: true}}},
			want: CallParkOrbit{FriendlyOrbit: "702", SafeRetrieveURI: "sip:get-702*TOKEN@example.org"},
			log:  []string{"INVITE sip:park*TOKEN@example.org", "REFER in the call: sip:park*TOKEN@example.org?Replaces=call-2"},
		},
		{
			name: "helpers, the orbit is not told", strategy: Asterisk, settings: helpers,
			leg: fakeLeg{in: ok(), services: map[string]*fakeConsultation{"park*TOKEN": {}}},
			err: ErrNotLearnt, log: []string{"INVITE sip:park*TOKEN@example.org", "BYE"},
		},
		{
			name: "helpers with a wish", strategy: Asterisk, settings: helpers, wish: "703",
			leg:  fakeLeg{in: ok(), services: map[string]*fakeConsultation{"park-703*TOKEN": {ends: true}}},
			want: CallParkOrbit{FriendlyOrbit: "703", SafeRetrieveURI: "sip:get-703*TOKEN@example.org"},
			log:  []string{"INVITE sip:park-703*TOKEN@example.org", "REFER in the call: sip:park-703*TOKEN@example.org?Replaces=call-2"},
		},
		{
			name: "helpers, the wish is taken", strategy: Asterisk, settings: helpers, wish: "703",
			leg: fakeLeg{in: ok(), services: map[string]*fakeConsultation{"park-703*TOKEN": {err: status(486)}}},
			err: ErrOccupied, log: []string{"INVITE sip:park-703*TOKEN@example.org"},
		},
		{
			name: "helpers, the wish is no orbit", strategy: Asterisk, settings: helpers, wish: "799", err: ErrOrbitNotFound,
		},
		{
			name: "we choose, the first is lit and the second taken", strategy: Asterisk,
			settings: Settings{SlotURI: "park-{orbit}*{token}", RetrieveURI: "get-{orbit}*{token}", Orbits: "701-703"},
			leg: fakeLeg{
				in: ok(), lamps: &fakeLamps{lit: []string{"701"}},
				services: map[string]*fakeConsultation{"park-702*TOKEN": {err: status(486)}, "park-703*TOKEN": {ends: true}},
			},
			want: CallParkOrbit{FriendlyOrbit: "703", SafeRetrieveURI: "sip:get-703*TOKEN@example.org"},
			log: []string{
				lamps, "INVITE sip:park-702*TOKEN@example.org", "INVITE sip:park-703*TOKEN@example.org",
				"REFER in the call: sip:park-703*TOKEN@example.org?Replaces=call-2",
			},
		},
		{
			name: "we choose, all are lit", strategy: Asterisk, settings: Settings{SlotURI: "park-{orbit}", Orbits: "701-703"},
			leg: fakeLeg{lamps: &fakeLamps{lit: []string{"701", "702", "703"}}}, err: ErrNoOrbit, log: []string{lamps},
		},
		{
			name: "we choose without lamps, another failure ends it", strategy: Asterisk,
			settings: Settings{SlotURI: "park-{orbit}", Orbits: "701-703"},
			leg:      fakeLeg{services: map[string]*fakeConsultation{"park-701": {err: status(500)}}},
			err:      ErrProcessing, log: []string{lamps, "INVITE sip:park-701@example.org"},
		},
		{
			name: "stock, nothing to learn from", strategy: Asterisk, leg: fakeLeg{in: ok()}, err: ErrNotLearnt,
		},
		{
			name: "stock, no lamps", strategy: Asterisk, settings: Settings{Orbits: "701-703"}, leg: fakeLeg{in: ok()},
			err: ErrNotLearnt, log: []string{lamps},
		},
		{
			name: "stock, all are lit", strategy: Asterisk, settings: Settings{Orbits: "701-703"},
			leg: fakeLeg{lamps: &fakeLamps{lit: []string{"701", "702", "703"}}}, err: ErrNoOrbit, log: []string{lamps},
		},
		{
			name: "stock with a wish", strategy: Asterisk, settings: Settings{Orbits: "701-703"}, wish: "702", err: ErrWish,
		},
	} {
		t.Run(tt.strategy+": "+tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := tt.settings
				s.Server = uriOf(t, "sip:park@example.org")
				strategy, err := NewStrategy(tt.strategy, s)
				if err != nil {
					t.Fatal(err)
				}
				tt.leg.t = t
				leg := &tokenLeg{fakeLeg: &tt.leg}
				got, err := strategy.Park(t.Context(), leg, tt.wish, "order 77")
				if !errors.Is(err, tt.err) || err == nil && tt.err != nil {
					t.Errorf("error %v, want %v", err, tt.err)
				}
				if err == nil && got.Parked.IsZero() {
					t.Error("parked at no time")
				}
				got.Parked, got.RingBack = time.Time{}, time.Time{}
				got.SafeRetrieveURI = leg.mask(got.SafeRetrieveURI)
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Error(diff)
				}
				if diff := cmp.Diff(tt.log, leg.log); diff != "" {
					t.Errorf("what was sent:\n%s", diff)
				}
			})
		})
	}
}

// tokenLeg writes TOKEN for the random token that is first seen in an INVITE.
type tokenLeg struct {
	*fakeLeg
	token string
}

func (l *tokenLeg) mask(s string) string {
	if l.token == "" {
		return s
	}
	return strings.ReplaceAll(s, l.token, "TOKEN")
}

func (l *tokenLeg) Invite(ctx context.Context, to sip.Uri) (Consultation, error) {
	if _, token, ok := strings.Cut(to.User, "*"); ok && l.token == "" {
		if len(token) != 26 { // 128 bits, 5 in a letter
			l.t.Errorf("token %q", token)
		}
		l.token = token
	}
	to.User = l.mask(to.User)
	return l.fakeLeg.Invite(ctx, to)
}

func (l *tokenLeg) ReferIn(ctx context.Context, referTo sip.Uri) (body.Sipfrag, error) {
	referTo.User = l.mask(referTo.User)
	return l.fakeLeg.ReferIn(ctx, referTo)
}

// TestParkByLamps: a stock Asterisk only lights the lamp of the orbit. Which is ours is certain only if one has lit up.
func TestParkByLamps(t *testing.T) {
	type step struct {
		after time.Duration
		lit   []string
	}
	for _, tt := range []struct {
		name  string
		lit   []string
		steps []step
		want  string
		err   error
	}{
		{"one lights up", []string{"701"}, []step{{100 * time.Millisecond, []string{"701", "702"}}}, "702", nil},
		{"another goes out meanwhile", []string{"701"}, []step{{0, nil}, {time.Second, []string{"703"}}}, "703", nil},
		{"nothing happens", []string{"701"}, nil, "", ErrNotLearnt},
		{"too late", nil, []step{{lampTime + time.Second, []string{"701"}}}, "", ErrNotLearnt},
		{
			"two park at the same moment", nil,
			[]step{{100 * time.Millisecond, []string{"701"}}, {500 * time.Millisecond, []string{"701", "702"}}},
			"", ErrNotLearnt,
		},
		{"ours goes out again", nil, []step{{0, []string{"701"}}, {100 * time.Millisecond, nil}}, "", ErrNotLearnt},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, err := NewStrategy(Asterisk, Settings{Server: uriOf(t, "sip:park@example.org"), Orbits: "701-703"})
				if err != nil {
					t.Fatal(err)
				}
				watched := &fakeLamps{lit: tt.lit, changes: make(chan []string, len(tt.steps))}
				leg := &fakeLeg{t: t, in: ok(), lamps: watched, services: map[string]*fakeConsultation{"700": {ends: true}}}
				leg.invited = func(string) {
					go func() {
						for _, s := range tt.steps {
							time.Sleep(s.after)
							watched.changes <- s.lit
						}
					}()
				}
				o, err := s.Park(t.Context(), leg, "", "")
				if o.FriendlyOrbit != tt.want || !errors.Is(err, tt.err) {
					t.Fatalf("%v, %v", o, err)
				}
				want := []string{lamps, "INVITE sip:700@example.org", "BYE"}
				if tt.err == nil {
					want = []string{lamps, "INVITE sip:700@example.org", "REFER in the call: sip:700@example.org?Replaces=call-2"}
				}
				if diff := cmp.Diff(want, leg.log); diff != "" {
					t.Errorf("what was sent:\n%s", diff)
				}
				if o.SafeRetrieveURI != "" || s.Safe() {
					t.Error("a stock Asterisk has no safe retrieval")
				}
				time.Sleep(time.Minute) // for the steps that are left
			})
		})
	}
}

// TestParkGivenUp: who gives up while the parkee is being referred leaves no consultation behind.
func TestParkGivenUp(t *testing.T) {
	s, err := NewStrategy(Attended, Settings{Server: uriOf(t, "sip:park@example.org")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	leg := &fakeLeg{t: t, hang: cancel, services: map[string]*fakeConsultation{"park": {asserted: "sip:701@example.org"}}}
	if _, err := s.Park(ctx, leg, "", ""); !errors.Is(err, errHung) {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{invitePark, referIn, "BYE"}, leg.log); diff != "" {
		t.Error(diff)
	}
}

func TestAddresses(t *testing.T) {
	server := uriOf(t, "sips:park@example.org:5061")
	for _, tt := range []struct {
		name     string
		settings Settings
		orbit    CallParkOrbit
		retrieve string
		pickup   string
		safe     bool
	}{
		{RFC5359, Settings{}, CallParkOrbit{FriendlyOrbit: "701", SafeRetrieveURI: "sip:pk-x@example.org"}, "sip:pk-x@example.org", "sips:701@example.org:5061", true},
		{RFC5359, Settings{Domain: "example.net"}, CallParkOrbit{FriendlyOrbit: "701"}, "sips:701@example.net", "sips:701@example.net", true},
		{Attended, Settings{}, CallParkOrbit{FriendlyOrbit: "701"}, "sips:701@example.org:5061", "sips:701@example.org:5061", false},
		{Asterisk, helpers, CallParkOrbit{FriendlyOrbit: "701", SafeRetrieveURI: "sip:get-701*t@x"}, "sip:get-701*t@x", "sips:701@example.org:5061", true},
		{Asterisk, Settings{Extension: "700", SlotURI: "sip:park-{orbit}@pbx", RetrieveURI: "get-{orbit}*{token}"}, CallParkOrbit{FriendlyOrbit: "701"}, "sips:701@example.org:5061", "sips:701@example.org:5061", false},
	} {
		tt.settings.Server = server
		s, err := NewStrategy(tt.name, tt.settings)
		if err != nil {
			t.Fatal(err)
		}
		retrieve, err := s.Retrieve(tt.orbit)
		if err != nil || retrieve.String() != tt.retrieve {
			t.Errorf("%s: retrieve %s, %v", tt.name, retrieve.String(), err)
		}
		pickup, err := s.Pickup("701")
		if err != nil || pickup.String() != tt.pickup {
			t.Errorf("%s: pick up %s, %v", tt.name, pickup.String(), err)
		}
		if s.Safe() != tt.safe || s.Name() != tt.name {
			t.Errorf("%s: safe %t", s.Name(), s.Safe())
		}
		if _, err := s.Retrieve(CallParkOrbit{SafeRetrieveURI: "sip:pk-secret@<"}); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("a malformed safe URI: %v", err)
		}
		if _, err := s.Pickup(""); !errors.Is(err, ErrOrbitNotFound) {
			t.Error(err)
		}
	}
}

func TestNewStrategy(t *testing.T) {
	server := uriOf(t, "sip:park@example.org")
	for _, tt := range []struct {
		name     string
		settings Settings
		want     string
	}{
		{"lync", Settings{Server: server}, "rfc5359, asterisk, attended"},
		{"", Settings{Server: server}, "rfc5359, asterisk, attended"},
		{RFC5359, Settings{}, "address of a service"},
		{RFC5359, Settings{Server: uriOf(t, "tel:700")}, "address of a service"},
		{Asterisk, Settings{Server: server, Orbits: "701-"}, "orbits"},
		{Asterisk, Settings{Server: server, Orbits: "720-701"}, "orbits"},
		{Asterisk, Settings{Server: server, Orbits: "1-1000"}, "orbits"},
		{Asterisk, Settings{Server: server, Orbits: "1-150,200-350"}, "orbits"},
		{Asterisk, Settings{Server: server, Orbits: "99999999999999999999"}, "orbits"},
		{Asterisk, Settings{Server: server, SlotURI: "park"}, "slot_uri"},
		{Asterisk, Settings{Server: server, RetrieveURI: "get"}, "retrieve_uri"},
		{Asterisk, Settings{Server: server, Extension: "park here"}, "makes no address"},
	} {
		if _, err := NewStrategy(tt.name, tt.settings); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %+v: %v", tt.name, tt.settings, err)
		}
	}
	got, err := Numbers("701-703, 08-10,701")
	if want := []string{"08", "09", "10", "701", "702", "703"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
}
