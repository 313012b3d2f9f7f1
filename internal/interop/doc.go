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
// A test is skipped, and says so, when its server is not installed. The folder bench compares the embedded server
// with Kamailio under load: `make bench-server`, which needs SIPp as well.
package interop
