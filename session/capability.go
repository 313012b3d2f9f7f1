package session

import (
	"context"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/media"
	"offhook/internal/sdp"
)

// capabilities are what this endpoint registers that it can do: a proxy that routes by them then offers messages
// (RFC 4569) and audio (RFC 3840 §9) here.
func (e *Endpoint) capabilities() sip.HeaderParams {
	can := sip.HeaderParams{{K: "+sip.message"}}
	if e.cfg.Media != nil {
		can = append(can, sip.HeaderKV{K: "audio"})
	}
	return can
}

// describe is what this endpoint can do, for who asks by OPTIONS (RFC 3261 §11.2).
func (e *Endpoint) describe() []byte {
	messages := e.localMedia().Marshal()
	formats := e.audioFormats()
	if len(formats) == 0 {
		return messages
	}
	local := sdp.Local{Addr: e.localMedia().Addr, Formats: formats, Policy: sdp.Off} // keys are for calls
	audio, err := sdp.NewNegotiation(local).Offer(sdp.Both)
	if err != nil {
		return messages
	}
	can, err := sdp.Parse(messages)
	if err != nil {
		return messages
	}
	sound, err := sdp.Parse(audio)
	if err != nil {
		return messages
	}
	for _, m := range sound.Media {
		m.Port = 0 // RFC 3264 §9: nothing can be sent here yet
		can.Media = append(can.Media, m)
	}
	return can.Marshal()
}

// describeWait bounds the time until the codecs are known.
const describeWait = time.Second

// audioFormats is what can be sent and received. Only a stream tells, so one is opened for it, once.
func (e *Endpoint) audioFormats() []sdp.Format {
	e.mu.Blocking()
	e.mu.Lock()
	formats := e.formats
	e.mu.Unlock()
	if formats != nil || e.cfg.Media == nil {
		return formats
	}
	ctx, cancel := context.WithTimeout(e.ctx, describeWait)
	defer cancel()
	s, err := e.cfg.Media.Open(ctx, media.Options{Name: "options", Local: e.mediaAddress(), Policy: sdp.Off})
	if err != nil {
		e.log.Debug("the codecs are not known", "err", err)
		return nil
	}
	formats = s.Local().Formats
	if err := s.Close(); err != nil {
		e.log.Debug("media could not be closed", "err", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.formats = formats
	return formats
}
