// Package history is the record of conversations: a SQLite file per profile with every message, notice and their fate.
//
// Two things write. Journal is called by the session for an inbound message before it is acknowledged to the network; it
// returns when the message is on disk, and says whether it was there already, which is how a message that arrives by
// several ways or again after a restart is shown once. Record reads the session's events and commits them in batches:
// outbound messages, changes of status, notices. Whatever the disk does, the session never waits for Record; its queue is
// bounded in bytes, and what it holds is written as soon as the disk takes it again.
//
// Durability: a write-ahead log with synchronous=FULL, so that a commit has reached the disk when it returns. Against
// `kill -9` any commit would do, since the operating system keeps what was written; but a 200 tells the sender to forget
// the message, and a promise to the network should also survive the power going. Batches keep that affordable.
//
// A thread is what was said with one peer on one account, keyed by both addresses of record; a message is unique within
// it by its Message-ID and direction, so that a stranger who reuses an id can hide nobody's message but his own.
//
// Search uses a trigram index (FTS5), which finds parts of words in any script, newest first and without ranking, for
// people remember when rather than how often. Words under three characters have no trigram: they are looked for in the
// latest 40,000 lines, so that a search stays instant in a history of any length.
//
// The schema carries its version in PRAGMA user_version; migrations are a list of statements that only grows.
package history
