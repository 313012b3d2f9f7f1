package park

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// parkOne parks a call and fails the test if that is not possible.
func parkOne(t testing.TB, l *Lot, now time.Time, by, caller Party, wish string) Orbit {
	t.Helper()
	o, err := l.Reserve(now, by, "sip:device@192.0.2.1", "", wish, false)
	if err != nil {
		t.Fatal(err)
	}
	if o, err = l.Occupy(now, o.ID, caller); err != nil {
		t.Fatal(err)
	}
	return o
}

func wantErr(t testing.TB, err error, want *Failure) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

func wantState(t testing.TB, l *Lot, number string, want State) Orbit {
	t.Helper()
	o, ok := l.Find(number)
	if !ok || o.State != want {
		t.Errorf("%s is %s, want %s", number, o.State, want)
	}
	return o
}

// The story of the source document: Bob parks Mary, Mary hangs up, Michael parks Steven on the same number. By number Bob
// would get Steven; safely he gets nobody.
func TestMaryBobSteven(t *testing.T) {
	l := newLot(t, LotConfig{Quarantine: -1})
	michael, steven := Party{URI: "sip:michael@example.test"}, Party{URI: "sip:steven@example.test"}
	first := parkOne(t, l, start, bob, mary, "701")
	if !l.Leave(start.Add(20*second), first.ID) {
		t.Fatal("Mary could not leave")
	}
	now := start.Add(30 * second)
	second := parkOne(t, l, now, michael, steven, "701")
	if second.Number != first.Number || second.Token == first.Token || second.ID == first.ID {
		t.Fatalf("first %#v, second %#v", first, second)
	}
	_, _, err := l.Claim(now, first.Token)
	wantErr(t, err, ErrStaleOrbit)
	if _, ok := l.Find(first.Token); ok || !l.Ended(first.Token) || l.Ended(second.Token) {
		t.Error("Find and Ended do not tell the parks apart")
	}
	wantState(t, l, "701", Parked)
	o, _, err := l.Claim(now, "701")
	if err != nil || o.Caller != steven {
		t.Errorf("by number: %v, %v", o.Caller, err)
	}
	// And what comes late for Mary does nothing to Steven.
	if l.Leave(now, first.ID) || l.Retrieved(now, first.ID) || l.Answered(now, first.ID) {
		t.Error("a late word about the first park was taken")
	}
	wantState(t, l, "701", Retrieving)
}

func TestTombstone(t *testing.T) {
	l := newLot(t, LotConfig{})
	o := parkOne(t, l, start, bob, mary, "")
	l.Leave(start, o.ID)
	_, _, err := l.Claim(start.Add(24*time.Hour-1), o.Token)
	wantErr(t, err, ErrStaleOrbit)
	_, _, err = l.Claim(start.Add(24*time.Hour), o.Token)
	wantErr(t, err, ErrOrbitNotFound)
	if l.Ended(o.Token) || len(l.tokens) != 0 {
		t.Error("the token is still known")
	}
}

func TestTombstonesAreBounded(t *testing.T) {
	n := 0
	l := newLot(t, LotConfig{First: 1, Last: 1, Quarantine: -1, Token: func() string { n++; return fmt.Sprintf("t%d", n) }})
	for range maxTombstones + 100 {
		l.Leave(start, parkOne(t, l, start, bob, mary, "").ID)
	}
	if len(l.tokens) != maxTombstones || len(l.tombstones) != maxTombstones || len(l.parks) != 0 {
		t.Errorf("%d tokens, %d tombstones, %d parks", len(l.tokens), len(l.tombstones), len(l.parks))
	}
	if l.Ended("t100") || !l.Ended("t101") || !l.Ended(fmt.Sprintf("t%d", n)) {
		t.Error("not the oldest were forgotten")
	}
}

func TestRoundRobinAndQuarantine(t *testing.T) {
	l := newLot(t, LotConfig{PerUser: 3})
	a := parkOne(t, l, start, bob, mary, "")
	l.Leave(start, a.ID)
	b, c := parkOne(t, l, start, bob, mary, ""), parkOne(t, l, start, bob, mary, "")
	if a.Number != "701" || b.Number != "702" || c.Number != "703" {
		t.Errorf("orbits %s, %s, %s", a.Number, b.Number, c.Number)
	}
	// 701 rests, and is not taken even though nothing else is free.
	now := start.Add(30*second - 1)
	_, err := l.Reserve(now, carol, "", "", "", false)
	wantErr(t, err, ErrNoOrbit)
	_, err = l.Reserve(now, carol, "", "", "701", false)
	wantErr(t, err, ErrOccupied)
	// It is free in time even if Due comes late.
	if o, err := l.Reserve(start.Add(30*second), carol, "", "", "", false); err != nil || o.Number != "701" {
		t.Errorf("%v, %v", o, err)
	}
}

func TestWish(t *testing.T) {
	l := newLot(t, LotConfig{})
	for _, outside := range []string{"700", "704", "0702", "+702", " 702", "702x", "park", "-1", "99999999999999999999999"} {
		_, err := l.Reserve(start, bob, "", "", outside, false)
		wantErr(t, err, ErrOrbitNotFound)
	}
	if o := parkOne(t, l, start, bob, mary, "702"); o.Number != "702" {
		t.Errorf("got %s", o.Number)
	}
	_, err := l.Reserve(start, bob, "", "", "702", true)
	wantErr(t, err, ErrOccupied)
}

func TestPerUser(t *testing.T) {
	l := newLot(t, LotConfig{PerUser: 1})
	o := parkOne(t, l, start, bob, mary, "")
	_, err := l.Reserve(start, bob, "", "", "", false)
	wantErr(t, err, ErrTooMany)
	parkOne(t, l, start, carol, mary, "")
	l.Leave(start, o.ID) // in quarantine it does not count
	parkOne(t, l, start, bob, mary, "")
}

func TestClosed(t *testing.T) {
	l := newLot(t, LotConfig{})
	o := parkOne(t, l, start, bob, mary, "")
	under, err := l.Reserve(start, bob, "", "", "", false)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	_, err = l.Reserve(start, bob, "", "", "", false)
	wantErr(t, err, ErrLotClosed)
	// Whoever is here or on the way is not lost.
	if _, err := l.Occupy(start, under.ID, carol); err != nil {
		t.Error(err)
	}
	if _, _, err := l.Claim(start, o.Token); err != nil {
		t.Error(err)
	}
}

// A failed retrieval: the caller keeps the time that was left, and at least 10 s.
func TestTimeLeft(t *testing.T) {
	for _, c := range []struct{ claimed, took, rings time.Duration }{
		{30 * second, 20 * second, 50*second + 60*second},
		{85 * second, second, 86*second + 10*second},
		{89 * second, 300 * second, 389*second + 10*second},
	} {
		l := newLot(t, LotConfig{})
		o := parkOne(t, l, start, bob, mary, "")
		if _, _, err := l.Claim(start.Add(c.claimed), "701"); err != nil {
			t.Fatal(err)
		}
		if due := l.Due(start.Add(c.claimed + c.took)); due != nil {
			t.Errorf("due while retrieving: %v", due)
		}
		l.RetrieveFailed(start.Add(c.claimed+c.took), o.ID)
		got := wantState(t, l, "701", Parked)
		if want := start.Add(c.rings); !got.RingBack.Equal(want) || !got.Since.Equal(start) {
			t.Errorf("%+v: rings back at %v, want %v", c, got.RingBack, want)
		}
		if next, ok := l.Next(); !ok || !next.Equal(got.RingBack) {
			t.Errorf("next is %v", next)
		}
	}
}

// expect takes what is due next and compares.
func expect(t *testing.T, l *Lot, at time.Time, kind DueKind, attempt int) {
	t.Helper()
	next, ok := l.Next()
	if !ok || !next.Equal(at) {
		t.Fatalf("next at %v %v, want %v", next, ok, at)
	}
	if due := l.Due(at.Add(-1)); due != nil {
		t.Fatalf("due too early: %v", due)
	}
	due := l.Due(at)
	if len(due) != 1 || due[0].Kind != kind || due[0].Orbit.Attempt != attempt {
		t.Fatalf("due %v (%+v), want %s, attempt %d", due, due[0].Orbit.Attempt, kind, attempt)
	}
}

// Ring-back twice, then the fallback, then the caller is sent home.
func TestRecallsThenFallbackThenDrop(t *testing.T) {
	l := newLot(t, LotConfig{Fallback: "sip:desk@example.test"})
	o := parkOne(t, l, start, bob, mary, "")
	now := start.Add(90 * second)
	expect(t, l, now, DueRecall, 1)
	now = now.Add(30 * second)
	if next := l.Unanswered(now, o.ID); next.Kind != DueNothing || next.Orbit.State != Parked {
		t.Fatalf("%+v", next)
	}
	now = now.Add(90 * second)
	expect(t, l, now, DueRecall, 2)
	now = now.Add(30 * second)
	if next := l.Unanswered(now, o.ID); next.Kind != DueFallback || next.Orbit.State != Recalling {
		t.Fatalf("%+v", next)
	}
	if next, ok := l.Next(); ok {
		t.Errorf("next %v while the fallback rings", next)
	}
	if next := l.Unanswered(now.Add(30*second), o.ID); next.Kind != DueDrop || next.Orbit.Caller != mary {
		t.Fatalf("%+v", next)
	}
	for _, key := range []string{"701", o.Token} {
		if _, _, err := l.Claim(now, key); err == nil {
			t.Error("a call that is being dropped was retrieved")
		}
	}
	if next := l.Unanswered(now, o.ID); next.Kind != DueNothing || l.Answered(now, o.ID) {
		t.Error("a late answer while dropping was taken")
	}
	if !l.Leave(now, o.ID) || l.Leave(now, o.ID) {
		t.Error("it has to end once")
	}
}

func TestDropWithoutFallback(t *testing.T) {
	l := newLot(t, LotConfig{Attempts: 1})
	o := parkOne(t, l, start, bob, mary, "")
	expect(t, l, start.Add(90*second), DueRecall, 1)
	if next := l.Unanswered(start.Add(120*second), o.ID); next.Kind != DueDrop || next.Orbit.State != Dropping {
		t.Errorf("%+v", next)
	}
}

// What a retrieval that fails has interrupted is made again: the last recall, then the fallback.
func TestInterruptedRecallIsMadeAgain(t *testing.T) {
	l := newLot(t, LotConfig{Attempts: 1, Fallback: "sip:desk@example.test"})
	o := parkOne(t, l, start, bob, mary, "")
	now := start.Add(90 * second)
	interrupt := func() {
		t.Helper()
		now = now.Add(5 * second)
		if _, recalling, err := l.Claim(now, o.Token); err != nil || !recalling {
			t.Fatalf("recalling %v, %v", recalling, err)
		}
		if next := l.Unanswered(now, o.ID); next.Kind != DueNothing || l.Answered(now, o.ID) {
			t.Fatal("the cancelled recall still counts")
		}
		l.RetrieveFailed(now, o.ID)
		now = now.Add(leastLeft)
	}
	expect(t, l, now, DueRecall, 1)
	interrupt()
	expect(t, l, now, DueRecall, 1)
	if next := l.Unanswered(now, o.ID); next.Kind != DueFallback || next.Orbit.Attempt != 2 {
		t.Fatalf("%+v", next)
	}
	interrupt()
	expect(t, l, now, DueFallback, 2)
	if !l.Answered(now, o.ID) {
		t.Error("the fallback has not won")
	}
}

func TestReservationExpires(t *testing.T) {
	l := newLot(t, LotConfig{})
	o, err := l.Reserve(start, bob, "", "", "", true)
	if err != nil || o.State != Reserved || o.Token != "" || !o.RingBack.IsZero() {
		t.Fatalf("%+v, %v", o, err)
	}
	due := l.Due(start.Add(60 * second))
	if len(due) != 1 || due[0].Kind != DueReservation || due[0].Orbit.ID != o.ID || due[0].Orbit.State != Free {
		t.Fatalf("%v", due)
	}
	_, err = l.Occupy(start.Add(61*second), o.ID, mary)
	wantErr(t, err, ErrParkTimeout)
	if got := wantState(t, l, "701", Free); got != (Orbit{Number: "701", State: Free}) {
		t.Errorf("something is left: %+v", got)
	}
}

// A call that arrives while the promise stands, even as its time ends, has the orbit; one that turns back leaves it for ten
// seconds at least.
func TestReservationWaitsForWhoArrives(t *testing.T) {
	l := newLot(t, LotConfig{})
	o, err := l.Reserve(start, bob, "", "", "", true)
	if err != nil {
		t.Fatal(err)
	}
	now := start.Add(60 * second) // and Due has not been here
	if got, ok := l.Arrive(now, o.ID); !ok || got != o {
		t.Fatalf("%+v, %v", got, ok)
	}
	if _, twice := l.Arrive(now, o.ID); twice {
		t.Error("somebody else arrives at the same orbit")
	}
	now = now.Add(32 * second)
	if due := l.Due(now); len(due) != 0 {
		t.Fatalf("while he arrives: %v", due)
	}
	l.TurnBack(now, o.ID)
	if at, ok := l.Next(); !ok || at != now.Add(10*second) {
		t.Errorf("the promise ends at %v", at)
	}
	if _, ok := l.Arrive(now.Add(9*second), o.ID); !ok {
		t.Fatal("he cannot come again")
	}
	if o, err = l.Occupy(now.Add(30*second), o.ID, mary); err != nil || o.RingBack != now.Add(120*second) {
		t.Errorf("%+v, %v", o, err)
	}
	l.TurnBack(now, o.ID) // late
	wantState(t, l, "701", Parked)
}

// A source of tokens that repeats itself, or that makes numbers, parks nobody.
func TestTokenIsNeverIssuedTwice(t *testing.T) {
	token := "same"
	l := newLot(t, LotConfig{Quarantine: -1, Token: func() string { return token }})
	l.Leave(start, parkOne(t, l, start, bob, mary, "").ID)
	for _, token = range []string{"same", "702"} {
		o, err := l.Reserve(start, bob, "", "", "701", false)
		if err != nil {
			t.Fatal(err)
		}
		_, err = l.Occupy(start, o.ID, mary)
		wantErr(t, err, ErrProcessing)
		l.Release(start, o.ID)
		wantState(t, l, "701", Free)
	}
}

// The whole secret is random letters and digits, and it prints nowhere.
func TestToken(t *testing.T) {
	seen := map[string]bool{}
	for range 10_000 {
		token := newToken()
		if len(token) != 26 || strings.Trim(token, "abcdefghijklmnopqrstuvwxyz234567") != "" || seen[token] {
			t.Fatalf("token %q", token)
		}
		seen[token] = true
	}
	l := newLot(t, LotConfig{})
	o := parkOne(t, l, start, bob, mary, "")
	var b strings.Builder
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "orbit", o, "due", Due{DueRecall, o})
	fmt.Fprintf(&b, "%v %+v %s %#v %v", o, o, o, o, []Due{{DueRecall, o}})
	if o.Token == "" || strings.Contains(b.String(), o.Token) {
		t.Errorf("the token is to be read in %s", b.String())
	}
}

func TestConfig(t *testing.T) {
	for _, bad := range []LotConfig{
		{},
		{First: 0, Last: 5},
		{First: 5, Last: 4},
		{First: 1, Last: maxOrbits + 1},
		{First: 1, Last: 2, Timeout: 9 * second},
		{First: 1, Last: 2, Timeout: 11 * time.Minute},
		{First: 1, Last: 2, Reservation: -1},
		{First: 1, Last: 2, RingFor: -1},
		{First: 1, Last: 2, Tombstone: -1},
		{First: 1, Last: 2, Attempts: -1},
		{First: 1, Last: 2, PerUser: -1},
	} {
		if _, err := NewLot(bad); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
	got := newLot(t, LotConfig{First: 1, Last: maxOrbits}).Config()
	if got.Timeout != 90*second || got.Quarantine != 30*second || got.Reservation != 60*second || got.RingFor != 30*second ||
		got.Tombstone != 24*time.Hour || got.Attempts != 2 || got.PerUser != 10 {
		t.Errorf("defaults %+v", got)
	}
}

func TestOrbits(t *testing.T) {
	l := newLot(t, LotConfig{})
	parkOne(t, l, start, bob, mary, "702")
	if got := fmt.Sprint(l.Orbits()); got != "[701 Free 702 Parked 703 Free]" {
		t.Error(got)
	}
	if _, ok := l.Next(); !ok {
		t.Error("nothing to be expected of a parked call")
	}
	if _, ok := newLot(t, LotConfig{}).Next(); ok {
		t.Error("something to be expected of an empty lot")
	}
}
