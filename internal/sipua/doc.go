// Package sipua is a SIP user agent core (RFC 3261): listeners, transactions, digest, dialogs, registration. Procedures
// block and take a context; there is nothing to be called back from.
//
// A Stack moves messages. A flow (flow_*.go) cuts bytes into messages; decode (wire.go) checks each one and answers or
// drops what is malformed (RFC 4475); receive.go finds or makes the transaction; a new request gets a goroutine that runs
// the Handler. Requests leave from the socket that is listened on, with rport (RFC 3581), over TCP above 1,300 bytes.
// The server's proxy stands on a Stack alone.
//
// An Agent stands on a Stack and knows one user. A request that arrives passes these steps:
//
//  1. handle (agent_serve.go) looks at the To tag: with one, the request belongs to a Dialog or a Usage, else it is new;
//  2. a new one must not be merged, need no unknown extension, and find us not busy; then the Mux gets it;
//  3. one in a dialog waits until its CSeq is next (dialog_order.go), is answered by the dialog (dialog_serve.go) or
//     handed to whoever reads Next, and keeps its goroutine until it is answered.
//
// A request that leaves is located, tried at one target after the other, and repeated with credentials when it is
// challenged (agent_do.go, agent_auth.go). Inside a dialog (dialog_send.go) it follows the route set, one at a time.
//
// One INVITE may create several dialogs, because a proxy may fork it (dialogset.go): each To tag is a dialog of its own.
// The first 2xx wins; every other is acknowledged and ended, even minutes later (RFC 3261 §13.2.2.4). The callee
// (invite.go) repeats its 2xx until the ACK. Which races that leaves, and how each one ends, is told by the tests named
// after the sections of RFC 5407.
//
// Left out: NAPTR, WebSocket, multicast, and session descriptions in a 1xx of ours.
package sipua
