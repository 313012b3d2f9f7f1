package session_test

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"offhook/internal/testkit"
	"offhook/internal/vnet"
	"offhook/session"
)

// Devices that sign in at the same moment, and a text that comes in that moment: whoever has been offered the call beside
// another must not take it at once, for the user may be looking at the other.
func TestNobodyBelievesToBeAloneWrongly(t *testing.T) {
	atOnce := 0
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			if signingInTogether(t, seed) {
				atOnce++
			}
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if atOnce == 0 {
		t.Error("nobody was alone in any of the schedules: the test tests nothing")
	}
}

// signingInTogether reports whether a device took the call at once, which it may only if it was offered to no other.
func signingInTogether(t *testing.T, seed uint64) (immediate bool) {
	rnd := rand.New(rand.NewPCG(seed, 21))
	w := testkit.NewWorld(t, testkit.Seed(seed))
	alice := w.Endpoint("alice")
	bob := w.Endpoint("bob", testkit.Devices(2), testkit.Absent())
	bob.Device(0).SignIn() // so that the server knows him
	bob.Device(0).Close()
	for _, d := range bob.Devices() {
		link := vnet.Link{
			Delay:  time.Duration(1+rnd.IntN(60)) * time.Millisecond,
			Jitter: time.Duration(rnd.IntN(40)) * time.Millisecond, Loss: rnd.Float64() * 0.1,
		}
		w.Net.Link(d.Host, w.ServerHost, link)
		w.Net.Link(w.ServerHost, d.Host, link)
	}
	if rnd.IntN(2) == 0 {
		bob.Device(0).SignIn() // some time ago
		time.Sleep(time.Minute)
		bob.Device(1).Start()
	} else {
		bob.Device(0).Start()
		time.Sleep(time.Duration(rnd.IntN(100)) * time.Millisecond)
		bob.Device(1).Start()
	}
	time.Sleep(time.Duration(rnd.IntN(400)) * time.Millisecond)
	sent := alice.IM(bob, "hello")
	time.Sleep(30 * time.Second)
	synctest.Wait()
	if m, err := sent.Wait(); m.Status != session.Delivered && m.Status != session.Sent {
		t.Errorf("the text is %s: %v", m.Status, err)
	}
	offered := 0
	for _, d := range bob.Devices() {
		for _, ev := range testkit.All[session.CallStateChanged](d) {
			if ev.State == session.Incoming {
				offered++
			}
		}
		for _, ev := range testkit.All[session.AutoAccept](d) {
			immediate = immediate || ev.Immediate
		}
	}
	if immediate && offered > 1 {
		t.Errorf("%d devices were offered the call and one took it at once", offered)
	}
	return immediate
}
