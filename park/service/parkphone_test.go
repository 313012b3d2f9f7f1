package service

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/sdp"
	"offhook/internal/sipua"
	"offhook/internal/vnet"
	"offhook/park"
)

// request is a REFER that parks a call, and what comes of it.
type referral struct {
	p      *phone
	usage  *sipua.Usage
	answer chan error        // of the REFER
	frags  chan body.Sipfrag // of the NOTIFYs
	last   *sip.Request      // the last NOTIFY
	callID string
	tag    string
}

// refer asks the service to take a call over. name is what the parker calls the other side.
func (p *phone) refer(c *call, wish, name string, headers ...sip.Header) *referral {
	to := c.dialog.ReferTo()
	value := fmt.Sprintf(`"%s" <%s>;x-identity="sip:%s@%s"`, name, to.String(), strings.ToLower(name), domain)
	return p.referTo(wish, value, headers...)
}

func (p *phone) referTo(wish, referTo string, headers ...sip.Header) *referral {
	req := p.agent.NewRequest(sip.REFER, at(wish))
	tag, _ := req.From().Params.Get("tag")
	r := &referral{
		p: p, answer: make(chan error, 1), frags: make(chan body.Sipfrag, 8), callID: req.CallID().Value(), tag: tag,
		usage: p.agent.OpenUsage(req.CallID().Value(), tag),
	}
	for _, h := range append(p.identity(r.callID), headers...) {
		req.AppendHeader(h)
	}
	req.AppendHeader(sip.NewHeader("Refer-To", referTo))
	req.AppendHeader(sip.NewHeader("Referred-By", "<"+p.uri()+">"))
	go r.read()
	go func() {
		_, err := p.agent.Do(p.w.t.Context(), req)
		r.answer <- err
	}()
	return r
}

func (r *referral) read() {
	for {
		req, err := r.usage.Next(r.p.w.t.Context())
		if err != nil {
			return
		}
		frag, err := body.ParseSipfrag(req.Body())
		if err != nil {
			_ = req.Respond(400, "Bad Request")
			continue
		}
		_ = req.Respond(200, "OK")
		r.last = req.Request
		r.frags <- frag
	}
}

// final waits for the last NOTIFY.
func (r *referral) final(within time.Duration) body.Sipfrag {
	r.p.w.t.Helper()
	defer r.usage.Close()
	limit := time.After(within)
	for {
		select {
		case f := <-r.frags:
			if f.Code >= 200 {
				return f
			}
		case <-limit:
			r.p.w.t.Fatal("the outcome of the REFER was not told")
		}
	}
}

// accepted waits for the answer to the REFER.
func (r *referral) accepted() error {
	r.p.w.t.Helper()
	select {
	case err := <-r.answer:
		return err
	case <-time.After(patience):
		r.p.w.t.Fatal("the REFER was not answered")
	}
	return nil
}

// parking is a call that was parked by REFER.
type parking struct {
	orbit, safe string // what to dial
	expires     string // seconds until ring-back
	mary        *call  // hers, now with the service
}

// park parks the call that bob has with mary, who is told so.
func (w *world) park(bob, mary *phone, headers ...sip.Header) parking {
	w.t.Helper()
	_, at := w.talk(mary, bob)
	r := bob.refer(at, userPark, "Mary", headers...)
	hers := mary.answer()
	if err := r.accepted(); err != nil {
		w.t.Fatal(err)
	}
	p := parkedAs(w.t, r.final(patience))
	p.mary = hers
	return p
}

// parkedAs reads a final sipfrag.
func parkedAs(t *testing.T, f body.Sipfrag) parking {
	t.Helper()
	if f.Code != 200 {
		t.Fatalf("not parked: %d %s %v", f.Code, f.Reason, f.Headers)
	}
	var p parking
	for _, v := range f.Headers["Call-Info"] {
		for part := range strings.SplitSeq(v, ", ") {
			n, err := sipua.ParseNameAddr(part)
			if err != nil {
				t.Fatal(err)
			}
			switch purpose, _ := n.Params.Get("purpose"); purpose {
			case "x-park-orbit":
				p.orbit, _ = n.Params.Get("x-friendly")
			case "x-park-retrieve":
				p.safe = n.URI.User
				p.expires, _ = n.Params.Get("x-expires")
			}
		}
	}
	if p.orbit == "" || p.safe == "" {
		t.Fatalf("the outcome lacks an address: %v", f.Headers)
	}
	return p
}

// status is the status of a refusal, 0 without one.
func status(err error) int {
	var s *sipua.StatusError
	if errors.As(err, &s) {
		return s.Code
	}
	return 0
}

// failure is what a refusal says.
func failure(err error) *park.Failure {
	var s *sipua.StatusError
	if errors.As(err, &s) && s.Response != nil {
		if h := s.Response.GetHeader("Warning"); h != nil {
			return park.FailureIn(h.Value())
		}
	}
	return nil
}

// refused says that dialing fails like that.
func (p *phone) refused(user string, want *park.Failure) {
	p.w.t.Helper()
	ctx, cancel := context.WithTimeout(p.w.t.Context(), patience)
	defer cancel()
	_, err := p.dial(ctx, user, nil)
	if status(err) != want.Status || failure(err) != want {
		p.w.t.Errorf("%s dials %s: %v (%v), want %v", p.name, user, err, failure(err), want)
	}
}

// who is whom a message asserts to be at the other end.
func who(t *testing.T, msg interface{ GetHeaders(string) []sip.Header }) park.Party {
	t.Helper()
	all := sipua.NameAddrs(msg, "P-Asserted-Identity")
	if len(all) != 1 {
		t.Fatalf("%d asserted identities", len(all))
	}
	return park.Party{URI: all[0].URI.String(), Display: all[0].Display}
}

var (
	maryParty  = park.Party{URI: "sip:mary@" + domain, Display: "Mary"}
	bobParty   = park.Party{URI: "sip:bob@" + domain, Display: "Bob"}
	carolParty = park.Party{URI: "sip:carol@" + domain, Display: "Carol"}
)

func isParked(req interface{ Contact() *sip.ContactHeader }) bool {
	return req.Contact() != nil && req.Contact().Params.Has("automaton")
}

func (w *world) sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

type packet = vnet.Packet

// unsubscribe ends the subscription to the outcome.
func (r *referral) unsubscribe() {
	r.p.w.t.Helper()
	req := r.p.agent.NewRequest(sip.SUBSCRIBE, r.last.Contact().Address)
	id := sip.CallIDHeader(r.callID)
	req.ReplaceHeader(&id)
	tag, _ := r.last.From().Params.Get("tag")
	req.To().Params.Add("tag", tag)
	req.From().Params = sip.HeaderParams{{K: "tag", V: r.tag}}
	req.CSeq().SeqNo = 10
	req.AppendHeader(sip.NewHeader("Event", "refer"))
	req.AppendHeader(sip.NewHeader("Expires", "0"))
	if _, err := r.p.agent.Do(r.p.w.t.Context(), req); err != nil {
		r.p.w.t.Fatal(err)
	}
}

// mustDialVideo calls with audio and video.
func (p *phone) mustDialVideo(user string) *call {
	p.w.t.Helper()
	c := &call{p: p, description: sdp.NewNegotiation(p.local()), requests: make(chan *sip.Request, 64)}
	offer, err := c.description.Offer(sdp.Both)
	if err != nil {
		p.w.t.Fatal(err)
	}
	offer = append(offer, "m=video 4002 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"...)
	id := newCallID()
	c.dialog, c.res, err = p.agent.Invite(p.w.t.Context(), sipua.InviteOptions{
		Target: at(user), ContentType: body.TypeSDP, Body: offer, CallID: id, Headers: p.identity(id),
	})
	if err != nil {
		p.w.t.Fatal(err)
	}
	go c.run()
	return c
}

var serviceAddr = netip.MustParseAddr(serviceHost)

func link(delay time.Duration) vnet.Link { return vnet.Link{Delay: delay} }

func response(err error) *sip.Response {
	var s *sipua.StatusError
	if errors.As(err, &s) {
		return s.Response
	}
	return nil
}

// lastInvite is the newest INVITE or re-INVITE of the call.
func (c *call) lastInvite() *sip.Request {
	last := c.request
	for {
		select {
		case req := <-c.requests:
			if req.Method == sip.INVITE {
				last = req
			}
		default:
			return last
		}
	}
}

// dialDelayed calls without an offer: the answer goes into the ACK, which no agent of ours does as a caller.
func (p *phone) dialDelayed(user string, headers ...sip.Header) (agreed sdp.Agreement, err error) {
	req := p.agent.NewRequest(sip.INVITE, at(user))
	for _, h := range append(p.identity(req.CallID().Value()), headers...) {
		req.AppendHeader(h)
	}
	tx, err := p.stack.Send(p.w.t.Context(), req, serviceTarget)
	if err != nil {
		return agreed, err
	}
	for res := range tx.Responses() {
		if res.IsProvisional() {
			continue
		}
		if !res.IsSuccess() {
			return agreed, &sipua.StatusError{Code: res.StatusCode, Response: res}
		}
		answer, agreed, err := sdp.NewNegotiation(p.local()).Answer(res.Body(), sdp.Both)
		if err != nil {
			return agreed, err
		}
		ack := sip.NewRequest(sip.ACK, res.Contact().Address)
		for _, h := range []sip.Header{
			req.From(), res.To(), req.CallID(), &sip.CSeqHeader{SeqNo: req.CSeq().SeqNo, MethodName: sip.ACK},
			sip.NewHeader("Content-Type", body.TypeSDP),
		} {
			ack.AppendHeader(h)
		}
		ack.SetBody(answer)
		return agreed, p.stack.Write(p.w.t.Context(), ack, serviceTarget)
	}
	return agreed, tx.Err()
}

var serviceTarget = sipua.Target{Network: "udp", Addr: netip.AddrPortFrom(serviceAddr, 5070)}

// understand says that each side may send what the other takes.
func understand(t *testing.T, a, b *call) {
	t.Helper()
	compatible(t, a.media(), b.media())
}

func compatible(t *testing.T, x, y sdp.Agreement) {
	t.Helper()
	if !isWithin(x.Send, y.Receive) || !isWithin(y.Send, x.Receive) {
		t.Errorf("one sends %v and takes %v, the other sends %v and takes %v", x.Send, x.Receive, y.Send, y.Receive)
	}
}

// tryDialTo does what a REFER asks for.
func (p *phone) tryDialTo(referTo sip.Uri, headers ...sip.Header) (*call, error) {
	p.w.t.Helper()
	target, replaces, err := sipua.Referred(referTo)
	if err != nil {
		p.w.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(p.w.t.Context(), patience)
	defer cancel()
	return p.dialTo(ctx, target, nil, append(replaces, headers...)...)
}

func (p *phone) mustDialTo(referTo sip.Uri, headers ...sip.Header) *call {
	p.w.t.Helper()
	c, err := p.tryDialTo(referTo, headers...)
	if err != nil {
		p.w.t.Fatal(err)
	}
	return c
}

// expectUnparked says how a park has ended, as who holds its safe URI sees it.
func (w *world) expectUnparked(safe string, reason park.UnparkReason, target park.Party) {
	w.t.Helper()
	doc, over := w.service.DialogInfo(safe, 1)
	if !over || len(doc.Dialogs) != 1 || doc.Dialogs[0].Unpark == nil {
		w.t.Errorf("over=%v: %+v", over, doc)
		return
	}
	if u := doc.Dialogs[0].Unpark; u.Reason != string(reason) || u.Target != target.URI || u.Display != target.Display {
		w.t.Errorf("unparked: %+v, want %s by %v", u, reason, target)
	}
}

// changes is how often Changed has named a user.
func (w *world) changes(user string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed[user]
}
