package sipua

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
)

// meetsChallenges is an agent with credentials and a scripted server, and how often the credentials were asked for.
func meetsChallenges(t *testing.T, changes ...change) (*peer, *party, *atomic.Int64) {
	w := newWorld(t)
	var asked atomic.Int64
	creds := func(c *AgentConfig) {
		c.Credentials = func(context.Context) (string, Secret, error) {
			asked.Add(1)
			return "alice", "wonder", nil
		}
	}
	return w.peer(peerHost), w.agent("alice", aliceHost, append(changes, creds)...), &asked
}

func md5Challenge(realm, nonce, more string) string {
	return fmt.Sprintf(`WWW-Authenticate: Digest realm="%s", nonce="%s", qop="auth", algorithm=MD5%s`, realm, nonce, more)
}

func messaging(t *testing.T, p *party) <-chan outcome {
	c := make(chan outcome, 1)
	go func() {
		req := p.NewRequest(sip.MESSAGE, at(peerHost))
		setBody(req, "text/plain", []byte("hi"))
		res, err := p.Do(t.Context(), req)
		c <- outcome{res: res, err: err}
	}()
	return c
}

func authIn(req *sip.Request) map[string]string {
	h := req.GetHeader("Authorization")
	if h == nil {
		return nil
	}
	p, _ := authParams(h.Value())
	return p
}

func TestChallengeIsAnsweredOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv, alice, asked := meetsChallenges(t)
		out := messaging(t, alice)
		first := srv.request(sip.MESSAGE, time.Second)
		if authIn(first) != nil {
			t.Fatal("credentials volunteered to a stranger")
		}
		srv.reply(first, 401, "t", md5Challenge("r", "n1", ""))
		second := srv.request(sip.MESSAGE, time.Second)
		if p := authIn(second); p["nonce"] != "n1" || p["nc"] != "00000001" || second.CSeq().SeqNo != first.CSeq().SeqNo+1 ||
			second.CallID().Value() != first.CallID().Value() || fromTag(second) != fromTag(first) {
			t.Fatalf("second attempt %s", second)
		}
		srv.reply(second, 401, "t", md5Challenge("r", "n2", "")) // a fresh nonce does not make the password right
		if o := within(t, out, time.Second, "end"); !hasStatus(o.err, 401) {
			t.Fatal(o.err)
		}
		srv.quiet(time.Minute)
		// The credentials are forgotten, so that a person can be asked for better ones.
		out = messaging(t, alice)
		srv.reply(srv.request(sip.MESSAGE, time.Second), 401, "t", md5Challenge("r", "n3", ""))
		srv.reply(srv.request(sip.MESSAGE, time.Second), 200, "t")
		if o := within(t, out, time.Second, "end"); o.err != nil || asked.Load() != 2 {
			t.Errorf("%v, asked %d times", o.err, asked.Load())
		}
	})
}

func TestStaleNonceIsRenewed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv, alice, asked := meetsChallenges(t)
		out := messaging(t, alice)
		srv.reply(srv.request(sip.MESSAGE, time.Second), 401, "t", md5Challenge("r", "n1", ""))
		srv.reply(srv.request(sip.MESSAGE, time.Second), 401, "t", md5Challenge("r", "n2", ", stale=true"))
		third := srv.request(sip.MESSAGE, time.Second)
		if authIn(third)["nonce"] != "n2" {
			t.Fatal("the new nonce was not used")
		}
		srv.reply(third, 200, "t")
		if o := within(t, out, time.Second, "end"); o.err != nil {
			t.Fatal(o.err)
		}
		// What is known is used in advance, with the next count; a nonce that has expired meanwhile is no failure.
		out = messaging(t, alice)
		next := srv.request(sip.MESSAGE, time.Second)
		if p := authIn(next); p["nonce"] != "n2" || p["nc"] != "00000002" {
			t.Fatalf("%v", p)
		}
		srv.reply(next, 401, "t", md5Challenge("r", "n4", "")) // some servers never say stale
		again := srv.request(sip.MESSAGE, time.Second)
		if authIn(again)["nonce"] != "n4" {
			t.Fatal("a new nonce was not answered")
		}
		srv.reply(again, 200, "t")
		if o := within(t, out, time.Second, "end"); o.err != nil || asked.Load() != 1 {
			t.Errorf("%v, asked %d times", o.err, asked.Load())
		}
	})
}

func TestEndlessStaleIsGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv, alice, _ := meetsChallenges(t)
		out := messaging(t, alice)
		for i := range maxRounds + 1 {
			srv.reply(srv.request(sip.MESSAGE, time.Second), 401, "t", md5Challenge("r", fmt.Sprint("n", i), ", stale=true"))
		}
		if o := within(t, out, time.Second, "end"); !hasStatus(o.err, 401) {
			t.Error(o.err)
		}
	})
}

// A proxy and the server behind it ask one after the other; both answers travel together.
func TestProxyAndServerChallenge(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv, alice, asked := meetsChallenges(t)
		out := messaging(t, alice)
		proxy := strings.Replace(md5Challenge("proxy", "p1", ""), "WWW-Authenticate", "Proxy-Authenticate", 1)
		srv.reply(srv.request(sip.MESSAGE, time.Second), 407, "t", proxy)
		srv.reply(srv.request(sip.MESSAGE, time.Second), 401, "t", md5Challenge("server", "s1", ""))
		req := srv.request(sip.MESSAGE, time.Second)
		if req.GetHeader("Proxy-Authorization") == nil || authIn(req)["realm"] != "server" {
			t.Fatalf("%s", req)
		}
		srv.reply(req, 200, "t")
		if o := within(t, out, time.Second, "end"); o.err != nil || asked.Load() != 1 {
			t.Errorf("%v, asked %d times", o.err, asked.Load())
		}
	})
}

func TestStrongerAlgorithmIsPreferred(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv, alice, _ := meetsChallenges(t)
		out := messaging(t, alice)
		srv.reply(srv.request(sip.MESSAGE, time.Second), 401, "t", md5Challenge("r", "weak", ""),
			strings.Replace(md5Challenge("r", "strong", ""), "MD5", "SHA-256", 1))
		req := srv.request(sip.MESSAGE, time.Second)
		if p := authIn(req); p["nonce"] != "strong" || len(req.GetHeaders("Authorization")) != 1 {
			t.Fatalf("%v", p)
		}
		srv.reply(req, 200, "t")
		within(t, out, time.Second, "end")
	})
}

// Credentials known for one place are not shown to another.
func TestCredentialsStayHome(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		srv, other := w.peer(peerHost), w.peer(bobHost)
		alice := w.agent("alice", aliceHost, password("alice", "wonder"))
		out := messaging(t, alice)
		srv.reply(srv.request(sip.MESSAGE, time.Second), 407, "t",
			strings.Replace(md5Challenge("r", "n1", ""), "WWW-Authenticate", "Proxy-Authenticate", 1))
		srv.reply(srv.request(sip.MESSAGE, time.Second), 200, "t")
		within(t, out, time.Second, "end")
		go func() { _, _ = alice.Do(t.Context(), alice.NewRequest(sip.MESSAGE, at(bobHost))) }()
		req := other.request(sip.MESSAGE, time.Second)
		if req.GetHeader("Proxy-Authorization") != nil {
			t.Error("credentials shown elsewhere")
		}
		other.reply(req, 200, "t")
	})
}

// Whoever asks for a password is asked once, however many requests wait for it.
func TestCredentialsAreAskedOnceAtATime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var asked atomic.Int64
		ac := newAccount(func(context.Context) (string, Secret, error) {
			asked.Add(1)
			time.Sleep(time.Minute) // a person types
			return "alice", "wonder", nil
		})
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if user, _, _, err := ac.credentials(t.Context()); err != nil || user != "alice" {
					t.Error(user, err)
				}
			})
		}
		wg.Wait()
		if asked.Load() != 1 {
			t.Errorf("asked %d times", asked.Load())
		}
	})
}

func TestInviteIsChallenged(t *testing.T) {
	bubble(t, func(t *testing.T) {
		phone, alice, _ := meetsChallenges(t)
		out := alice.calling(t.Context(), inviteTo(peerHost))
		inv := phone.request(sip.INVITE, time.Second)
		phone.reply(inv, 401, "t", md5Challenge("r", "n1", ""))
		phone.request(sip.ACK, time.Second)
		inv = phone.request(sip.INVITE, time.Second)
		phone.reply(inv, 200, "a")
		ack := phone.request(sip.ACK, time.Second)
		// RFC 3261 §13.2.2.4: the ACK carries the credentials of the INVITE.
		if authIn(ack)["nonce"] != "n1" || ack.CSeq().SeqNo != inv.CSeq().SeqNo {
			t.Fatalf("%s", ack)
		}
		d := within(t, out, time.Second, "dialog").dialog
		go func() { _, _ = d.Do(t.Context(), sip.MESSAGE, "text/plain", []byte("x")) }()
		msg := phone.request(sip.MESSAGE, time.Second)
		if msg.CSeq().SeqNo != inv.CSeq().SeqNo+1 {
			t.Errorf("CSeq %d behind %d", msg.CSeq().SeqNo, inv.CSeq().SeqNo)
		}
		phone.reply(msg, 200, "")
	})
}
