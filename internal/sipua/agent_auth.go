package sipua

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/emiago/sipgo/sip"
)

// Bounds on what challengers can make a client do and keep.
const (
	maxRounds = 6  // challenges answered for one request: a few proxies and a server, each stale once
	maxRealms = 32 // challenges remembered
)

// protectionSpace is where a challenge applies: the next hop it came through and the realm, and for a server's own
// challenge the server as well. Credentials are volunteered to nobody else.
type protectionSpace struct {
	hop, realm, server string
	proxy              bool
}

// account holds the credentials of one user and what servers have asked for.
type account struct {
	// Immutable
	ask    func(ctx context.Context) (string, Secret, error)
	digest *Digest
	asking chan struct{} // capacity 1, holds a token while somebody asks: a person is asked once at a time

	mu sync.Mutex
	// Guarded by mu
	known    bool
	user     string
	password Secret
	age      int // counts changes of user and password
	last     map[protectionSpace]Challenge
}

func newAccount(ask func(ctx context.Context) (string, Secret, error)) *account {
	return &account{
		ask: ask, digest: &Digest{}, asking: make(chan struct{}, 1), last: map[protectionSpace]Challenge{},
	}
}

// authRound is one request on its way through challenges.
type authRound struct {
	// Owned by exchange
	account  *account
	req      *sip.Request
	hop      string
	rounds   int
	sent     map[protectionSpace]Challenge // the nonce that went with the last attempt
	answered map[protectionSpace]bool      // answered a challenge, not merely volunteered
	age      int                           // of the credentials used
}

// begin prepares a request: challenges that were met before at this place are answered in advance (RFC 3261 §22.3).
func (ac *account) begin(req *sip.Request, hop sip.Uri) *authRound {
	r := &authRound{
		account: ac, req: req, hop: place(&hop),
		sent: map[protectionSpace]Challenge{}, answered: map[protectionSpace]bool{},
	}
	ac.mu.Lock()
	for space, c := range ac.last {
		if ac.known && space.hop == r.hop && (space.proxy || space.server == place(&req.Recipient)) {
			r.sent[space] = c
		}
	}
	user, password, age := ac.user, ac.password, ac.age
	ac.mu.Unlock()
	r.age = age
	if err := r.authorize(user, password); err != nil {
		r.strip()
		clear(r.sent)
	}
	return r
}

func place(u *sip.Uri) string { return strings.ToLower(u.Host) + ":" + fmt.Sprint(u.Port) }

// answer prepares the request for another attempt if res is a challenge that can be met. The same failure is never
// answered twice: a realm that challenges again has refused the credentials, unless it says that only the nonce was
// stale (RFC 3261 §22.2, RFC 7616 §3.3).
func (r *authRound) answer(ctx context.Context, res *sip.Response) (again bool, err error) {
	if res.StatusCode != 401 && res.StatusCode != 407 {
		return false, nil
	}
	if r.account.ask == nil || r.rounds >= maxRounds {
		return false, nil
	}
	r.rounds++
	fresh := map[protectionSpace]Challenge{}
	for _, c := range ParseChallenges(res) { // best first: RFC 8760 §2.4
		space := protectionSpace{hop: r.hop, realm: c.Realm, proxy: c.Proxy}
		if !c.Proxy {
			space.server = place(&r.req.Recipient)
		}
		if _, chosen := fresh[space]; chosen {
			continue
		}
		before, tried := r.sent[space]
		if tried && !c.Stale && (r.answered[space] || before.Nonce == c.Nonce) {
			r.account.refused(r.age, space)
			return false, nil
		}
		fresh[space] = c
	}
	if len(fresh) == 0 {
		return false, nil
	}
	user, password, age, err := r.account.credentials(ctx)
	if err != nil {
		return false, fmt.Errorf("sipua: credentials: %w", err)
	}
	r.age = age
	for space, c := range fresh {
		r.sent[space], r.answered[space] = c, true
	}
	if err := r.authorize(user, password); err != nil {
		return false, err
	}
	r.account.remember(fresh)
	return true, nil
}

// authorize writes the answers to all challenges known for this request.
func (r *authRound) authorize(user string, password Secret) error {
	r.strip()
	for _, c := range r.sent {
		h, err := r.account.digest.Authorize(r.req, c, user, password)
		if err != nil {
			return err
		}
		r.req.AppendHeader(h)
	}
	return nil
}

func (r *authRound) strip() {
	for _, name := range []string{"Authorization", "Proxy-Authorization"} {
		for r.req.RemoveHeader(name) {
		}
	}
}

// credentials returns what is known, asking if nothing is. Of several that ask at once the first does.
func (ac *account) credentials(ctx context.Context) (string, Secret, int, error) {
	select {
	case ac.asking <- struct{}{}:
		defer func() { <-ac.asking }()
	case <-ctx.Done():
		return "", "", 0, context.Cause(ctx)
	}
	ac.mu.Lock()
	known, user, password, age := ac.known, ac.user, ac.password, ac.age
	ac.mu.Unlock()
	if known {
		return user, password, age, nil
	}
	user, password, err := ac.ask(ctx)
	if err != nil {
		return "", "", 0, err
	}
	ac.mu.Lock()
	defer ac.mu.Unlock()
	ac.known, ac.user, ac.password = true, user, password
	ac.age++
	return user, password, ac.age, nil
}

// refused forgets credentials that a server did not take, so that the next request asks again.
func (ac *account) refused(age int, space protectionSpace) {
	ac.mu.Lock()
	defer ac.mu.Unlock()
	delete(ac.last, space)
	if ac.age == age {
		ac.known, ac.user, ac.password = false, "", ""
	}
}

func (ac *account) remember(fresh map[protectionSpace]Challenge) {
	ac.mu.Lock()
	defer ac.mu.Unlock()
	for space, c := range fresh {
		if len(ac.last) >= maxRealms {
			clear(ac.last)
		}
		ac.last[space] = c
	}
}
