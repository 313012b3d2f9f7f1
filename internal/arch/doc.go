// Package arch holds the architecture by tests.
//
// What a design document says is forgotten; what a test says is kept. The tests of this package parse the source tree
// and fail when it leaves the agreed shape:
//
//   - import levels: a package imports only packages of lower levels, so that a reader may begin at level 0 and never
//     has to look up. The table is in levels_test.go; a new package takes its place there first.
//   - homes: every third-party module is imported by the packages named for it and by no other, so that replacing one
//     is the work of one package.
//   - package docs: every package explains itself, and every exported name has a sentence.
//   - RFCs: every RFC that the source cites stands in docs/rfc.txt with its support status, and every RFC that is
//     listed there as supported is cited where it is implemented.
//   - generated files: config.example.toml, docs/config.md, docs/keys.md and docs/events.md are what the code says.
//     `make docs` writes them.
//   - source: no file grows beyond 600 lines, no test sleeps on the wall clock, no package keeps a registry that init
//     functions fill, logs go to a logger that was passed in.
//
// It has no code of its own.
package arch
