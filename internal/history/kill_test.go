package history

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"offhook/session"
)

// childEnv makes the test binary a child that writes until it is killed, into the file it names.
const childEnv = "OFFHOOK_HISTORY_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		writeForever(path)
	}
	os.Exit(m.Run())
}

// writeForever journals messages and prints the id of each one that is on disk, with other writing beside it.
func writeForever(path string) {
	s := Open(path, alice, quiet)
	ctx := context.Background()
	go func() {
		for i := 0; ; i++ {
			m := inbound(carol, fmt.Sprint("r", i), strings.Repeat("recorded ", 50), 0)
			_ = s.record(ctx, []session.Event{session.MessageChanged{Message: m}}, map[string]session.Party{})
		}
	}()
	for i := 0; ; i++ {
		id := fmt.Sprintf("%d-%d", os.Getpid(), i)
		if _, err := s.Journal(ctx, inbound(bob, id, "text of "+id, 0)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(id)
	}
}

// A process that is killed while it writes loses at most the message that it had not finished, and the file stays whole.
func TestKilledWriterLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	var written []string
	for round := range 4 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(out)
		for range 20 + 13*round { // killed at another place each time
			line, err := lines.ReadString('\n')
			if err != nil {
				t.Fatalf("the child ended: %v", err)
			}
			written = append(written, strings.TrimSpace(line))
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for { // what it said before it died counts too
			line, err := lines.ReadString('\n')
			if err != nil {
				if !errors.Is(err, io.EOF) {
					t.Fatal(err)
				}
				break
			}
			written = append(written, strings.TrimSpace(line))
		}
		_ = cmd.Wait()
	}
	db, err := sql.Open("sqlite", dsn(path))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var verdict string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity: %s, %v", verdict, err)
	}
	if _, err := db.Exec("INSERT INTO words (words) VALUES ('integrity-check')"); err != nil {
		t.Errorf("index: %v", err)
	}
	s := openStore(t, path, alice)
	for _, id := range written {
		if known, err := s.Journal(t.Context(), inbound(bob, id, "text of "+id, 0)); err != nil || !known {
			t.Errorf("message %s is lost (%v)", id, err)
		}
	}
	t.Logf("%d messages acknowledged before four kills", len(written))
}

// A disk that refuses does not hold the session up, is a health condition, and what waited is written when it can be.
func TestRecorderOutlivesTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "state")
		if err := os.WriteFile(dir, nil, 0o600); err != nil { // a file where the directory should be
			t.Fatal(err)
		}
		s := Open(filepath.Join(dir, "history.db"), alice, quiet)
		defer s.Close()
		var told []error
		r := &Recorder{store: s, health: func(err error) { told = append(told, err) }, log: discard()}
		r.peers = map[string]session.Party{}
		time.AfterFunc(time.Minute, func() { _ = os.Remove(dir) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if !r.commit(ctx, []session.Event{session.MessageChanged{Message: inbound(bob, "m1", "waited", 0)}}) {
			t.Error("gave up")
		}
		if len(told) < 2 || told[0] == nil || told[len(told)-1] != nil {
			t.Errorf("health was told %v", told)
		}
		if got, err := s.Messages(t.Context(), "", "", 10); err != nil || len(got) != 1 {
			t.Errorf("%v, %v", got, err)
		}
	})
}

// A program that ends does not wait for a disk that refuses.
func TestRecorderGivesUpWhenTheProgramEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Open(filepath.Join(t.TempDir(), "no\x00name"), alice, quiet)
		defer s.Close()
		r := &Recorder{store: s, health: func(error) {}, log: discard(), peers: map[string]session.Party{}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if r.commit(ctx, []session.Event{session.MessageChanged{Message: inbound(bob, "m1", "x", 0)}}) {
			t.Error("says it has written")
		}
	})
}
