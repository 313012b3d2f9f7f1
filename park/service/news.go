package service

import (
	"context"
	"sync"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/sipua"
)

// news is the subscription to the outcome of a REFER. To end it does not end what was asked for (RFC 3515 §2.4.4).
type news struct {
	s        *Service
	notifier *sipua.Notifier
	reading  sync.WaitGroup

	mu     sync.Mutex
	last   body.Sipfrag // Guarded by mu
	unread bool         // Guarded by mu; nobody wants to know any more
}

// openNews accepts a REFER. Its answer is 200 rather than 202, which means no more (RFC 7647 §5).
func (s *Service) openNews(ctx context.Context, req *sipua.Request) *news {
	n := &news{s: s, notifier: s.agent.OpenNotifier(req)}
	if err := n.notifier.Accept(req); err != nil {
		s.log.Debug("response not sent", "method", req.Method, "err", err)
	}
	n.reading.Go(func() { n.read(ctx) })
	return n
}

// read serves what the subscriber sends.
func (n *news) read(ctx context.Context) {
	for {
		req, err := n.notifier.Next(ctx)
		if err != nil {
			return
		}
		n.serve(ctx, req)
	}
}

func (n *news) serve(ctx context.Context, req *sipua.Request) {
	if req.Method != sip.SUBSCRIBE {
		_ = req.Respond(405, "Method Not Allowed", sip.NewHeader("Allow", "SUBSCRIBE"))
		return
	}
	expires := "60" // parking takes half a minute at most
	if h := req.GetHeader("Expires"); h != nil && h.Value() == "0" {
		expires = "0"
	}
	if err := n.notifier.Accept(req, sip.NewHeader("Expires", expires)); err != nil {
		n.s.log.Debug("response not sent", "method", req.Method, "err", err)
	}
	n.mu.Lock()
	last := n.last
	n.unread = n.unread || expires == "0"
	n.mu.Unlock()
	state := "active;expires=60"
	if expires == "0" {
		state = "terminated;reason=timeout"
	}
	n.notify(ctx, last, state)
}

// tell notifies how far it is. A final status ends the subscription.
func (n *news) tell(ctx context.Context, f body.Sipfrag) {
	n.mu.Lock()
	n.last = f
	unread := n.unread
	n.mu.Unlock()
	if unread {
		return
	}
	state := "active;expires=60"
	if f.Code >= 200 {
		state = "terminated;reason=noresource"
	}
	n.notify(ctx, f, state)
}

func (n *news) notify(ctx context.Context, f body.Sipfrag, state string) {
	err := n.notifier.Notify(ctx, body.TypeSipfrag+";version=2.0", f.Marshal(),
		sip.NewHeader("Event", "refer"), sip.NewHeader("Subscription-State", state))
	if err != nil {
		n.s.log.Debug("notify was not answered", "err", err)
	}
}

func (n *news) close() {
	n.notifier.Close()
	n.reading.Wait()
}
