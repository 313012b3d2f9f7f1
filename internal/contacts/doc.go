// Package contacts keeps the people a user knows: a name, an address of record and the groups they are shown in.
//
// The list is a TOML file that belongs to the user. It may be edited by hand while the program runs: before every change
// the Book looks whether the file is still the one it read, and takes the newer one in first, so that neither side loses
// what the other wrote. A change is written to a temporary file in the same directory, flushed, and renamed over the old
// one; whoever reads it sees the old list or the new list and never half of one. What does not validate is refused with
// file and line rather than dropped, for a program that rewrites a file must not lose what it did not understand.
//
// A contact is identified by its address: sip:user@host, with the scheme and host in lower case and without port or
// parameters, as an address of record has none. Names need not be unique, but Find refuses to guess between two equal
// ones. Groups are in the order of their first appearance in the file, contacts within a group by name.
//
// Import reads vCard 3.0 and 4.0 (RFC 6350): FN or N for the name, ORG and CATEGORIES for groups, and IMPP, TEL and
// X-SIP for addresses, of which those that are SIP are taken. Folded lines, quoted parameters, escapes and property
// groups ("item1.IMPP") are understood, everything else in a card is skipped.
//
// Text of files is cleaned like text of the network: a vCard is often sent by somebody else.
package contacts
