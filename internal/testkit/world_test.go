package testkit_test

import (
	"testing"
	"testing/synctest"
	"time"

	"offhook/internal/testkit"
	"offhook/internal/vnet"
	"offhook/session"
)

// The story of the package comment.
func TestStory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := testkit.NewWorld(t)
		alice, bob := w.Endpoint("alice"), w.Endpoint("bob", testkit.Devices(2))
		bob.Device(1).Input(0) // somebody sits there
		w.Sleep(time.Second)
		sent := alice.IM(bob, "do you have a minute?")
		bob.Device(0).ExpectToast("alice", "do you have a minute?")
		w.Sleep(12 * time.Second) // nobody clicks
		bob.MostActive().ExpectConversation("alice")
		if winner := bob.ExpectOne(); winner != bob.Device(1) {
			t.Errorf("%s has the session, want the device in use", winner.Name)
		}
		sent.Expect(session.Delivered)
		bob.ExpectJournaled("do you have a minute?")
	})
}

// A machine that died is known to the server and answers nothing: the next one takes over.
func TestCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := testkit.NewWorld(t)
		alice, bob := w.Endpoint("alice"), w.Endpoint("bob", testkit.Devices(2))
		best := bob.MostActive()
		alice.IM(bob, "hello")
		best.ExpectToast("alice", "hello")
		best.Cut()
		w.Sleep(14 * time.Second)
		if winner := bob.ExpectOne(); winner == best {
			t.Error("the device that was cut off has the session")
		}
	})
}

// Messages for people who are away are stored, also while the server is stopped and started again.
func TestAbsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := testkit.NewWorld(t, testkit.StateDir(t.TempDir()), testkit.Links(vnet.Link{Delay: 20 * time.Millisecond}))
		alice, bob := w.Endpoint("alice"), w.Endpoint("bob")
		bob.Device(0).Close()
		alice.IM(bob, "read this later").Expect(session.Sent)
		w.StopServer()
		w.StartServer()
		again := bob.AddDevice()
		again.SignIn()
		again.ExpectMessage("alice", "read this later")
	})
}
