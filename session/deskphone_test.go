package session_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/sipua"
	"offhook/internal/testkit"
	"offhook/internal/vnet"
	"offhook/session"
)

// phones are an endpoint with audio and a desk phone: a bare user agent that does what an endpoint never would.
type phones struct {
	*phone
	sound *testkit.Sound
	desk  *caller

	ring func(inv *sipua.Invite) // how the desk phone takes a call; nil: answers with describe

	mu       sync.Mutex
	refuse   int              // Guarded by mu. What offers in the dialog are refused with; 0: they are accepted.
	requests []*sipua.Request // Guarded by mu. All that came in a dialog.
	dialogs  chan *sipua.Dialog
}

const deskHost = "127.0.9.1"

// inPhones tells a story of an endpoint and a desk phone, without a server.
func inPhones(t *testing.T, tell func(t *testing.T, p *phones)) {
	t.Helper()
	inPhonesWith(t, func(*session.Config) {}, tell)
}

func inPhonesWith(t *testing.T, change func(*session.Config), tell func(t *testing.T, p *phones)) {
	t.Helper()
	inBubble(t, func(t *testing.T, n *vnet.Net) {
		p := &phones{sound: testkit.NewSound(), dialogs: make(chan *sipua.Dialog, 8)}
		p.phone = newPhone(t, n, "bob", "127.0.2.1", func(cfg *session.Config) { cfg.Media = p.sound }, change)
		p.desk = newCaller(t, n, "desk", deskHost, func(_ *caller, inv *sipua.Invite) {
			if p.ring != nil {
				p.ring(inv)
				return
			}
			p.pickUp(inv, p.describe(deskHost, "sendrecv"))
		})
		tell(t, p)
	})
}

// describe is the desk phone's session description: PCMU alone, no telephone events, no keys.
func (p *phones) describe(addr, wish string) string {
	return fmt.Sprintf("v=0\r\no=- 1 %d IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na=%s\r\n",
		time.Now().UnixNano(), addr, addr, wish)
}

// pickUp answers an INVITE and serves the dialog.
func (p *phones) pickUp(inv *sipua.Invite, answer string, headers ...sip.Header) {
	dlg, err := inv.Answer(context.Background(), body.TypeSDP, []byte(answer), headers...)
	if err != nil {
		return
	}
	p.dialogs <- dlg
	p.serve(dlg)
}

// serve answers what comes in a dialog until its end.
func (p *phones) serve(dlg *sipua.Dialog) {
	for {
		req, err := dlg.Next(context.Background())
		if err != nil {
			return
		}
		p.mu.Lock()
		p.requests = append(p.requests, req)
		refuse := p.refuse
		p.mu.Unlock()
		switch {
		case req.Method != sip.INVITE && req.Method != sip.UPDATE:
			_ = req.Respond(200, "OK")
		case refuse != 0:
			_ = req.Respond(refuse, "No")
		default:
			wish := "sendrecv"
			if strings.Contains(string(req.Body()), "a=sendonly") {
				wish = "recvonly"
			}
			_ = req.Send(req.Response(200, "OK", []byte(p.describe(deskHost, wish)), sip.NewHeader("Content-Type", body.TypeSDP)))
		}
	}
}

func (p *phones) setRefuse(code int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = code
}

// got lists the requests of a method that came in a dialog.
func (p *phones) got(method sip.RequestMethod) []*sipua.Request {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []*sipua.Request
	for _, r := range p.requests {
		if r.Method == method {
			all = append(all, r)
		}
	}
	return all
}

// dial begins a call from the endpoint to the desk phone.
func (p *phones) dial(t *testing.T) (*session.AudioVideoCall, <-chan error) {
	t.Helper()
	c, err := p.Conversation(p.desk.uri)
	if err != nil {
		t.Fatal(err)
	}
	call, done := c.NewAudio(), make(chan error, 1)
	go func() { done <- call.Establish(context.Background(), session.AudioOptions{}) }()
	synctest.Wait()
	return call, done
}

// call is an Established call from the endpoint to the desk phone, and the desk phone's dialog.
func (p *phones) call(t *testing.T) (*session.AudioVideoCall, *sipua.Dialog) {
	t.Helper()
	call, done := p.dial(t)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return call, <-p.dialogs
}

// invite calls the endpoint from the desk phone.
func (p *phones) invite(ctx context.Context, description string, headers ...sip.Header) *outgoing {
	o := &outgoing{done: make(chan struct{})}
	opt := sipua.InviteOptions{Target: parse(p.t, p.addr), Headers: headers}
	if description != "" {
		opt.ContentType, opt.Body = body.TypeSDP, []byte(description)
	}
	go func() {
		defer close(o.done)
		o.dlg, o.res, o.err = p.desk.Invite(ctx, opt)
		if o.err == nil {
			go p.serve(o.dlg)
		}
	}()
	time.Sleep(100 * time.Millisecond)
	synctest.Wait()
	return o
}

// incoming is the call that rings at the endpoint.
func (p *phones) incoming(t *testing.T) *session.AudioVideoCall {
	t.Helper()
	for _, toast := range p.Snapshot().Toasts {
		if c, ok := p.FindAudio(toast.Call); ok && toast.Kind == "call" {
			return c
		}
	}
	t.Fatal("nothing rings")
	return nil
}
