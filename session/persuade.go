package session

import (
	"context"
	"errors"
	"slices"
	"strings"

	"offhook/internal/sdp"
)

// persuade calls, and again as long as the profile of the media line may be why that fails. To the user it is one call.
//
// There are phones that require encryption and know it by the profile alone: an opportunistic offer (RFC 8643) is a plain
// one to them. RTP/SAVP asks for SDES (RFC 4568), UDP/TLS/RTP/SAVP for DTLS (RFC 5764 §8), and a line has one profile: so
// each is offered once. Asterisk does not refuse what it wants under another profile; it answers, and declines the line.
// Somebody may have picked up for that, so he is asked once more only, and what his host wants is remembered.
func (c *AudioVideoCall) persuade(ctx context.Context, o outgoing) (answered, error) {
	host := strings.ToLower(o.to.Host)
	var err, said error
	declined := false
	for i, way := range c.ways(host) {
		if declined && !way.overTLS {
			continue
		}
		var a answered
		if err = c.begin(ctx, way, err); err == nil {
			a, err = c.invite(ctx, o)
		}
		if err == nil {
			if declined {
				c.e.wantsOverTLS(host, true)
			}
			return a, nil
		}
		if said = telling(said, err); !refusesOffer(err) {
			break
		}
		if i == 0 && way.overTLS { // not any more
			c.e.wantsOverTLS(host, false)
		} else {
			declined = errors.Is(err, sdp.ErrNoAudio)
		}
	}
	return answered{}, said
}

// wantsOverTLS remembers what calls to a host have to be offered under, or forgets it.
func (e *Endpoint) wantsOverTLS(host string, wants bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.overTLS = slices.DeleteFunc(e.overTLS, func(h string) bool { return h == host })
	if wants {
		e.overTLS = append(e.overTLS, host)
	}
}

// way is how a call can be offered.
type way struct {
	policy  sdp.Policy
	overTLS bool
}

// ways are those of a call to a host, in order. With encryption required, or once more was asked for, none of them can be
// answered without keys.
func (c *AudioVideoCall) ways(host string) []way {
	policy := c.e.cfg.Encryption
	all := []way{{policy: policy}}
	if policy == sdp.Opportunistic {
		all = append(all, way{policy: sdp.Required})
	}
	if policy == sdp.Off || c.media().Local().Fingerprint == "" {
		return all
	}
	last := way{policy: sdp.Required, overTLS: true}
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	if slices.Contains(c.e.overTLS, host) {
		return slices.Insert(all, 0, last)
	}
	return append(all, last)
}

// begin prepares for an INVITE, unless nobody wants the call any more. before is how the one before has failed. Each has its
// own Call-ID: a late 2xx to the one before is no answer to this offer.
func (c *AudioVideoCall) begin(ctx context.Context, way way, before error) error {
	if errors.Is(before, sdp.ErrNoAudio) { // who has answered may have begun a handshake with this stream
		if err := c.media().Close(); err != nil {
			c.e.log.Debug("media could not be closed", "call", c.id, "err", err)
		}
		if err := c.open(ctx); err != nil {
			return err
		}
	}
	local := c.media().Local()
	local.Policy, local.OverTLS = way.policy, way.overTLS
	c.describing.Lock()
	c.description, c.policy = sdp.NewNegotiation(local), local.Policy
	c.describing.Unlock()
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if c.state != Establishing {
		return errEnded
	}
	c.callID = newCallID()
	return nil
}
