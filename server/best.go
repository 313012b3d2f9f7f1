package server

import "github.com/emiago/sipgo/sip"

// better reports whether a final response says more to the caller than another (RFC 3261 §16.7 step 6): a 6xx before
// all, else the lower class; within 4xx, what the caller can mend by asking again, then what a person said, then what
// only tells that an endpoint was not there.
func better(a, b *sip.Response) bool { return weight(a.StatusCode) < weight(b.StatusCode) }

func weight(code int) int {
	if code >= 600 {
		return 0
	}
	within := 50
	switch code {
	case 401, 407:
		within = 0
	case 415, 420, 484:
		within = 10
	case 486, 488:
		within = 20
	case 480:
		within = 60
	case 408, 430:
		within = 80
	case 487:
		within = 90
	case 503:
		within = 99
	}
	return code/100*100 + within
}

// collectChallenges adds the challenges of one response to another, so that the caller learns of all realms at once
// (RFC 3261 §16.7 step 7). Both must be challenges.
func collectChallenges(from, into *sip.Response) {
	isChallenge := func(r *sip.Response) bool { return r.StatusCode == 401 || r.StatusCode == 407 }
	if !isChallenge(from) || !isChallenge(into) {
		return
	}
	for _, name := range []string{"WWW-Authenticate", "Proxy-Authenticate"} {
		sip.CopyHeaders(name, from, into)
	}
}
