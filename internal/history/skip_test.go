package history

import (
	"bytes"
	"database/sql"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A record that cannot be read takes no other with it, whatever has happened to the file. That is told once, and nothing of
// what stands in it.
func TestUnreadableRecordsAreLeftOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	var log bytes.Buffer
	s := Open(path, alice, slog.New(slog.NewTextHandler(&log, nil)))
	defer s.Close()
	savePark(t, s, parked("p1", "701", 0), parked("p2", "702", time.Minute), parked("p3", "703", 2*time.Minute), parked("p4", "704", 3*time.Minute))
	journal(t, s, inbound(bob, "m1", "one", 0), inbound(bob, "m2", "two", 1), inbound(bob, "m3", "three", 2), inbound(carol, "m4", "four", 3))
	db, err := sql.Open("sqlite", dsn(path))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, damage := range []string{
		`UPDATE park SET record = substr(record, 1, 40) WHERE id = 'p2'`,
		`UPDATE park SET record = replace(record, '"2026', '"secret') WHERE id = 'p3'`,
		`UPDATE park SET record = '{}' WHERE id = 'p4'`,
		`UPDATE line SET missed = 'secret' WHERE message_id = 'm2'`,
		`UPDATE thread SET last = 'secret' WHERE peer = '` + carol.URI + `'`,
	} {
		if done, err := db.ExecContext(t.Context(), damage); err != nil {
			t.Fatal(err)
		} else if n, _ := done.RowsAffected(); n != 1 {
			t.Fatalf("%s: %d rows", damage, n)
		}
	}
	for range 2 {
		parks, err := s.Parks(t.Context(), 10)
		if err != nil || len(parks) != 1 || parks[0].ID != "p1" {
			t.Errorf("parks: %v, %v", parks, err)
		}
		messages, err := s.Messages(t.Context(), bob.URI, "", 10)
		if got := texts(messages); err != nil || !slices.Equal(got, []string{"one", "three"}) {
			t.Errorf("messages: %q, %v", got, err)
		}
		page, err := s.Page(t.Context(), bob.URI, 0, 10)
		if err != nil || len(page) != 2 {
			t.Errorf("page: %v, %v", page, err)
		}
		found, err := s.Search(t.Context(), "three", "", "", 10)
		if err != nil || len(found) != 1 {
			t.Errorf("found: %v, %v", found, err)
		}
		threads, err := s.Threads(t.Context(), 10)
		if err != nil || len(threads) != 1 || threads[0].Peer.URI != bob.URI {
			t.Errorf("threads: %v, %v", threads, err)
		}
	}
	told := log.String()
	if n := strings.Count(told, "\n"); n != 5 || strings.Contains(told, "secret") || strings.Contains(told, "pk-") {
		t.Errorf("%d lines: %s", n, told)
	}
	for _, want := range []string{"history.db table=park record=p2", "history.db table=park record=p3", "table=line record=2", "table=thread record=2"} {
		if !strings.Contains(told, want) {
			t.Errorf("%s is not told: %s", want, told)
		}
	}
}
