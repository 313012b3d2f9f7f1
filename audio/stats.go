package audio

import (
	"time"

	"offhook/audio/rtpconn"
	"offhook/internal/media"
)

// Stats tells how the stream is doing.
func (s *Stream) Stats() media.Stats {
	s.mu.Lock()
	p, conn, recorder := s.plan, s.conn, s.recorder
	s.mu.Unlock()
	net, buffer := conn.Stats(), s.buffer.Stats()
	st := media.Stats{
		Sent: net.Sent, Received: net.Received, SentBytes: net.SentBytes, ReceivedBytes: net.ReceivedBytes,
		Lost: net.Lost, Late: buffer.Late, Duplicates: buffer.Duplicates, Reordered: buffer.Reordered,
		Rejected: net.Rejected, Loss: net.Loss, RemoteLoss: net.RemoteLoss, Jitter: net.Jitter,
		RemoteJitter: net.RemoteJitter, RoundTrip: net.RoundTrip, Buffer: buffer.Buffered, Target: buffer.Target,
		Concealed: buffer.Concealed, Stretched: buffer.Stretched, MOS: net.MOS, RemoteMOS: net.RemoteMOS,
		Security: string(net.Security), Suite: net.Suite, Local: net.Local, Remote: net.Remote,
		ReceiveLevel: s.heard.level(), SendLevel: s.e.levels.capture.level(),
		Muted: s.muted.Load(), Held: s.held.Load(), SinceHeard: net.SinceHeard,
	}
	if st.Muted || st.Held {
		st.SendLevel = silence
	}
	if p != nil {
		st.SendCodec, st.ReceiveCodec = p.codec.Name, s.receivedCodec()
		st.Delay = s.delay(p.packet, net.RoundTrip, buffer.Delay)
	}
	if recorder != nil {
		st.Recording = recorder.path
	}
	return st
}

// receivedCodec names the codec of the newest packet; "" before the first.
func (s *Stream) receivedCodec() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.decoders[uint8(s.lastType.Load())].format.Name
}

// playoutReport tells the network side what became of the packets: the peer is told by RTCP, and the quality estimated.
func (s *Stream) playoutReport() rtpconn.Playout {
	st := s.buffer.Stats()
	_, playback := s.e.cfg.Device.Latency()
	return rtpconn.Playout{
		Codec: s.receivedCodec(), Delay: st.Delay + playback, Target: st.Target, Max: st.Max,
		Received: st.Played, Lost: st.Lost, Discarded: st.Late + st.Discarded,
	}
}

// delay estimates how long sound takes from the peer's mouth to this user's ear. What happens at the other end is not
// told, so it is taken to be like ours: a microphone that is as quick, and packets as long.
func (s *Stream) delay(packet, roundTrip, buffer time.Duration) time.Duration {
	capture, playback := s.e.cfg.Device.Latency()
	return capture + packet + roundTrip/2 + buffer + playback
}
