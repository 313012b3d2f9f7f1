package service

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"

	"offhook/internal/sipua"
	"offhook/park"
)

// serveInvite finds out what an INVITE wants, and returns when its call is over.
func (s *Service) serveInvite(ctx context.Context, inv *sipua.Invite) {
	if !s.marked(inv.Request()) {
		s.refuse(inv, park.ErrNotAllowed)
		return
	}
	replaced, err := inv.Replaced()
	if err != nil {
		var status *sipua.StatusError
		if errors.As(err, &status) {
			_ = inv.Reject(status.Code, status.Reason)
		}
		return
	}
	user := userOf(inv.Request().Recipient)
	by, referred := s.referrer(inv.Request())
	who, _ := s.sender(inv.Request())
	transferred := referred && by.URI != who.URI // some name themselves, for services that want to know who parks
	switch {
	case replaced != nil:
		s.serveReplaces(ctx, inv, replaced)
	case transferred && (user == userPark || s.isOrbit(user)):
		s.serveTransferred(ctx, inv, by, user)
	case user == userPark:
		s.serveConsultation(ctx, inv)
	case s.isOrbit(user), strings.HasPrefix(user, tokenPrefix):
		s.serveRetrieve(ctx, inv, user)
	default:
		s.refuse(inv, park.ErrOrbitNotFound)
	}
}

// whileWanted is a context that ends when the caller of an INVITE gives up, or with cancel. stop has to be called.
func whileWanted(ctx context.Context, inv *sipua.Invite) (_ context.Context, cancel context.CancelCauseFunc, stop func()) {
	ctx, cancel = context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-inv.Canceled():
			cancel(sipua.ErrCanceled)
		case <-ctx.Done():
		}
	})
	return ctx, cancel, func() { cancel(context.Canceled); watching.Wait() }
}

func newCallID() string { return strings.ToLower(rand.Text()) }
