package history

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"offhook/session"
)

const alice = "sip:alice@example.org"

var (
	bob   = session.Party{URI: "sip:bob@example.org", Display: "Bob"}
	carol = session.Party{URI: "sip:carol@example.org"}
	start = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
)

var quiet = slog.New(slog.DiscardHandler)

func openStore(t testing.TB, path, account string) *Store {
	t.Helper()
	s := Open(path, account, quiet)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.Ready(); err != nil {
		t.Fatal(err)
	}
	return s
}

func newStore(t testing.TB) *Store {
	return openStore(t, filepath.Join(t.TempDir(), "history.db"), alice)
}

func inbound(peer session.Party, id, text string, at time.Duration) session.Message {
	return session.Message{
		Conversation: "c1", ID: id, Direction: session.Inbound, Peer: peer, From: peer, Text: text,
		ContentType: "text/plain", Status: session.Delivered, Time: start.Add(at),
	}
}

func journal(t testing.TB, s *Store, messages ...session.Message) {
	t.Helper()
	for _, m := range messages {
		if _, err := s.Journal(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
}

func texts(messages []session.Message) []string {
	out := []string{}
	for _, m := range messages {
		out = append(out, m.Text)
	}
	return out
}

func TestJournalKnowsMessages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	s := openStore(t, path, alice)
	m := inbound(bob, "m1", "hello", 0)
	steps := []struct {
		name  string
		m     session.Message
		known bool
	}{
		{"new", m, false},
		{"again", m, true},
		{"same id from somebody else", inbound(carol, "m1", "mine", 0), false},
		{"same peer with a port", func() session.Message { m := m; m.Peer.URI = "sip:bob@EXAMPLE.org:5080;transport=tcp"; return m }(), true},
		{"own copy of a message to myself", func() session.Message { m := m; m.Direction = session.Outbound; return m }(), false},
	}
	for _, step := range steps {
		known, err := s.Journal(t.Context(), step.m)
		if err != nil || known != step.known {
			t.Errorf("%s: known %v, %v", step.name, known, err)
		}
	}
	// Another account on the same file, and another process, later.
	if known, err := openStore(t, path, "sip:work@example.org").Journal(t.Context(), m); known || err != nil {
		t.Errorf("another account: known %v, %v", known, err)
	}
	if known, err := openStore(t, path, alice).Journal(t.Context(), m); !known || err != nil {
		t.Errorf("after a restart: known %v, %v", known, err)
	}
}

// The beginning of a long text, then the whole: one line, found by words of either, and never cut again by what the
// recorder writes late.
func TestWholeTextReplacesItsBeginning(t *testing.T) {
	s := newStore(t)
	whole := inbound(bob, "m1", "all work and no play makes a dull boy", 0)
	beginning := inbound(bob, "m1", "all work and…", 0)
	beginning.Partial = true
	for _, step := range []struct {
		m     session.Message
		known bool
	}{{beginning, false}, {beginning, true}, {whole, false}, {whole, true}, {beginning, true}} {
		if known, err := s.Journal(t.Context(), step.m); err != nil || known != step.known {
			t.Errorf("%q: known %v, %v", step.m.Text, known, err)
		}
	}
	beginning.Missed = true
	if err := s.record(t.Context(), []session.Event{session.MessageChanged{Message: beginning}}, map[string]session.Party{}); err != nil {
		t.Fatal(err)
	}
	got, err := s.Messages(t.Context(), bob.URI, "", 10)
	if err != nil || len(got) != 1 || got[0].Text != whole.Text || got[0].Partial || !got[0].Missed {
		t.Errorf("%+v, %v", got, err)
	}
	for query, want := range map[string]int{"no play": 1, "all work": 1, "and…": 0} {
		if got, err := s.Search(t.Context(), query, "", "", 10); err != nil || len(got) != want {
			t.Errorf("search %q: %+v, %v", query, got, err)
		}
	}
}

func TestMessagesAreWhatWasWritten(t *testing.T) {
	s := newStore(t)
	want := inbound(bob, "m1", "line one\nline two", 1500*time.Microsecond)
	want.Call, want.Toast, want.Missed, want.Elsewhere, want.Error = "call7", true, true, true, "why"
	journal(t, s, want)
	got, err := s.Messages(t.Context(), bob.URI, "", 10)
	if err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	if !got[0].Time.Equal(want.Time) {
		t.Errorf("time %v, want %v", got[0].Time, want.Time)
	}
	got[0].Time, got[0].Conversation = want.Time, want.Conversation
	if got[0] != want {
		t.Errorf("got  %+v\nwant %+v", got[0], want)
	}
}

func TestPages(t *testing.T) {
	s := newStore(t)
	for i := range 25 {
		journal(t, s, inbound(bob, fmt.Sprint("m", i), fmt.Sprint(i), time.Duration(i/5)*time.Minute)) // five at each time
		journal(t, s, inbound(carol, fmt.Sprint("m", i), "other", 0))
	}
	var all []string
	before := int64(0)
	for {
		page, err := s.Page(t.Context(), bob.URI, before, 4)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		var part []string
		for _, l := range page {
			part = append(part, l.Text)
		}
		all = append(part, all...)
		before = page[0].ID
	}
	for i := range 25 {
		if i >= len(all) || all[i] != fmt.Sprint(i) {
			t.Fatalf("pages put together: %v", all)
		}
	}
	older, err := s.Messages(t.Context(), bob.URI, "m3", 2)
	if err != nil || !slices.Equal(texts(older), []string{"1", "2"}) {
		t.Errorf("before m3: %v, %v", texts(older), err)
	}
	if _, err := s.Messages(t.Context(), bob.URI, "nonsense", 2); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("unknown id: %v", err)
	}
}

// A message that the network stored arrives late and belongs where it was written.
func TestStoredMessagesStandAtTheirTime(t *testing.T) {
	s := newStore(t)
	journal(t, s, inbound(bob, "m1", "noon", 3*time.Hour), inbound(bob, "m2", "stored at nine", 0))
	got, err := s.Messages(t.Context(), bob.URI, "", 10)
	if err != nil || !slices.Equal(texts(got), []string{"stored at nine", "noon"}) {
		t.Errorf("%v, %v", texts(got), err)
	}
}

func TestSearch(t *testing.T) {
	s := newStore(t)
	for i, text := range []string{
		"Der Zug nach Zürich fährt um neun", "train to Zurich", "ok", "Preis: 100% \"bestätigt\"", "a_b and a%b", "日本語のメッセージ",
		"Straße 5", "foo AND NOT bar*", "the last one: train",
	} {
		journal(t, s, inbound(bob, fmt.Sprint("m", i), text, time.Duration(i)*time.Minute))
	}
	journal(t, s, inbound(carol, "x", "carol's train", 0))
	for _, tt := range []struct {
		query string
		want  []string
	}{
		{"zurich", []string{"Der Zug nach Zürich fährt um neun", "train to Zurich"}},
		{"TRAIN", []string{"train to Zurich", "the last one: train"}},
		{"train zur", []string{"train to Zurich"}},
		{"train to", []string{"train to Zurich"}}, // a long word and a short one
		{"ok", []string{"ok"}},
		{"100%", []string{"Preis: 100% \"bestätigt\""}},
		{`"bestä`, []string{"Preis: 100% \"bestätigt\""}},
		{"_b", []string{"a_b and a%b"}},
		{"%b", []string{"a_b and a%b"}},
		{"メッセ", []string{"日本語のメッセージ"}},
		{"本語", []string{"日本語のメッセージ"}},
		{"NOT bar*", []string{"foo AND NOT bar*"}},
		{"nowhere", []string{}},
		{"", []string{}},
		{"\x00", []string{}},
		{"text:", []string{}},
	} {
		got, err := s.Search(t.Context(), tt.query, bob.URI, "", 10)
		if err != nil || !slices.Equal(texts(got), tt.want) {
			t.Errorf("%q: %q, %v; want %q", tt.query, texts(got), err, tt.want)
		}
	}
	everywhere, err := s.Search(t.Context(), "train", "", "", 2)
	if err != nil || !slices.Equal(texts(everywhere), []string{"carol's train", "the last one: train"}) {
		t.Errorf("everywhere: %q, %v", texts(everywhere), err)
	}
	older, err := s.Search(t.Context(), "train", "", "m8", 1)
	if err != nil || !slices.Equal(texts(older), []string{"train to Zurich"}) {
		t.Errorf("before m8: %q, %v", texts(older), err)
	}
}

// A word too short for the index is looked for in the latest lines only, and with before in those before it.
func TestShortWordsAreBounded(t *testing.T) {
	s := newStore(t)
	journal(t, s, inbound(bob, "old", "go", 0), inbound(carol, "hers", "go too", time.Second))
	_, err := s.write.Exec(`INSERT INTO line (thread, time, kind, text)
		WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		SELECT (SELECT thread FROM line WHERE message_id = 'old'), ?, 'notice', 'filler' FROM n`,
		scanLimit-1, start.Add(time.Minute).UnixMicro())
	if err != nil {
		t.Fatal(err)
	}
	journal(t, s, inbound(bob, "new", "no go", time.Hour))
	for _, tt := range []struct {
		query, peer, before string
		want                int
	}{
		{"go", "", "", 1},            // the oldest two are too far back
		{"go", carol.URI, "", 1},     // her thread is short
		{"go", bob.URI, "", 1},       // his is not
		{"go", bob.URI, "new", 1},    // before: the old one is within reach again
		{"go too", carol.URI, "", 1}, // with a word of the index
		{"too", "", "", 1},           // which alone has no bound
		{"go", carol.URI, "hers", 0}, // nothing before
		{"go", "", "hers", 1},        // his is
	} {
		got, err := s.Search(t.Context(), tt.query, tt.peer, tt.before, 10)
		if err != nil || len(got) != tt.want {
			t.Errorf("%+v: %q, %v", tt, texts(got), err)
		}
	}
}

func FuzzSearch(f *testing.F) {
	s := Open(filepath.Join(f.TempDir(), "history.db"), alice, quiet)
	f.Cleanup(func() { _ = s.Close() })
	if _, err := s.Journal(context.Background(), inbound(bob, "m1", "some text", 0)); err != nil {
		f.Fatal(err)
	}
	for _, q := range []string{"text", `"`, "a OR b", "NEAR(x y)", "-text", "te*", "{text}: x", "\\%_", "\x00abc", "ab\xffcd"} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, query string) {
		if _, err := s.Search(t.Context(), query, "", "", 5); err != nil {
			t.Errorf("%q: %v", query, err)
		}
	})
}

func TestUnreadByPeer(t *testing.T) {
	s := newStore(t)
	journal(t, s, inbound(bob, "m1", "one", 0), inbound(bob, "m2", "two", 0), inbound(carol, "m3", "three", 0))
	if got, err := s.Unread(t.Context()); err != nil || !maps.Equal(got, map[string]int{bob.URI: 2, carol.URI: 1}) {
		t.Errorf("%v, %v", got, err)
	}
	if err := s.MarkRead(t.Context(), bob.URI); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Unread(t.Context()); err != nil || !maps.Equal(got, map[string]int{carol.URI: 1}) {
		t.Errorf("after reading: %v, %v", got, err)
	}
}

func TestThreadsAndUnread(t *testing.T) {
	s := newStore(t)
	journal(t, s, inbound(bob, "m1", "one", 0), inbound(bob, "m2", "two", time.Minute), inbound(carol, "m3", "three", time.Hour))
	taken := inbound(bob, "m4", "answered elsewhere", 2*time.Minute)
	taken.Elsewhere = true
	journal(t, s, taken)
	check := func(want ...string) {
		t.Helper()
		threads, err := s.Threads(t.Context(), 10)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, th := range threads {
			got = append(got, fmt.Sprint(th.Peer.URI, " ", th.Unread))
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	check("sip:carol@example.org 1", "sip:bob@example.org 2")
	if err := s.MarkRead(t.Context(), bob.URI); err != nil {
		t.Fatal(err)
	}
	check("sip:carol@example.org 1", "sip:bob@example.org 0")
	journal(t, s, inbound(bob, "m5", "later", 3*time.Hour))
	check("sip:bob@example.org 1", "sip:carol@example.org 1")
}

func TestRecord(t *testing.T) {
	s := newStore(t)
	m := inbound(bob, "m1", "in", 0)
	journal(t, s, m)
	out := m
	out.ID, out.Direction, out.Status, out.Text, out.Time = "m2", session.Outbound, session.Sending, "out", start.Add(time.Second)
	delivered, read := out, m
	delivered.Status = session.Delivered
	read.Missed = true
	peers := map[string]session.Party{}
	batch := []session.Event{
		session.Notice{Conversation: "stranger", Time: start, Text: "belongs nowhere"},
		session.ConversationChanged{Conversation: "c1", Peer: bob},
		session.MessageChanged{Message: out},
		session.MessageChanged{Message: read},
		session.Notice{Conversation: "c1", Time: start.Add(2 * time.Second), Text: "taken by LAB-PC"},
		session.MessageChanged{Message: delivered},
	}
	if err := s.record(t.Context(), batch, peers); err != nil {
		t.Fatal(err)
	}
	page, err := s.Page(t.Context(), bob.URI, 0, 10)
	if err != nil || len(page) != 3 {
		t.Fatalf("%d lines, %v", len(page), err)
	}
	if !page[0].Missed || page[1].Status != session.Delivered || !page[2].Notice || page[2].Text != "taken by LAB-PC" {
		t.Errorf("%+v", page)
	}
	if found, err := s.Search(t.Context(), "LAB-PC", "", "", 10); err != nil || len(found) != 0 {
		t.Errorf("search finds a notice: %v, %v", found, err)
	}
	whole := out
	whole.Text = "the whole of a shortened text"
	if err := s.record(t.Context(), []session.Event{session.MessageChanged{Message: whole}}, peers); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]int{"shortened": 1, "out": 0} {
		if found, err := s.Search(t.Context(), query, bob.URI, "", 10); err != nil || len(found) != want {
			t.Errorf("after a change of text %q finds %v, %v", query, found, err)
		}
	}
	if messages, err := s.Messages(t.Context(), "", "", 10); err != nil || len(messages) != 2 {
		t.Errorf("%d messages, %v", len(messages), err)
	}
}

func TestFileIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "history.db")
	journal(t, openStore(t, path, alice), inbound(bob, "m1", "secret", 0))
	for _, name := range []string{path, path + "-wal"} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

func TestUnusableFilesAreExplained(t *testing.T) {
	dir := t.TempDir()
	newer := filepath.Join(dir, "newer.db")
	db, err := sql.Open("sqlite", dsn(newer))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	garbage := filepath.Join(dir, "garbage.db")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("not a database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		newer:                            "newer version",
		garbage:                          "not a database (26); move it away",
		filepath.Join(garbage, "x/y.db"): "not a directory",
	} {
		s := Open(path, alice, quiet)
		if err := s.Ready(); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
		if _, err := s.Journal(t.Context(), inbound(bob, "m", "x", 0)); err == nil {
			t.Errorf("%s: the journal says it has written", path)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestAwkwardPath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b?c#d%20é", "history.db")
	journal(t, openStore(t, path, alice), inbound(bob, "m1", "x", 0))
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}
