package demo

import (
	"context"
	"errors"
	"strings"
	"testing"

	"offhook/park"
	"offhook/session"
)

// parkMary has Mary call alice, and alice park her.
func (p *person) parkMary() park.CallParkOrbit {
	p.t.Helper()
	p.send("bob", "mary")
	toast := await(p, func(e session.ToastShown) bool { return e.Kind == "call" && strings.Contains(e.From.URI, "mary") })
	call, ok := p.FindToast(toast.Toast)
	if !ok {
		p.t.Fatal("the toast offers no call")
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	if err := call.Accept(ctx); err != nil {
		p.t.Fatal(err)
	}
	if can, _ := call.Conversation().Can("park"); !can {
		await(p, func(e session.ActionAvailability) bool { return e.Action == "park" && e.Available })
	}
	orbit, err := call.Conversation().Park(ctx, "", "order 77")
	if err != nil {
		p.t.Fatal(err)
	}
	return orbit
}

// unparked waits for what has become of the call that was parked.
func (p *person) unparked(reason park.UnparkReason) session.Unparked {
	p.t.Helper()
	e := await(p, func(session.Unparked) bool { return true })
	if e.Reason != reason {
		p.t.Fatalf("unparked: %+v", e)
	}
	return e
}

func TestCarolPicksUp(t *testing.T) {
	t.Parallel()
	_, alice := visit(t)
	orbit := alice.parkMary()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	told, err := alice.Broadcast(ctx, orbit.FriendlyOrbit, []string{"sip:carol@" + Domain, "sip:echo@" + Domain}, "")
	if err != nil || len(told) != 2 {
		t.Fatal(told, err)
	}
	if e := alice.unparked(park.Retrieved); !strings.Contains(e.Target.URI, "carol") {
		t.Errorf("%+v has her", e.Target)
	}
	alice.heard("carol", "I have Mary Young from "+orbit.FriendlyOrbit)
}

// The story that safe retrieval is for: the caller is gone, somebody else has the number.
func TestPeterTakesMarysNumber(t *testing.T) {
	t.Parallel()
	_, alice := visit(t)
	alice.say("bob", "mary hangs up", "Mary is not parked")
	orbit := alice.parkMary()
	alice.send("bob", "mary hangs up")
	alice.unparked(park.Abandoned)
	alice.heard("bob", "parked Peter Stone on "+orbit.FriendlyOrbit)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := alice.Retrieve(ctx, orbit.FriendlyOrbit, false)
	var known *session.Error
	if !errors.As(err, &known) || known.Kind != session.KindStaleOrbit && known.Kind != session.KindStranger {
		t.Fatalf("alice gets somebody: %v", err)
	}
	call, err := alice.Retrieve(ctx, orbit.FriendlyOrbit, true)
	if err != nil {
		t.Fatal(err)
	}
	if who := call.Conversation().Peer(); !strings.Contains(who.URI, "peter") {
		t.Errorf("on %s is %+v", orbit.FriendlyOrbit, who)
	}
	if err := call.Terminate(ctx); err != nil {
		t.Error(err)
	}
}

func TestBobParksForAlice(t *testing.T) {
	t.Parallel()
	_, alice := visit(t)
	alice.send("bob", "park one")
	toast := await(alice, func(e session.ToastShown) bool { return e.Kind == "orbit" })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	call, err := alice.Retrieve(ctx, toast.Orbit, false)
	if err != nil {
		t.Fatal(err)
	}
	if who := call.Conversation().Peer(); !strings.Contains(who.URI, "peter") {
		t.Errorf("on %s is %+v", toast.Orbit, who)
	}
	if err := call.Terminate(ctx); err != nil {
		t.Error(err)
	}
}

func TestNobodyIsTold(t *testing.T) {
	t.Parallel()
	_, alice := visit(t)
	orbit := alice.parkMary()
	toast := await(alice, func(e session.ToastShown) bool { return e.Kind == "ringback" })
	if !strings.Contains(toast.Text, orbit.FriendlyOrbit) || !strings.Contains(toast.From.URI, "mary") {
		t.Errorf("what comes back is %+v", toast)
	}
	call, ok := alice.FindToast(toast.Toast)
	if !ok {
		t.Fatal("the toast offers no call")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := call.Accept(ctx); err != nil {
		t.Fatal(err)
	}
	alice.unparked(park.Ringback)
	_ = call.Terminate(ctx)
}
