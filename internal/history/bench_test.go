package history

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"offhook/session"
)

func discard() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// fill writes n messages of 40 peers.
func fill(tb testing.TB, path string, n int) {
	s := Open(path, alice, quiet)
	write, _, err := s.handles()
	if err != nil {
		tb.Fatal(err)
	}
	words := strings.Fields("the train to Zurich leaves at nine please call me back about the invoice for the new office " +
		"meeting moved tomorrow lunch budget review deploy failed again server kitchen coffee parking")
	rnd := rand.New(rand.NewPCG(1, 2))
	err = inTx(context.Background(), write, func(tx *sql.Tx) error {
		for i := range n {
			peer := session.Party{URI: fmt.Sprintf("sip:peer%d@example.org", rnd.IntN(40))}
			text := make([]string, 3+rnd.IntN(15))
			for j := range text {
				text[j] = words[rnd.IntN(len(words))]
			}
			if i%1000 == 500 {
				text = append(text, "needle")
			}
			m := inbound(peer, fmt.Sprint("m", i), strings.Join(text, " "), time.Duration(i)*time.Second)
			if _, err := s.insert(context.Background(), tx, m, true); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	if err := s.Close(); err != nil {
		tb.Fatal(err)
	}
}

func Benchmark100k(b *testing.B) {
	path := filepath.Join(b.TempDir(), "history.db")
	fill(b, path, 100_000)
	b.Run("open and first page", func(b *testing.B) {
		for b.Loop() {
			s := Open(path, alice, quiet)
			threads, err := s.Threads(b.Context(), 100)
			if err != nil || len(threads) != 40 {
				b.Fatal(len(threads), err)
			}
			if page, err := s.Page(b.Context(), threads[0].Peer.URI, 0, 200); err != nil || len(page) != 200 {
				b.Fatal(len(page), err)
			}
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
	s := openStore(b, path, alice)
	b.Run("page", func(b *testing.B) {
		for b.Loop() {
			if page, err := s.Page(b.Context(), "sip:peer7@example.org", 50_000, 100); err != nil || len(page) != 100 {
				b.Fatal(len(page), err)
			}
		}
	})
	for name, q := range map[string][2]string{
		"rare": {"needle", ""}, "common": {"train", ""}, "two words": {"train invoice", ""},
		"rare in a thread": {"needle", "sip:peer7@example.org"}, "common in a thread": {"train", "sip:peer7@example.org"},
		"short": {"at", ""}, "short in a thread": {"zq", "sip:peer7@example.org"}, "common with short": {"train zq", ""},
		"short and nowhere": {"zq", ""}, "nowhere": {"nothing", ""},
		"common in no thread": {"train", "sip:stranger@example.org"},
	} {
		b.Run("search "+name, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Search(b.Context(), q[0], q[1], "", 50); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("journal", func(b *testing.B) {
		i := 0
		for b.Loop() {
			i++
			journal(b, s, inbound(bob, fmt.Sprint("j", i), "do you have a minute?", 0))
		}
	})
}
