package sipua

import (
	"context"

	"github.com/emiago/sipgo/sip"
)

// Bindings asks the registrar which endpoints are registered for this agent's address now (RFC 3261 §10.2.3: a REGISTER
// without Contact changes nothing). instances counts devices: one may have several bindings.
func (a *Agent) Bindings(ctx context.Context) (all []sip.ContactHeader, instances int, err error) {
	req := a.NewRequest(sip.REGISTER, sip.Uri{Scheme: a.cfg.AOR.Scheme, Host: a.cfg.AOR.Host, Port: a.cfg.AOR.Port})
	req.ReplaceHeader(&sip.ToHeader{Address: a.AOR()})
	(&registration{agent: a}).onlyProxyRoute(req)
	res, err := a.Do(ctx, req)
	if err != nil {
		return nil, 0, err
	}
	all = contactsOf(res)
	return all, countInstances(all), nil
}
