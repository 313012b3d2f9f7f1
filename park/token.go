package park

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"strings"
	"time"
)

// maxTombstones bounds how many ended tokens are known. Beyond it the oldest is forgotten before its time, and its answer
// becomes 404 instead of 410: less is told, but nobody is connected. At 20 orbits and 30 s of quarantine a day cannot
// bring forth more than 57,600.
const maxTombstones = 1 << 16

var tokenText = base32.StdEncoding.WithPadding(base32.NoPadding)

// newToken makes the secret that stands for one park: 128 random bits, in letters and digits that any SIP URI can carry
// and that survive being made lower case.
func newToken() string {
	var bits [16]byte
	_, _ = rand.Read(bits[:]) // never fails, it crashes the program instead
	return strings.ToLower(tokenText.EncodeToString(bits[:]))
}

// A digest is what the lot keeps tokens under. Looking a token up by comparing strings would tell, by the time it takes,
// how much of a guess is right; a hash of the guess is right as a whole or not at all, and its bits cannot be steered. The
// tokens are random, so the hash needs no salt; half of it has as many bits as they have.
type digest [sha256.Size / 2]byte

func digestOf(token string) digest {
	sum := sha256.Sum256([]byte(token))
	return digest(sum[:])
}

// A tombstone is the token of a park that is over.
type tombstone struct {
	token digest
	until time.Time
}

// buryLocked sets the tombstone of a token. The token stays among l.tokens, with the id of a park that is no more.
func (l *Lot) buryLocked(now time.Time, token digest) {
	l.tombstones = append(l.tombstones, tombstone{token, now.Add(l.cfg.Tombstone)})
	if len(l.tombstones) > maxTombstones {
		l.forgetLocked()
	}
}

// crumbleLocked forgets the tokens whose time is over.
func (l *Lot) crumbleLocked(now time.Time) {
	for len(l.tombstones) > 0 && !l.tombstones[0].until.After(now) {
		l.forgetLocked()
	}
}

// forgetLocked forgets the oldest tombstone; they lie in the order in which they were set.
func (l *Lot) forgetLocked() {
	delete(l.tokens, l.tombstones[0].token)
	l.tombstones = l.tombstones[1:]
}
