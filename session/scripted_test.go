package session_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/vnet"
)

// scripted is a party that sends and receives messages one by one: a proxy with several telephones behind it, or a device
// of a kind that this program is none of.
type scripted struct {
	t     *testing.T
	conn  net.PacketConn
	addr  string
	inbox chan received
	peer  net.Addr // where the last message came from; belongs to the goroutine of the test
}

type received struct {
	msg  sip.Message
	from string
}

func newScripted(t *testing.T, n *vnet.Net, host string) *scripted {
	t.Helper()
	addr := host + ":5062"
	conn, err := n.ListenPacket(t.Context(), "udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s := &scripted{t: t, conn: conn, addr: addr, inbox: make(chan received, 100)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		parser := sip.NewParser()
		buf := make([]byte, 65536)
		for {
			k, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if msg, err := parser.ParseSIP(append([]byte(nil), buf[:k]...)); err == nil {
				s.inbox <- received{msg, from.String()}
			}
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-ended
	})
	return s
}

func (s *scripted) from(got received) {
	addr, err := net.ResolveUDPAddr("udp", got.from)
	if err != nil {
		s.t.Error(err)
	}
	s.peer = addr
}

// next waits for a request of a method, and passes over everything else.
func (s *scripted) next(method sip.RequestMethod) *sip.Request {
	s.t.Helper()
	for {
		select {
		case got := <-s.inbox:
			s.from(got)
			if req, ok := got.msg.(*sip.Request); ok && req.Method == method {
				return req
			}
		case <-time.After(time.Minute):
			s.t.Fatalf("no %s came", method)
		}
	}
}

// response waits for the first final response.
func (s *scripted) response() *sip.Response {
	s.t.Helper()
	for {
		select {
		case got := <-s.inbox:
			s.from(got)
			if res, ok := got.msg.(*sip.Response); ok && res.StatusCode >= 200 {
				return res
			}
		case <-time.After(time.Minute):
			s.t.Fatal("no final response came")
		}
	}
}

// answer sends a response as the telephone with a tag.
func (s *scripted) answer(req *sip.Request, code int, tag, description string) {
	res := sip.NewResponseFromRequest(req, code, "Scripted", nil)
	res.To().Params.Remove("tag")
	res.To().Params.Add("tag", tag)
	if req.Method == sip.INVITE {
		res.AppendHeader(sip.NewHeader("Contact", "<sip:"+tag+"@"+s.addr+">"))
	}
	if description != "" {
		res.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	}
	res.SetBody([]byte(description))
	s.write(res.String())
}

func (s *scripted) write(text string) {
	if _, err := s.conn.WriteTo([]byte(text), s.peer); err != nil {
		s.t.Error(err)
	}
}

// request sends one of a dialog's requests. to may carry a tag.
func (s *scripted) request(method string, seq int, target, to, extra, description string) {
	contentType := ""
	if description != "" {
		contentType = "Content-Type: application/sdp\r\n"
	}
	s.write(fmt.Sprintf("%s %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%d%s\r\nMax-Forwards: 70\r\n"+
		"From: <sip:scripted@%s>;tag=s\r\nTo: %s\r\nCall-ID: scripted@%s\r\nCSeq: %d %s\r\n"+
		"Contact: <sip:scripted@%s>\r\n%s%sContent-Length: %d\r\n\r\n%s",
		method, target, s.addr, time.Now().UnixNano(), strings.ToLower(method), s.addr, to, s.addr, seq, method, s.addr,
		extra, contentType, len(description), description))
}

// call sends an INVITE to a phone and returns its 200. extra are header lines.
func (s *scripted) call(p *phone, extra, description string) {
	addr, err := net.ResolveUDPAddr("udp", strings.TrimPrefix(p.addr[strings.Index(p.addr, "@")+1:], "@"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.peer = addr
	s.request("INVITE", 1, p.addr, "<"+p.addr+">", extra, description)
}

// describeAt is a description with PCMU at a port.
func describeAt(host string, port int) string {
	return fmt.Sprintf("v=0\r\no=- %d 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio %d RTP/AVP 0\r\n", port, host, host, port)
}
