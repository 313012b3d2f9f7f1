// Package ui is the terminal front end: a Bubble Tea program with conversations, contacts and toasts.
//
// There is one model and one loop. Everything that happens becomes a message of that loop: a key, a batch of the
// session's events, the outcome of an action, a tick of a countdown. Update routes a message to the file that knows what
// to do and never waits; whatever may wait (sending, accepting, reading history) runs in a tea.Cmd and comes back as a
// message. Commands never touch the model.
//
// Components are plain structs. A thread is the lines of one conversation, wrapped lazily and drawn from an anchor, so
// that the cost of a frame depends on the height of the screen and not on the length of the history, and so that text
// which arrives while somebody reads further up moves nothing. An editor is the input line, with the keys of readline;
// every conversation has its own, so a half-typed line stays where it was typed. The layout is computed once for a frame
// and serves drawing and mouse clicks alike. Every row that is drawn is exactly as wide as the screen.
//
// One table (keys.go) holds every key with its second way, its command and its sentence of help. The key handler, the
// hint row, the help of F1 and docs/keys.md are all made from it.
//
// An audio call has a row above the conversation, whichever is shown: everything that must be seen of it (muted, held,
// recorded, how it is encrypted) is a word there. What is shown of calls is read from the session as a whole whenever an
// event was about one. During a call the screen is drawn once a second, for the clock and the meter; the renderer rests in
// between, as it does when nothing happens (quiet.go).
//
// Parked calls are seen where one looks anyway: in the list, in the status row, in the conversation of the caller and, for a
// moment, at the call bar; all of them together on the board of F9. The board is read from the session as a whole, as calls
// are. Seconds that count down cost one frame each, and none where none is on screen. Nobody is put through to another
// caller than the one they saw: what was selected and is gone hands its selection to nobody, and where somebody else is
// parked than expected a box asks, which takes no letter that was meant for a message.
//
// Three habits are deliberate. Nothing that arrives takes the focus or a key: a toast is answered with function keys or
// a Ctrl-X pair, and the letters stay in the input line. State is shown by letters first and by colour second. And the
// program is honest about attention: it reports every key to the session, which ranks this device among the user's, and
// it takes that claim back when the terminal is detached or out of focus for long.
package ui
