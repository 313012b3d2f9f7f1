package sipua

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"pgregory.net/rapid"
)

func named(t testing.TB, name string) algorithm {
	t.Helper()
	i, ok := algorithmNamed(name)
	if !ok {
		t.Fatal(name)
	}
	return algorithms[i]
}

// The examples of RFC 2617 §3.5 and RFC 7616 §3.9.1.
func TestDigestVectors(t *testing.T) {
	old := proof{nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093", nc: "00000001", cnonce: "0a4f113b", qop: "auth", method: "GET", uri: "/dir/index.html"}
	now := proof{
		nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc: "00000001", cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
		qop: "auth", method: "GET", uri: "/dir/index.html",
	}
	for _, c := range []struct {
		alg, realm, password string
		p                    proof
		want                 string
	}{
		{"MD5", "testrealm@host.com", "Circle Of Life", old, "6629fae49393a05397450978507c4ef1"},
		{"MD5", "http-auth@example.org", "Circle of Life", now, "8ca523f5e9506fed4657c9700eebdbec"},
		{"SHA-256", "http-auth@example.org", "Circle of Life", now, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"},
	} {
		a := named(t, c.alg)
		if got := a.response(a.sum("Mufasa", c.realm, c.password), c.p); got != c.want {
			t.Errorf("%s %s: got %s", c.alg, c.realm, got)
		}
	}
}

// challenged returns a response with the given challenges.
func challenged(values ...string) *sip.Response {
	res := sip.NewResponse(401, "Unauthorized")
	for _, v := range values {
		res.AppendHeader(sip.NewHeader("WWW-Authenticate", v))
	}
	return res
}

func TestParseChallenges(t *testing.T) {
	cs := ParseChallenges(challenged(
		`Digest realm="r", nonce="m", algorithm=MD5, qop="auth"`,
		`Basic realm="r"`,
		`Digest realm="r", nonce="f", algorithm=FUTURE-9`,
		`Digest realm="broken, nonce="x"`,
		`Digest nonce`,
		`digest NONCE="a, b=\"c", Realm = "r, s" ,, qop="auth-int , AUTH",algorithm=sha-256, stale=TRUE, opaque="o"`,
	))
	if len(cs) != 2 {
		t.Fatalf("got %+v", cs)
	}
	c := cs[0]
	if c.Nonce != `a, b=\"c` || c.Realm != "r, s" || !c.Stale || c.Opaque != "o" || strings.Join(c.QOP, "+") != "auth-int+auth" {
		t.Errorf("got %+v", c)
	}
	if cs[1].Nonce != "m" {
		t.Errorf("got %+v", cs[1])
	}
}

func authenticator() *Authenticator {
	return NewAuthenticator("example.org", func(user string) (HA1, bool) {
		return NewHA1("alice", "example.org", "s3cret"), user == "alice"
	})
}

// answer challenges a request and adds the credentials.
func answer(t testing.TB, d *Digest, a *Authenticator, req *sip.Request, rank int, user string, password Secret) {
	t.Helper()
	res := sip.NewResponse(401, "Unauthorized")
	for _, h := range a.Challenge(false, false) {
		res.AppendHeader(h)
	}
	h, err := d.Authorize(req, ParseChallenges(res)[rank], user, password)
	if err != nil {
		t.Fatal(err)
	}
	req.AppendHeader(h)
}

func TestClientAgainstServer(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		a, d := authenticator(), &Digest{}
		req := request(rapid.SampledFrom([]sip.RequestMethod{sip.REGISTER, sip.INVITE, sip.MESSAGE}).Draw(r, "method"),
			rapid.String().Draw(r, "body"))
		user := rapid.SampledFrom([]string{"alice", "mallory"}).Draw(r, "user")
		password := rapid.SampledFrom([]Secret{"s3cret", "guess", ""}).Draw(r, "password")
		answer(t, d, a, req, rapid.IntRange(0, 1).Draw(r, "algorithm"), user, password)
		got, stale, err := a.Verify(req, false)
		right := user == "alice" && password == "s3cret"
		if right && (err != nil || stale || got != "alice") {
			r.Fatalf("right password refused: %q %v %v", got, stale, err)
		}
		if !right && !errors.Is(err, ErrBadCredentials) {
			r.Fatalf("wrong password: %q %v %v", got, stale, err)
		}
		if right {
			if _, stale, err := a.Verify(req, false); err != nil || !stale {
				r.Fatalf("a replay was let in: %v %v", stale, err)
			}
		}
	})
}

func TestCountsMayOvertake(t *testing.T) {
	a, d := authenticator(), &Digest{}
	res := sip.NewResponse(401, "Unauthorized")
	for _, h := range a.Challenge(false, false) {
		res.AppendHeader(h)
	}
	c := ParseChallenges(res)[0]
	var reqs []*sip.Request
	for range 10 {
		req := request(sip.MESSAGE, "x")
		h, err := d.Authorize(req, c, "alice", "s3cret")
		if err != nil {
			t.Fatal(err)
		}
		req.AppendHeader(h)
		reqs = append(reqs, req)
	}
	for _, i := range []int{9, 0, 5, 1, 2, 3, 4, 6, 7, 8} {
		if _, stale, err := a.Verify(reqs[i], false); err != nil || stale {
			t.Errorf("use %d: %v %v", i, stale, err)
		}
	}
	if _, stale, _ := a.Verify(reqs[5], false); !stale {
		t.Error("a replay was let in")
	}
}

func TestNonceEnds(t *testing.T) {
	a, d := authenticator(), &Digest{}
	now := time.Now()
	a.now = func() time.Time { return now }
	req := request(sip.REGISTER, "")
	answer(t, d, a, req, 0, "alice", "s3cret")
	now = now.Add(nonceLife + time.Second)
	if _, stale, err := a.Verify(req, false); err != nil || !stale {
		t.Errorf("an old nonce: %v %v", stale, err)
	}
	// A nonce of another process is stale, not wrong: the client tries again without asking its user.
	req = request(sip.REGISTER, "")
	answer(t, d, authenticator(), req, 0, "alice", "s3cret")
	if _, stale, err := a.Verify(req, false); err != nil || !stale {
		t.Errorf("a foreign nonce: %v %v", stale, err)
	}
}

func TestNonceMemoryIsBounded(t *testing.T) {
	a := authenticator()
	now := time.Now()
	a.now = func() time.Time { now = now.Add(time.Millisecond); return now }
	p := map[string]string{"qop": "auth", "nc": "00000001"}
	var first string
	for i := range maxServerNonces + 100 {
		p["nonce"] = a.newNonce()
		if i == 0 {
			first = p["nonce"]
		}
		if !a.spend(p) {
			t.Fatalf("nonce %d was refused", i)
		}
	}
	if len(a.used) > maxServerNonces {
		t.Errorf("%d nonces kept", len(a.used))
	}
	p["nonce"] = first
	if a.spend(p) {
		t.Error("a forgotten nonce could be replayed")
	}
}

func TestVerifyRefuses(t *testing.T) {
	good := func() (*Authenticator, *sip.Request) {
		a, req := authenticator(), request(sip.REGISTER, "")
		answer(t, &Digest{}, a, req, 0, "alice", "s3cret")
		return a, req
	}
	change := func(old, new string) func(*sip.Request) {
		return func(req *sip.Request) {
			h := req.GetHeader("Authorization")
			if !strings.Contains(h.Value(), old) {
				t.Fatalf("no %q in %s", old, h.Value())
			}
			req.ReplaceHeader(sip.NewHeader("Authorization", strings.Replace(h.Value(), old, new, 1)))
		}
	}
	for name, c := range map[string]struct {
		change func(*sip.Request)
		want   error
	}{
		"other method":  {func(r *sip.Request) { r.Method = sip.INVITE }, ErrBadCredentials},
		"other target":  {func(r *sip.Request) { r.Recipient.User = "carol" }, ErrBadCredentials},
		"other host":    {func(r *sip.Request) { r.Recipient.Host = "192.0.2.99" }, ErrBadCredentials},
		"other realm":   {change(`realm="example.org"`, `realm="x"`), ErrNoCredentials},
		"other scheme":  {change(`Digest `, `Basic `), ErrNoCredentials},
		"broken":        {change(`realm="`, `realm=""`), ErrNoCredentials},
		"weak":          {change(`algorithm=SHA-256`, `algorithm=NONE`), ErrBadCredentials},
		"empty":         {change(`response="`, `response="", x="`), ErrBadCredentials},
		"absent":        {func(r *sip.Request) { r.RemoveHeader("Authorization") }, ErrNoCredentials},
		"changed count": {change(`nc=00000001`, `nc=00000002`), ErrBadCredentials},
	} {
		a, req := good()
		c.change(req)
		if user, stale, err := a.Verify(req, false); !errors.Is(err, c.want) {
			t.Errorf("%s: %q %v %v", name, user, stale, err)
		}
	}
}

// A client may meet servers that ours is not.
func TestAuthorizeForms(t *testing.T) {
	req := request(sip.MESSAGE, "the body")
	d := &Digest{}
	get := func(challenge string) map[string]string {
		t.Helper()
		h, err := d.Authorize(req, ParseChallenges(challenged(challenge))[0], "alice", "pw")
		if err != nil {
			t.Fatal(err)
		}
		p, ok := authParams(h.Value())
		if !ok {
			t.Fatalf("cannot be read: %s", h.Value())
		}
		return p
	}
	check := func(alg string, p map[string]string) {
		t.Helper()
		a := named(t, alg)
		want := a.response(a.sum("alice", "r", "pw"), proof{
			nonce: p["nonce"], nc: p["nc"], cnonce: p["cnonce"], qop: p["qop"],
			method: "MESSAGE", uri: p["uri"], body: []byte("the body"),
		})
		if p["response"] != want {
			t.Errorf("%s: %v", alg, p)
		}
	}
	p := get(`Digest realm="r", nonce="n"`)
	check("MD5", p)
	if p["qop"] != "" || p["nc"] != "" || p["algorithm"] != "" {
		t.Errorf("an old server got %v", p)
	}
	check("MD5-sess", get(`Digest realm="r", nonce="n", algorithm=MD5-sess, qop="auth"`))
	p = get(`Digest realm="r", nonce="n", algorithm=SHA-256, qop="auth-int"`)
	check("SHA-256", p)
	if p["qop"] != "auth-int" {
		t.Errorf("got %v", p)
	}
	for want := 3; want < 6; want++ { // the nonce "n" was used twice above
		if p := get(`Digest realm="r", nonce="n", qop="auth-int,auth"`); p["nc"] != fmt.Sprintf("%08x", want) || p["qop"] != "auth" {
			t.Errorf("use %d: %v", want, p)
		}
	}
	if _, err := d.Authorize(req, ParseChallenges(challenged(`Digest realm="r", nonce="n", qop="token"`))[0], "alice", "pw"); err == nil {
		t.Error("an unknown qop was answered")
	}
	if _, err := d.Authorize(req, Challenge{Nonce: "n"}, `al"ice`, "pw"); err == nil {
		t.Error("a user name with a quotation mark was sent")
	}
}

func FuzzAuthParams(f *testing.F) {
	f.Add(`Digest realm="r", nonce="n", qop="auth"`)
	f.Add(`Digest realm="a \" b",nonce=,x`)
	f.Fuzz(func(t *testing.T, s string) {
		p, ok := authParams(s)
		if !ok && p != nil {
			t.Error("parameters of something unreadable")
		}
		ParseChallenges(challenged(s))
	})
}
