package server

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
)

// usersFile writes a file of users.
func usersFile(t *testing.T, mode os.FileMode, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// withPassword sends a request, answers the challenge, and returns the last response.
func (u *ua) withPassword(req *sip.Request, password sipua.Secret) *sip.Response {
	u.w.t.Helper()
	res := u.do(req)
	if res == nil || res.StatusCode != 401 && res.StatusCode != 407 {
		return res
	}
	var d sipua.Digest
	again := req.Clone()
	again.CSeq().SeqNo++
	u.cseq++
	h, err := d.Authorize(again, sipua.ParseChallenges(res)[0], u.name, password)
	if err != nil {
		u.w.t.Fatal(err)
	}
	again.AppendHeader(h)
	return u.do(again)
}

func TestDigestUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := sipua.NewHA1("bob", domain, "builder")
		path := usersFile(t, 0o600, "# people", "alice:wonder land", "", "bob:"+domain+":"+h.MD5+":"+h.SHA256)
		w := newWorld(t, func(c *Config) { c.Open, c.Users = false, path })
		alice, bob := w.ua("alice", "127.0.1.1"), w.ua("bob", "127.0.2.1")
		check := func(want int, res *sip.Response) {
			t.Helper()
			if res == nil || res.StatusCode != want {
				t.Fatalf("got %v, want %d", res, want)
			}
		}
		check(401, bob.do(bob.registration(600)))
		check(401, bob.withPassword(bob.registration(600), "wrong"))
		check(200, bob.withPassword(bob.registration(600), "builder"))
		check(200, alice.withPassword(alice.registration(600), "wonder land"))
		check(407, alice.do(alice.message(bob, "hello")))
		check(200, alice.withPassword(alice.message(bob, "hello"), "wonder land"))
		if got := bob.requests(sip.MESSAGE); len(got) != 1 || got[0].GetHeader("Proxy-Authorization") != nil {
			t.Errorf("the receiver sees the sender's credentials")
		}
		forged := alice.message(bob, "I am bob")
		forged.From().Address.User = "bob"
		check(403, alice.withPassword(forged, "wonder land"))
		check(404, alice.withPassword(alice.request(sip.MESSAGE, sip.Uri{Scheme: "sip", User: "eve", Host: domain}), "wonder land"))
		check(401, alice.do(alice.subscription("presence", bob)))
		check(200, alice.withPassword(alice.subscription("presence", bob), "wonder land"))
		check(401, alice.do(alice.publication(alice.document("active"))))
	})
}

// Old telephones give up on a first challenge that they do not know, so SHA-256 is offered only where somebody can use it.
func TestChallengeOffersWhatUsersHave(t *testing.T) {
	h := sipua.NewHA1("bob", domain, "builder")
	for line, want := range map[string]int{"bob:" + domain + ":" + h.MD5: 1, "bob:" + domain + ":" + h.MD5 + ":" + h.SHA256: 2} {
		synctest.Test(t, func(t *testing.T) {
			path := usersFile(t, 0o600, line)
			w := newWorld(t, func(c *Config) { c.Open, c.Users = false, path })
			bob := w.ua("bob", "127.0.2.1")
			res := bob.expect(401, bob.registration(600))
			if got := len(res.GetHeaders("WWW-Authenticate")); got != want {
				t.Errorf("%d challenges, want %d", got, want)
			}
			if res := bob.withPassword(bob.registration(600), "builder"); res == nil || res.StatusCode != 200 {
				t.Errorf("got %v", res)
			}
		})
	}
}

func TestUsersFile(t *testing.T) {
	md5 := strings.Repeat("0a", 16)
	for line, problem := range map[string]string{
		"alice":                             "expected user:domain",
		":secret":                           "no user name",
		"alice:":                            "password is empty",
		"alice:example.com:" + md5:          "the domain is not example.test",
		"alice:example.test:0a":             "MD5",
		"alice:example.test:" + md5 + ":0a": "SHA-256",
		"a:x\na:y":                          "given before",
		"":                                  "names nobody",
	} {
		_, err := readUsers(usersFile(t, 0o600, line), domain)
		if err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%q: %v", line, err)
		}
		if err != nil && strings.Contains(err.Error(), md5) {
			t.Errorf("the error tells a secret: %v", err)
		}
	}
	if _, err := readUsers(usersFile(t, 0o644, "alice:secret"), domain); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a file that everybody reads: %v", err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	udp := func(address string) []sipua.Listener { return []sipua.Listener{{Network: "udp", Address: address}} }
	for _, c := range []struct {
		cfg     Config
		problem string
	}{
		{Config{Open: true}, "no listener"},
		{Config{Open: true, Listen: udp("0.0.0.0:5060")}, "loopback"},
		{Config{Open: true, Listen: udp("192.0.2.1:5060")}, "loopback"},
		{Config{Open: true, Listen: udp(":5060")}, "loopback"},
		{Config{Listen: udp("127.0.0.1:5060")}, "nobody could sign in"},
		{Config{Open: true, Users: "x", Listen: udp("127.0.0.1:5060")}, "not both"},
		{Config{Users: "x", Listen: udp("0.0.0.0:5060")}, "name the domain"},
		{Config{Users: "/nonexistent", Listen: udp("127.0.0.1:5060")}, "no such file"},
	} {
		if _, err := New(c.cfg); err == nil || !strings.Contains(err.Error(), c.problem) {
			t.Errorf("%+v: %v", c.cfg, err)
		}
	}
}

// A stranger whose address may be forged never gets more bytes than it sent, however it asks.
func TestNoAmplification(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newWorld(t).net
		path := usersFile(t, 0o600, "bob:builder")
		w := &world{t: t, net: net}
		w.start(func(c *Config) {
			c.Open, c.Users, c.Domain = false, path, domain
			c.Listen = []sipua.Listener{{Network: "udp", Address: "192.0.2.1:5060"}}
		})
		pc, err := net.ListenPacket(t.Context(), "udp", "198.51.100.7:5060")
		if err != nil {
			t.Fatal(err)
		}
		defer pc.Close()
		received := 0
		go func() {
			buf := make([]byte, 65536)
			for {
				n, _, err := pc.ReadFrom(buf)
				if err != nil {
					return
				}
				received += n
			}
		}()
		sent := 0
		for i, method := range []string{"REGISTER", "INVITE", "MESSAGE", "SUBSCRIBE", "PUBLISH", "OPTIONS", "BYE", "ACK", "X"} {
			for j := range 5 {
				target := "sip:bob@" + domain
				if method == "OPTIONS" || method == "REGISTER" {
					target = "sip:" + domain
				}
				data := method + " " + target + " SIP/2.0\r\nv:SIP/2.0/UDP 198.51.100.7;rport;branch=z9hG4bK" + itoa(i*10+j) +
					"\r\nf:<sip:bob@" + domain + ">;tag=1\r\nt:<sip:b@h>\r\ni:" + itoa(i) + "\r\nCSeq:1 " + method + "\r\nl:0\r\n\r\n"
				n, err := pc.WriteTo([]byte(data), netUDP("192.0.2.1:5060"))
				if err != nil {
					t.Fatal(err)
				}
				sent += n
				time.Sleep(40 * time.Second) // for repetitions, if there were any
				synctest.Wait()
				if received > sent {
					t.Fatalf("%s: %d bytes sent, %d came back", method, sent, received)
				}
			}
		}
		if received == 0 {
			t.Error("nothing came back at all")
		}
	})
}

// What the stack answers by itself, without asking the server, obeys the same rule: however short a malformed request
// is, and however many come, the answers are together no longer than they.
func TestNoAmplificationByMalformedRequests(t *testing.T) {
	const via = "v:SIP/2.0/UDP a;rport\r\n"
	for name, data := range map[string]string{
		"nothing but a Via":   "A a:a SIP/2.0\r\n" + via + "\r\n",
		"another version":     "A a:a SIP/3.0\r\n" + via + "\r\n",
		"no end":              "A a:a SIP/2.0\r\n" + via,
		"bad length":          "A a:a SIP/2.0\r\n" + via + "l:x\r\n\r\n",
		"cancels nothing":     "CANCEL a:a SIP/2.0\r\n" + via + "f:<a:a>\r\nt:<a:a>\r\ni:1\r\nCSeq:1 CANCEL\r\n\r\n",
		"many fields, no To":  "A a:a SIP/2.0\r\n" + via + strings.Repeat(via, 20) + "\r\n",
		"a long refused From": "A a:a SIP/2.0\r\n" + via + "f:" + strings.Repeat("<", 300) + "\r\n\r\n",
	} {
		synctest.Test(t, func(t *testing.T) {
			w := &world{t: t, net: newWorld(t).net}
			path := usersFile(t, 0o600, "bob:builder")
			w.start(func(c *Config) {
				c.Open, c.Users, c.Listen = false, path, []sipua.Listener{{Network: "udp", Address: "192.0.2.1:5060"}}
			})
			pc, err := w.net.ListenPacket(t.Context(), "udp", "198.51.100.7:5060")
			if err != nil {
				t.Fatal(err)
			}
			defer pc.Close()
			sent, received, buf := 0, 0, make([]byte, 65536)
			for range 20 {
				n, err := pc.WriteTo([]byte(data), netUDP("192.0.2.1:5060"))
				if err != nil {
					t.Fatal(err)
				}
				sent += n
				_ = pc.SetReadDeadline(time.Now().Add(time.Second))
				for err == nil {
					if n, _, err = pc.ReadFrom(buf); err == nil {
						received += n
					}
				}
			}
			if received > sent || received == 0 && name != "no end" {
				t.Errorf("%s: %d bytes sent, %d received", name, sent, received)
			}
		})
	}
}

func TestFloodIsLimited(t *testing.T) {
	p, now := newPeers(), time.Now()
	addr := netip.MustParseAddr("198.51.100.7")
	n := 0
	for range 5000 {
		if p.admit(addr, now) {
			n++
		}
	}
	if n != int(admitBurst) {
		t.Errorf("%d admitted at once", n)
	}
	if p.admit(addr, now.Add(time.Second)) != true {
		t.Error("nobody is let in later")
	}
	for range 2 * maxPeers {
		p.admit(addr, now)
		addr = addr.Next()
	}
	if len(p.all) > maxPeers {
		t.Errorf("%d addresses remembered", len(p.all))
	}
	if p.sweep(now.Add(time.Hour)); len(p.all) != 0 {
		t.Errorf("%d addresses not forgotten", len(p.all))
	}
}
