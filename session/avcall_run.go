package session

import (
	"fmt"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/media"
	"offhook/internal/plaintext"
	"offhook/internal/sipua"
)

// run serves an Established call until its end.
func (c *AudioVideoCall) run(dlg *sipua.Dialog) {
	c.e.mu.Blocking()
	c.e.mu.Lock()
	c.e.goLocked("network watch", c.watchNetwork)
	c.e.mu.Unlock()
	for {
		req, err := dlg.Next(c.ctx)
		if err != nil {
			break
		}
		if err := c.serveRequest(dlg, req); err != nil {
			c.e.log.Debug("response could not be sent", "method", req.Method, "err", err)
		}
	}
	var end *sipua.EndError
	select {
	case <-dlg.Done():
		end = dlg.End()
	default: // ended here; whoever did has sent the BYE, or sends it
		end = &sipua.EndError{Err: errClosing}
	}
	c.close()
	if end.Remote {
		c.awaitParking()
	}
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	c.callEndedLocked(end)
	c.terminatedLocked()
}

// serveRequest routes a request of the call.
func (c *AudioVideoCall) serveRequest(dlg *sipua.Dialog, req *sipua.Request) error {
	switch req.Method {
	case sip.INVITE, sip.UPDATE:
		if req.Method == sip.UPDATE && len(req.Body()) == 0 { // the dialog has answered it: it tells who is there now
			c.introduceFrom(req)
			c.reintroduce(req)
			return nil
		}
		c.introduceFrom(req)
		return c.serveOffer(dlg, req)
	case sip.INFO:
		return c.serveInfo(req)
	case sip.REFER:
		return c.serveRefer(req, c.follow)
	case sip.NOTIFY:
		return c.serveNotify(req)
	case sip.MESSAGE: // a text beside the call
		got, err := readContent(req.Request)
		switch {
		case err != nil:
			return respondUnsupported(req)
		case got.composing != nil:
			return req.Respond(200, "OK")
		}
		return c.conv.receive(c.ctx, req, got.text, c.id)
	default:
		return req.Respond(405, "Method Not Allowed", sip.NewHeader("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE, INFO, REFER, NOTIFY, MESSAGE"))
	}
}

// callEndedLocked tells how the call ended, and leaves a line in the thread.
func (c *AudioVideoCall) callEndedLocked(end *sipua.EndError) {
	e := c.e
	told := why{reason: "the other side hung up"}
	lodged := c.lodging != nil && c.lodging.parked
	switch {
	case end == nil:
	case end.Remote && end.Reason.Elsewhere():
		told.reason = toastElsewhere
	case end.Remote && lodged: // it is no person who has ended it
		told.reason = "the park service hung up"
		if end.Reason.Text != "" {
			told.reason += ": " + plaintext.Line(end.Reason.Text, 128)
		}
	case !end.Remote && end.Err != nil:
		told.reason, told.sip = reasonOf(end.Err), statusOf(end.Err)
	}
	remote := c.inputMovesLocked(RemoteTerminated, told)
	switch {
	case c.taken:
		c.noticeLocked("call ended after " + clock(time.Since(c.upTime)) + c.mannerLocked() + ": " + c.next)
	case remote && told.reason == toastElsewhere && c.dir == Inbound && time.Since(c.upTime) <= lostRace:
		c.noticeLocked("call answered on another device")
	default:
		line := "call ended after " + clock(time.Since(c.upTime)) + c.mannerLocked()
		if c.reason != "" && !remote || remote && end != nil && (lodged || !end.Remote) {
			line += ": " + c.reason
		}
		c.noticeLocked(line)
		if remote {
			e.tones.afterLocked(media.Hangup, hangupTone)
		}
	}
}

// mannerLocked says how the sound went: " (opus, encrypted by sdes)".
func (c *AudioVideoCall) mannerLocked() string {
	var how []string
	if c.told.Codec != "" {
		how = append(how, c.told.Codec)
	}
	if s := c.told.Security; s != "" && s != "none" {
		how = append(how, "encrypted by "+s)
	}
	if len(how) == 0 {
		return ""
	}
	return " (" + strings.Join(how, ", ") + ")"
}

// clock writes a duration as people read it on a telephone: 0:21, 3:12, 1:02:03.
func clock(d time.Duration) string {
	s := int(d.Round(time.Second) / time.Second)
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// missCallLocked records a call that nobody took. c is nil for one that did not even ring.
func (c *Conversation) missCallLocked(missed *call, because string) {
	e := c.e
	line := "missed call"
	if missed != nil {
		line += " (" + clock(time.Since(missed.born)) + ")"
	}
	if because != "" {
		line += ": " + because
	}
	c.unread++
	now := time.Now()
	c.last = now
	e.publishLocked(Notice{Conversation: c.id, Time: now, Text: line})
	if missed == nil {
		return
	}
	c.closeMissedCallLocked(toastMissed)
	c.missedCall = missed.showLocked(ToastShown{
		Kind: toastMissedCall, Conversation: c.id, Call: missed.id, From: c.peer, Text: clock(time.Since(missed.born)),
	}, now)
}

// closeMissedCallLocked takes the toast of a missed call away: the user has looked, calls back, or there is a newer one.
func (c *Conversation) closeMissedCallLocked(reason string) {
	c.e.mu.Held()
	if c.missedCall == nil {
		return
	}
	id := c.missedCall.shown.Toast
	delete(c.e.toasts, id)
	c.missedCall = nil
	c.e.publishLocked(ToastClosed{Toast: id, Reason: reason})
}
