package session_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/sdp"
	"offhook/internal/sipua"
	"offhook/internal/vnet"
)

// caller is a bare user agent, which can say what an endpoint never would.
type caller struct {
	*sipua.Agent
	t        *testing.T
	uri      string
	messages chan *sipua.Request // pager messages that came
}

// newCaller starts an agent. It answers INVITEs with invite (nil: 486), and pager messages with 200.
func newCaller(t *testing.T, n *vnet.Net, user, host string, invite func(*caller, *sipua.Invite), change ...func(*sipua.Mux)) *caller {
	t.Helper()
	addr := netip.AddrPortFrom(netip.MustParseAddr(host), 5062).String()
	stack, err := sipua.NewStack(t.Context(), sipua.StackConfig{
		Listeners: []sipua.Listener{{Network: "udp", Address: addr}}, ListenPacket: n.ListenPacket,
	})
	if err != nil {
		t.Fatal(err)
	}
	c := &caller{t: t, uri: "sip:" + user + "@" + addr, messages: make(chan *sipua.Request, 100)}
	c.Agent, err = sipua.NewAgent(sipua.AgentConfig{Stack: stack, AOR: parse(t, c.uri)})
	if err != nil {
		t.Fatal(err)
	}
	mux := sipua.Mux{
		Invite: func(_ context.Context, inv *sipua.Invite) {
			if invite == nil {
				_ = inv.Reject(486, "")
				return
			}
			invite(c, inv)
		},
		Message: func(_ context.Context, req *sipua.Request) {
			c.messages <- req
			_ = req.Respond(200, "OK")
		},
	}
	for _, f := range change {
		f(&mux)
	}
	c.Serve(mux)
	t.Cleanup(func() { _ = errors.Join(c.Close(), stack.Close()) })
	return c
}

// accept answers an INVITE as an endpoint would. taken says that the toast was shown whole.
func (c *caller) accept(inv *sipua.Invite, taken bool) *sipua.Dialog {
	offer, _ := sdp.Parse(inv.Request().Body())
	answer, err := sdp.AnswerMessage(offer, messages, c.uri)
	if err != nil {
		c.t.Error(err)
		return nil
	}
	var headers []sip.Header
	if taken {
		headers = append(headers, sip.NewHeader("Supported", "ms-text-format"))
	}
	dlg, err := inv.Answer(context.Background(), body.TypeSDP, answer, headers...)
	if err != nil && !errors.Is(err, sipua.ErrClosed) { // the test has ended
		c.t.Error(err)
	}
	return dlg
}

var messages = sdp.MessageOffer{AcceptTypes: []string{body.TypeText, body.TypeIsComposing}, SessionID: 1}

func parse(t *testing.T, s string) sip.Uri {
	t.Helper()
	var uri sip.Uri
	if err := sip.ParseUri(s, &uri); err != nil {
		t.Fatal(err)
	}
	return uri
}

// outgoing is an INVITE that the caller has sent.
type outgoing struct {
	done chan struct{}
	dlg  *sipua.Dialog
	res  *sip.Response
	err  error
}

// manual asks for a person: the endpoint shows a toast although it is the only one.
var manual = sip.NewHeader("Answer-Mode", "Manual;require")

func toastHeader(text string) sip.Header {
	return sip.NewHeader("ms-text-format", body.TextFormat{ContentType: body.TypeText, Text: text}.String())
}

// invite calls to, and returns at once.
func (c *caller) invite(ctx context.Context, to *phone, headers ...sip.Header) *outgoing {
	o := &outgoing{done: make(chan struct{})}
	go func() {
		defer close(o.done)
		o.dlg, o.res, o.err = c.Invite(ctx, sipua.InviteOptions{
			Target: parse(c.t, to.addr), ContentType: body.TypeSDP, Body: messages.Marshal(), Headers: headers,
		})
	}()
	synctest.Wait()
	return o
}

// status is the status that the INVITE was refused with.
func (o *outgoing) status() int {
	<-o.done
	var refused *sipua.StatusError
	if errors.As(o.err, &refused) {
		return refused.Code
	}
	if o.err != nil {
		return -1
	}
	return o.res.StatusCode
}

func statusOf(err error) int {
	var refused *sipua.StatusError
	if errors.As(err, &refused) {
		return refused.Code
	}
	return 0
}
