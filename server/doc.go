// Package server is a small SIP exchange for a desk, a team or a test: one process, no database, no configuration but a
// file of users.
//
// It plays four parts of RFC 3261 and its neighbours, all on one sipua.Stack, and has a fifth beside it:
//
//   - a registrar (registrar.go, location.go, gruu.go): which endpoints a user has, and over which flow each is reached
//     (RFC 3261 §10, RFC 5626, RFC 5627);
//   - a stateful forking proxy (proxy.go, fork.go, branch.go, best.go, route.go): a request to a user goes to all of the
//     user's endpoints at once; the first 2xx wins, the others are canceled with the reason "completed elsewhere"
//     (RFC 3261 §16, RFC 3326). It record-routes, so a dialog's later requests cross it too;
//   - a presence agent (publish.go, presence.go, reg.go, subscribe.go, notifier.go): endpoints publish what they know of
//     their user, subscribers get one document composed of it (RFC 3903, RFC 6665, RFC 3856, RFC 3680);
//   - a message store (message.go, deliver.go, store.go, journal.go): a MESSAGE for a user who is away is accepted with
//     202, is on disk before that is said, and is delivered in order when the user signs in (RFC 3428 §8);
//   - call park (parkconfig.go, parking.go, lamp.go): the service itself is a user agent with a socket of its own (package
//     park/service). Here its names are routed to it, it is told who calls, and its lamps are served (RFC 4235, RFC 4662).
//
// What clients tell it of themselves is noted as it changes (ledger.go) and taken up by the next process (restore.go): a
// server that was killed is useful as soon as it is started again, not only when everybody has refreshed. Parked calls are
// not among it, since their media end with the process: whoever parked one is told that it was disconnected.
//
// A request enters through dispatch.go, which only routes. Who may do what is decided in identify.go: digest users from
// a file, or anybody on a loopback address. What a stranger can cost is bounded in limit.go: to an address that has not
// proved itself never more bytes are sent than came from it, and nothing is kept for it.
//
// The server never relays for strangers: a request is passed on only to users of its own domain, or inside a dialog that
// it let through and whose Route carries its signature.
//
// What is not here: other domains, parallel servers sharing state, serial forking by q value.
package server
