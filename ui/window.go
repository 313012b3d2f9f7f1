package ui

import (
	"slices"
	"strings"
	"time"

	"offhook/internal/plaintext"
	"offhook/session"
)

// window is one conversation on screen. Window 1 is home, where the program itself speaks.
type window struct {
	number       int
	peer         string // URI; "" for home
	name         string
	conversation string // the session's id, once there is one
	state        session.ConversationState
	call         string // live IM call
	callState    session.State
	thread       thread
	input        editor
	unread       int
	unseen       bool      // something arrived on screen while nobody pressed a key; the next key reads it
	composing    time.Time // until when the peer is typing; zero: not
	opened       bool      // the record's newest page has been asked for
	sought       string    // id of a message that is to be shown once the record has been read that far

	outbox   []string // what waits for the message before it to be on its way
	inFlight string   // the text given to the session, until the session has shown it
	ticket   int      // of the send in flight
	told     time.Time
}

func (w *window) home() bool { return w.peer == "" }

// shortName is the name for the sender column.
func (w *window) shortName() string {
	first, _, _ := strings.Cut(w.name, " ")
	return first
}

// rename gives the window the name of its peer, in the lines that are there as well.
func (w *window) rename(name string) {
	if name == w.name || name == "" {
		return
	}
	w.name = name
	short := w.shortName()
	for _, e := range w.thread.entries {
		if e.kind == fromPeer {
			e.from, e.rows = short, nil
		}
	}
}

// partyName is how a party is called: its display name, or its address without what goes without saying.
func partyName(p session.Party) string {
	if name := plaintext.Line(p.Display, maxName); name != "" {
		return name
	}
	uri := plaintext.Line(p.URI, maxName)
	_, rest, ok := strings.Cut(uri, ":")
	if !ok {
		rest = uri
	}
	user, _, _ := strings.Cut(rest, "@")
	if user == "" {
		return rest
	}
	return user
}

// windows is the list of windows in the order of their numbers, which stay put.
type windows struct {
	all     []*window
	current *window
}

func newWindows() windows {
	home := &window{number: 1, name: "home", thread: newThread()}
	home.thread.oldest, home.opened = true, true
	return windows{all: []*window{home}, current: home}
}

// open returns the window of a peer, a new one with the lowest free number if there is none.
func (ws *windows) open(p session.Party) *window {
	for _, w := range ws.all {
		if address(w.peer) == address(p.URI) && !w.home() {
			if p.Display != "" {
				w.rename(partyName(p))
			}
			return w
		}
	}
	n := 1
	for slices.ContainsFunc(ws.all, func(w *window) bool { return w.number == n }) {
		n++
	}
	w := &window{number: n, peer: p.URI, name: partyName(p), thread: newThread()}
	ws.all = append(ws.all, w)
	slices.SortFunc(ws.all, func(a, b *window) int { return a.number - b.number })
	return w
}

func (ws *windows) home() *window { return ws.all[0] }

func (ws *windows) numbered(n int) *window {
	for _, w := range ws.all {
		if w.number == n {
			return w
		}
	}
	return nil
}

func (ws *windows) byConversation(id string) *window {
	for _, w := range ws.all {
		if w.conversation == id && id != "" {
			return w
		}
	}
	return nil
}

func (ws *windows) byPeer(uri string) *window {
	for _, w := range ws.all {
		if uri != "" && address(w.peer) == address(uri) {
			return w
		}
	}
	return nil
}

// close removes a window; the one before it becomes current if it was.
func (ws *windows) close(w *window) {
	at := slices.Index(ws.all, w)
	if at <= 0 { // home stays
		return
	}
	ws.all = slices.Delete(ws.all, at, at+1)
	if ws.current == w {
		ws.current = ws.all[min(at, len(ws.all)-1)]
	}
}

// next is the window n places further, around the ends.
func (ws *windows) next(n int) *window {
	at := slices.Index(ws.all, ws.current) + n
	return ws.all[(at%len(ws.all)+len(ws.all))%len(ws.all)]
}

// named is the first window whose name begins with what, else the first that contains it.
func (ws *windows) named(what string) *window {
	what = strings.ToLower(what)
	for _, match := range []func(string, string) bool{strings.HasPrefix, strings.Contains} {
		for _, w := range ws.all {
			if match(strings.ToLower(w.name), what) || match(strings.ToLower(strings.TrimPrefix(w.peer, "sip:")), what) {
				return w
			}
		}
	}
	return nil
}
