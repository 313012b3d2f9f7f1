//go:build interop

package interop

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// route is a server between the two.
type route struct{ domain, address string }

// embedded starts the server of this program.
func embedded(t *testing.T) route {
	t.Helper()
	address := newHost() + ":5060"
	p := start(t, "server", "server", "--open", "--listen", address, "--domain", "example.test", "--state-dir", t.TempDir())
	ready, ok := p.next("ready", patience, func(o map[string]any) bool { return o["ready"] == true })
	if !ok {
		t.Fatal("the server is not ready")
	}
	for _, listener := range ready["sip"].([]any) {
		if at, found := strings.CutPrefix(fmt.Sprint(listener), "udp:"); found {
			address = at
		}
	}
	return route{"example.test", address}
}

// account is a baresip's account line there.
func (r route) account(user, more string) string {
	return fmt.Sprintf("<sip:%s@%s>;outbound=\"sip:%s;transport=udp\";regint=60;auth_user=%s;auth_pass=%spw;%s", user, r.domain, r.address, user, user, more)
}

// signIn starts a baresip and an endpoint of ours there. Their names are of their own, so that nobody else rings.
func (r route) signIn(t *testing.T, account string, args ...string) (*baresip, *endpoint) {
	t.Helper()
	host := newHost()
	name := strings.ReplaceAll(host, ".", "-")
	theirs := runBaresip(t, "bob"+name, host, r.account("bob"+name, account))
	theirs.uri = "sip:bob" + name + "@" + r.domain
	ours := newEndpoint(t, "alice"+name, append([]string{
		"--aor", "sip:alice" + name + "@" + r.domain, "--server", "sip:" + r.address + ";transport=udp", "--answer", "auto",
		"--password-command", "echo alice" + name + "pw",
	}, args...)...)
	ours.uri = "sip:alice" + name + "@" + r.domain
	ours.event("registration", "state", "registered")
	theirs.registered()
	return theirs, ours
}

func TestRoutes(t *testing.T) {
	for name, begin := range map[string]func(*testing.T) route{
		"offhook server": embedded,
		"kamailio": func(t *testing.T) route {
			startKamailio(t)
			return route{domain, kamailioAddress}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := begin(t)
			for _, c := range []struct{ codec, theirs, ours, security string }{
				{"pcmu", "", "opportunistic", "none"},
				{"pcma", "srtp", "opportunistic", "sdes"},
				{"g722", "srtp-mand", "required", "sdes"},
				{"opus", "dtls_srtp", "required", "dtls"},
				{"opus", "", "off", "none"},
			} {
				for _, weCall := range []bool{true, false} {
					t.Run(fmt.Sprintf("%s %s we call %v", c.codec, c.security, weCall), func(t *testing.T) {
						t.Parallel()
						account := "answermode=auto;audio_codecs=" + theirNames[c.codec]
						if c.theirs != "" {
							account += ";mediaenc=" + c.theirs
						}
						theirs, ours := r.signIn(t, account, "--codecs", c.codec, "--srtp", c.ours)
						call := talk(t, ours, theirs, weCall)
						ours.event("call.media", "codec", c.codec, "security", c.security)
						time.Sleep(enough) // wall clock: this is what is recorded
						ours.do("call.hangup", "call", call)
						theirs.event("CALL_CLOSED")
						check(t, ours, theirs)
					})
				}
			}
		})
	}
}
