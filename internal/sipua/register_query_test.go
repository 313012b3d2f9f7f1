package sipua

import (
	"errors"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Asking who is registered changes no binding, and counts devices.
func TestBindings(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		registrar := w.peer(serverHost)
		alice := w.agent("alice", aliceHost, server(serverHost))
		done := make(chan error, 1)
		var (
			all       []sip.ContactHeader
			instances int
		)
		ask := func() {
			var err error
			all, instances, err = alice.Bindings(t.Context())
			done <- err
		}
		go ask()
		req := registrar.request(sip.REGISTER, time.Second)
		if req.Contact() != nil || req.Recipient.User != "" || req.To().Address.User != "alice" {
			t.Errorf("asked with\n%s", req)
		}
		registrar.reply(req, 200, "t", `Contact: <sip:a@10.1.1.1>;expires=99;+sip.instance="<urn:uuid:1>";reg-id=1, `+
			`<sip:a@10.1.1.2>;expires=98;+sip.instance="<urn:uuid:1>";reg-id=2, <sip:phone@10.1.1.3>;expires=97`)
		if err := within(t, done, time.Second, "answer"); err != nil || len(all) != 3 || instances != 2 {
			t.Errorf("%d bindings of %d instances, %v", len(all), instances, err)
		}
		go ask()
		registrar.reply(registrar.request(sip.REGISTER, time.Second), 503, "t")
		var refused *StatusError
		if err := within(t, done, time.Second, "answer"); !errors.As(err, &refused) || refused.Code != 503 || all != nil {
			t.Errorf("refused: %v, %v", all, err)
		}
	})
}
