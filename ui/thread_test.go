package ui

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"offhook/session"
)

// Whatever arrives below or is read from the record above, somebody who has scrolled back sees the same rows.
func TestScrolledViewDoesNotMove(t *testing.T) {
	th := newTheme(true)
	rapid.Check(t, func(t *rapid.T) {
		d := newThreadStyle(rapid.IntRange(20, 120).Draw(t, "width"), &th)
		h := rapid.IntRange(3, 30).Draw(t, "height")
		thread, n := newThread(), 0
		next := func(at time.Time) *entry {
			n++
			text := fmt.Sprint(n, " ", drawText(t, "text"))
			return &entry{kind: entryKind(n % 2), id: fmt.Sprint(n), at: at, from: "Bob", text: text, status: session.Delivered}
		}
		at := morning("10:00:00")
		for range rapid.IntRange(40, 60).Draw(t, "entries") {
			thread.put(next(at))
		}
		thread.scroll(-rapid.IntRange(1, 60).Draw(t, "up"), h, d)
		if !thread.scrolled {
			return
		}
		before, top := thread.draw(h, d)
		for range rapid.IntRange(1, 10).Draw(t, "arrivals") {
			e := next(at.Add(24 * time.Hour))
			e.kind = fromPeer // a delivered message of ours takes the word "delivered" from the one before
			thread.put(e)
		}
		if after, _ := thread.draw(h, d); !slices.Equal(before, after) {
			t.Fatalf("moved by arrivals:\n%q\n%q", before, after)
		}
		if top {
			return // a page above takes the date line from the first row
		}
		page := []*entry{next(at), next(at), next(at)}
		thread.prepend(page)
		if after, _ := thread.draw(h, d); !slices.Equal(before, after) {
			t.Fatalf("moved by a page of the record:\n%q\n%q", before, after)
		}
	})
}

func TestMessageIsShownOnce(t *testing.T) {
	thread := newThread()
	e := func(id string) *entry { return &entry{id: id, at: morning("10:00:00"), text: id} }
	thread.put(e("2"))
	thread.put(e("3"))
	thread.prepend([]*entry{e("1"), e("2")})
	thread.put(e("1"))
	thread.prepend([]*entry{e("0"), e("1"), e("3")})
	var ids []string
	for _, e := range thread.entries {
		ids = append(ids, e.id)
	}
	if !slices.Equal(ids, []string{"0", "1", "2", "3"}) {
		t.Errorf("entries are %q", ids)
	}
}

// One key does one thing, and every action with a key that a terminal may keep to itself has another door.
func TestKeyTable(t *testing.T) {
	keys, twins := map[string]bool{}, map[string]bool{}
	for _, b := range bindings() {
		for _, k := range b.keys {
			if keys[k] {
				t.Errorf("%s is bound twice", k)
			}
			keys[k] = true
			door := b.twin != "" || b.command != "" || len(b.keys) > 1 || b.group == "" || b.where == inEditor
			if k[0] == 'f' && len(k) <= 3 && (b.twin == "" || b.command == "") || len(k) > 4 && k[:4] == "alt+" && !door {
				t.Errorf("%s has no other door", k)
			}
		}
		if b.twin != "" && twins[b.twin] {
			t.Errorf("Ctrl-X %s is bound twice", b.twin)
		}
		twins[b.twin] = true
		if b.do == nil && len(b.keys) > 0 {
			t.Errorf("%s %s does nothing", b.shown, b.help)
		}
	}
}
