package command

import (
	"context"

	"offhook/session"
)

func toastCommands() []Command {
	toast := Param{Name: "toast", Type: String, Required: true}
	return []Command{
		{
			Method:  "toast.list",
			Summary: "what is offered at the moment",
			run: immediate(func(_ context.Context, e *Env, _ none) (any, error) {
				return list(e.Endpoint.Snapshot().Toasts), nil
			}),
		}, {
			Method:  "toast.accept",
			Summary: "accept what a toast offers",
			Params:  waitable(toast),
			run: waiting(func(e *Env, p toastParam) (any, Operation, error) {
				return e.onToast(p, session.Call.Accept)
			}),
		}, {
			Method:  "toast.decline",
			Summary: "refuse what a toast offers; other devices go on",
			Params:  waitable(toast, Param{Name: "everywhere", Type: Boolean, Help: "refuse it for all devices"}),
			run:     waiting(declineToast),
		}, {
			Method:  "toast.dismiss",
			Summary: "close a toast without an answer; the election goes on",
			Params:  []Param{toast},
			Forms:   []Form{{Name: "dismiss", Focus: OnToast}},
			run:     immediate(dismissToast),
		},
	}
}

type toastParam struct {
	Toast string `json:"toast"`
}

func (e *Env) findToast(id string) (session.Call, error) {
	c, ok := e.Endpoint.FindToast(id)
	if !ok {
		return nil, unknown("toast", id)
	}
	return c, nil
}

func (e *Env) onToast(p toastParam, do func(session.Call, context.Context) error) (any, Operation, error) {
	c, err := e.findToast(p.Toast)
	if err != nil {
		return nil, nil, err
	}
	return refOf(c), func(ctx context.Context) (any, error) {
		err := do(c, ctx)
		return refOf(c), err // what an announcement offers is a call once it has been accepted
	}, nil
}

func declineToast(e *Env, p struct {
	Toast      string `json:"toast"`
	Everywhere bool   `json:"everywhere"`
},
) (any, Operation, error) {
	return e.onToast(toastParam{p.Toast}, func(c session.Call, ctx context.Context) error {
		return c.Decline(ctx, p.Everywhere)
	})
}

func dismissToast(_ context.Context, e *Env, p toastParam) (any, error) {
	c, err := e.findToast(p.Toast)
	if err != nil {
		return nil, err
	}
	return none{}, c.Dismiss()
}
