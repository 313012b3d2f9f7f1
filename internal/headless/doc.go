// Package headless is the front end without a screen: JSON-RPC 2.0 in, results and events out, one JSON object a line.
//
// It is the program's public control interface. Scripts, window managers and tests speak it on the standard streams of
// `offhook headless`, and on the control socket of any running instance, which `offhook ctl` is a client of.
//
//  1. A line is a request: {"jsonrpc":"2.0","id":1,"method":"im.send","params":{"to":"bob","text":"hi"}}. Without an id it
//     is a notification and gets no answer. The methods are those of internal/command, and two of the connection's own:
//     cancel, which cancels a request by its id, and subscribe.
//  2. Requests run concurrently, each in its goroutine; a response carries the id of its request and comes when the
//     outcome is known.
//  3. Events are notifications, {"method":"event","params":{"seq":1,"time":…,"type":…}}. On the standard streams they come
//     by themselves; on the socket after subscribe. seq grows by one for each event of a connection. Levels and statistics
//     come only to who subscribes to them by name.
//  4. One goroutine writes. A client that does not read stops its own events and responses and nothing else: events wait
//     in a bounded queue, and if that overflows the client gets an event "overflow" and then a "snapshot" of everything.
//
// Errors have the codes of JSON-RPC for requests that make no sense, and -32000 for what failed, with the kind, a hint for
// people and the SIP status in data. The end of standard input is a quit.
//
// Instance is what both front ends stand on: endpoint, contacts, history and the socket, put together from a
// configuration.
package headless
