//go:build e2e

package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestProcesses tells the stories of the election and of stored messages with real processes, real sockets, real time
// and real deaths. The same stories run in fake time beside the session package; here the point is that nothing was faked.
func TestProcesses(t *testing.T) {
	t.Run("nobody clicks", func(t *testing.T) { t.Parallel(); nobodyClicks(t) })
	t.Run("a click on the least active", func(t *testing.T) { t.Parallel(); clickOnLeastActive(t) })
	t.Run("the elected one is killed", func(t *testing.T) { t.Parallel(); electedIsKilled(t) })
	t.Run("no publication", func(t *testing.T) { t.Parallel(); noPublication(t) })
	t.Run("a sole endpoint", func(t *testing.T) { t.Parallel(); soleEndpoint(t) })
	t.Run("kill -9 of the server", func(t *testing.T) { t.Parallel(); serverIsKilled(t) })
}

const text = "do you have a minute?"

// devices signs three devices of bob's in; the last is used last, the first least recently.
func devices(t *testing.T, x *exchange, more ...string) []*process {
	t.Helper()
	var bobs []*process
	for i := range 3 {
		bobs = append(bobs, x.endpoint(t, "bob", fmt.Sprintf("bob-%d", i), more...))
	}
	for i, b := range bobs {
		ago := time.Duration(2-i) * time.Minute
		b.call(5*time.Second, "presence.input", "at", time.Now().Add(-ago).UTC().Format(time.RFC3339Nano))
	}
	time.Sleep(2 * time.Second) // wall clock: publications spread; an observer has no event to wait for
	return bobs
}

// offer lets alice send text and waits until all of bob's devices have it. It returns the time of sending.
func offer(t *testing.T, alice *process, bobs []*process) time.Time {
	t.Helper()
	at := time.Now()
	alice.ask("im.send", "to", "sip:bob@example.test", "text", text)
	for _, b := range bobs {
		b.event(2*time.Second, "toast.shown", "text", text)
	}
	return at
}

// exactlyOne fails unless the winner, and no other, has an established session.
func exactlyOne(t *testing.T, winner *process, bobs []*process) {
	t.Helper()
	for _, b := range bobs {
		n := 0
		for _, e := range b.events("call.state") {
			if e["state"] == "Established" {
				n++
			}
		}
		if want := map[bool]int{true: 1}[b == winner]; n != want {
			t.Errorf("%s has established %d sessions, want %d", b.name, n, want)
		}
	}
}

// inAllHistories fails unless every device finds the text.
func inAllHistories(t *testing.T, bobs []*process) {
	t.Helper()
	for _, b := range bobs {
		result, failure := b.answer(b.ask("history.search", "query", "minute"), 5*time.Second)
		if failure != nil {
			t.Fatalf("%s: %v", b.name, failure)
		}
		if got := fmt.Sprint(result); !strings.Contains(got, text) {
			t.Errorf("%s does not have the text in its history: %s", b.name, got)
		}
	}
}

func between(t *testing.T, what string, got, low, high time.Duration) {
	t.Helper()
	t.Logf("%s after %v", what, got.Round(time.Millisecond))
	if got < low || got > high {
		t.Errorf("%s after %v, want between %v and %v", what, got, low, high)
	}
}

func nobodyClicks(t *testing.T) {
	x := startServer(t)
	alice, bobs := x.endpoint(t, "alice", "alice"), devices(t, x)
	at := offer(t, alice, bobs)
	winner := bobs[2]
	accepted := winner.event(13*time.Second, "call.auto_accept", "elected", "true", "rank", "0")
	between(t, "the most active device accepts", accepted.at.Sub(at), 10*time.Second, 11500*time.Millisecond)
	for _, b := range bobs[:2] {
		b.event(5*time.Second, "toast.closed", "reason", "answered_elsewhere")
	}
	alice.event(5*time.Second, "call.state", "state", "Established")
	winner.event(5*time.Second, "call.state", "state", "Established")
	time.Sleep(5 * time.Second) // wall clock: whoever would still accept had its chance
	exactlyOne(t, winner, bobs)
	inAllHistories(t, bobs)
}

func clickOnLeastActive(t *testing.T) {
	x := startServer(t)
	alice, bobs := x.endpoint(t, "alice", "alice"), devices(t, x)
	at := offer(t, alice, bobs)
	winner := bobs[0]
	toast := winner.events("toast.shown")[0]["toast"]
	time.Sleep(time.Until(at.Add(3 * time.Second))) // wall clock: a person who reads first
	winner.call(5*time.Second, "toast.accept", "toast", toast)
	winner.event(5*time.Second, "call.state", "state", "Established")
	for _, b := range bobs[1:] {
		b.event(5*time.Second, "toast.closed", "reason", "answered_elsewhere")
	}
	time.Sleep(time.Until(at.Add(16 * time.Second))) // wall clock: whoever would still accept had its chance
	exactlyOne(t, winner, bobs)
	inAllHistories(t, bobs)
}

func electedIsKilled(t *testing.T) {
	x := startServer(t)
	alice, bobs := x.endpoint(t, "alice", "alice"), devices(t, x)
	at := offer(t, alice, bobs)
	time.Sleep(time.Until(at.Add(5 * time.Second))) // wall clock: half way through the window
	bobs[2].kill()
	winner := bobs[1]
	accepted := winner.event(13*time.Second, "call.auto_accept", "elected", "true")
	between(t, "the next device accepts", accepted.at.Sub(at), 10*time.Second, 14*time.Second)
	winner.event(5*time.Second, "call.state", "state", "Established")
	bobs[0].event(5*time.Second, "toast.closed", "reason", "answered_elsewhere")
	time.Sleep(4 * time.Second) // wall clock: whoever would still accept had its chance
	exactlyOne(t, winner, bobs[:2])
	inAllHistories(t, bobs[:2])
}

func noPublication(t *testing.T) {
	x := startServer(t)
	alice, bobs := x.endpoint(t, "alice", "alice"), devices(t, x, "--no-publish")
	at := offer(t, alice, bobs)
	established := alice.event(19*time.Second, "call.state", "state", "Established")
	between(t, "some device accepts", established.at.Sub(at), 10*time.Second, 18*time.Second)
	time.Sleep(time.Until(at.Add(22 * time.Second))) // wall clock: whoever would still accept had its chance
	var live []string
	for _, b := range bobs {
		n := 0
		for _, e := range b.events("call.state") {
			switch e["state"] {
			case "Established":
				n++
			case "Terminated":
				if n > 0 {
					n--
				}
			}
		}
		if n > 0 {
			live = append(live, b.name)
		}
	}
	if len(live) != 1 {
		t.Errorf("sessions live on %v, want exactly one device", live)
	}
	inAllHistories(t, bobs)
}

func soleEndpoint(t *testing.T) {
	x := startServer(t)
	alice, bob := x.endpoint(t, "alice", "alice"), x.endpoint(t, "bob", "bob")
	time.Sleep(2 * time.Second) // wall clock: bob learns from the server that he is alone
	at := time.Now()
	alice.ask("im.send", "to", "sip:bob@example.test", "text", text)
	accepted := bob.event(5*time.Second, "call.auto_accept", "immediate", "true")
	between(t, "the sole device accepts", accepted.at.Sub(at), 0, time.Second)
	bob.event(5*time.Second, "call.state", "state", "Established")
	if shown := bob.events("toast.shown"); len(shown) > 0 {
		t.Errorf("a toast was shown: %v", shown)
	}
}

func serverIsKilled(t *testing.T) {
	x := startServer(t)
	alice, bob := x.endpoint(t, "alice", "alice"), x.endpoint(t, "bob", "bob")
	if code := bob.interrupt(10 * time.Second); code != 130 {
		t.Errorf("bob ended with exit code %d, want 130", code)
	}
	for i := range 5 {
		result := alice.call(40*time.Second, "im.send", "to", "sip:bob@example.test", "text", fmt.Sprintf("%s (%d)", text, i))
		if result["status"] != "sent" {
			t.Fatalf("a message for an absent user is %v, want sent", result["status"])
		}
	}
	x.kill()
	x.run(t)
	bob = x.endpoint(t, "bob", "bob again")
	bob.expect("the last stored message", 20*time.Second, func(o map[string]any) bool {
		params, _ := o["params"].(map[string]any)
		return params["type"] == "im.message" && params["text"] == text+" (4)"
	})
	var got []any
	for _, e := range bob.events("im.message") {
		if e["direction"] == "inbound" {
			got = append(got, e["text"])
		}
	}
	for i := range 5 {
		if want := fmt.Sprintf("%s (%d)", text, i); i >= len(got) || got[i] != want {
			t.Fatalf("bob got %q, want five messages in order", got)
		}
	}
}
