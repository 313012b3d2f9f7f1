// Package interop holds the tests against servers that other people wrote.
//
// The same stories that the scenario tests tell in fake time against the embedded server are told here in real time through
// a real one: what a forked IM does when nobody clicks, when somebody does, when the elected endpoint dies, when no
// device state is to be had. They need programs that a build machine does not have and take minutes, so they are built
// with the tag "interop" and run by `make interop`:
//
//	kamailio with its presence and extra modules (Debian: kamailio kamailio-presence-modules kamailio-extra-modules
//	kamailio-utils-modules kamailio-xml-modules)
//
// Calls are tried with phones and servers of other makes, and what each side records is measured: is it the tone that
// was played, is it as loud, is it whole. The program is run as its users run it, by its control API:
//
//   - baresip (Debian: baresip-core): every codec with every way of encryption, directly, through the embedded server and
//     through Kamailio; hold, keys, transfers, call waiting, who hangs up or gives up first. It sends RTP from another
//     address than it announces, which looks like a NAT.
//   - SIPp (Debian: sip-tester) as a peer that is odd or breaks rules: no offer, no answer, late answers, strange descriptions.
//   - Asterisk, which sends back what it hears. ASTERISK names the program, ASTERISK_ROOT the tree it was unpacked into, if it
//     is not installed.
//
// Calls are parked in both directions. With the park service of "offhook server" telephones of others park, are parked, pick up
// and are rung back: baresip 1.x by blind transfer, which knows neither Referred-By nor Replaces, and linphonec (Debian:
// linphone-cli), which knows both, by attended transfer. Our client parks at an Asterisk, as it comes and with the helpers
// in the folder asterisk, directly and behind Kamailio. What people hear tells who they are connected to.
//
// A test is skipped, and says so, when its program is not installed. OFFHOOK_BIN names the program under test; without it one
// is built. The folder bench compares the embedded server with Kamailio under load: `make bench-server`, which needs SIPp as
// well.
package interop
