package history

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"offhook/park"
)

const safeURI = "sip:pk-0123456789abcdefghijklmnop@example.org"

func parked(id, orbit string, at time.Duration) park.Record {
	return park.Record{
		ID: id, Service: "sip:park@example.org", Caller: park.Party{URI: "sip:mary@example.org", Display: "Mary"},
		ParkedBy: park.Party{URI: alice}, Note: "order 77", Conversation: "c1",
		Orbit: park.CallParkOrbit{FriendlyOrbit: orbit, SafeRetrieveURI: safeURI, Parked: start.Add(at), RingBack: start.Add(at + 90*time.Second)},
	}
}

func savePark(t *testing.T, s *Store, records ...park.Record) {
	t.Helper()
	for _, r := range records {
		if err := s.SavePark(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
}

// A parked call can be taken back after a restart: what is needed for it is in the file.
func TestParksSurviveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	s := Open(path, alice, quiet)
	first, second := parked("p1", "701", 0), parked("p2", "702", time.Minute)
	savePark(t, s, first, second)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, path, alice)
	got, err := s.Parks(t.Context(), 10)
	if diff := cmp.Diff([]park.Record{second, first}, got); err != nil || diff != "" {
		t.Fatalf("%v %s", err, diff)
	}
	if got[0].Orbit.SafeRetrieveURI != safeURI {
		t.Error("the safe address is lost")
	}
	first.Ended, first.Reason = start.Add(44*time.Second), park.Retrieved
	first.Target = park.Party{URI: "sip:carol@example.org", Display: "Carol"}
	first.Sent = []park.Recipient{{URI: "sip:carol@example.org", Status: "displayed"}, {URI: "sip:dave@example.org", Status: "failed", Error: "nobody"}}
	savePark(t, s, first)
	got, err = s.Parks(t.Context(), 1)
	if diff := cmp.Diff([]park.Record{second}, got); err != nil || diff != "" {
		t.Errorf("the latest: %v %s", err, diff)
	}
	got, err = s.Parks(t.Context(), 10)
	if diff := cmp.Diff([]park.Record{second, first}, got); err != nil || diff != "" {
		t.Errorf("once it has ended: %v %s", err, diff)
	}
	other := openStore(t, path, "sip:bob@example.org")
	if got, err := other.Parks(t.Context(), 10); err != nil || len(got) > 0 {
		t.Errorf("another account of the file sees %v, %v", got, err)
	}
}

// The address is good for somebody else's call to whoever knows it: nobody but the user reads the file, no search finds
// it.
func TestSafeAddressIsASecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	s := openStore(t, path, alice)
	savePark(t, s, parked("p1", "701", 0))
	journal(t, s, inbound(bob, "m1", "Call for you on 701: Mary", 0))
	for _, query := range []string{safeURI, "pk-0123", "pk-"} {
		if got, err := s.Search(t.Context(), query, "", "", 10); err != nil || len(got) > 0 {
			t.Errorf("a search for %s finds %v, %v", query, got, err)
		}
	}
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
	// An error names no secret either.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.SavePark(ctx, parked("p2", "702", 0)); err == nil || strings.Contains(err.Error(), "pk-") {
		t.Errorf("%v", err)
	}
}

// A file of the version before parks has its messages still.
func TestParksComeByMigration(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	before := migrations
	migrations = migrations[:2]
	s := Open(path, alice, quiet)
	journal(t, s, inbound(bob, "m1", "hello", 0))
	err := s.Close()
	migrations = before
	if err != nil {
		t.Fatal(err)
	}
	s = openStore(t, path, alice)
	savePark(t, s, parked("p1", "701", 0))
	if got, err := s.Messages(t.Context(), bob.URI, "", 10); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
}
