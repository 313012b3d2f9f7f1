//go:build bench && linux

package audiobench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"testing"
	"time"

	"offhook/audio"
	"offhook/audio/device"
	"offhook/internal/media"
	"offhook/internal/sdp"
)

// asEngine makes the test binary an engine with as many calls as its value says: a person has one at a time and
// `headless` holds the others, so what fifty cost is measured below the session.
const asEngine = "AUDIOBENCH_CALLS"

func TestMain(m *testing.M) {
	if calls, err := strconv.Atoi(os.Getenv(asEngine)); err == nil {
		if err := serveCalls(calls, os.Getenv("AUDIOBENCH_CODEC")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serveCalls opens streams, prints their addresses, reads where each sends to, and makes sound until its input ends.
func serveCalls(calls int, codec string) error {
	hub, err := device.Open(media.Selection{Capture: "tone:440", Playback: "discard"}, device.Options{})
	if err != nil {
		return err
	}
	e, err := audio.New(audio.Config{Device: hub, Codecs: []string{codec}})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { _ = e.Run(ctx) }()
	var streams []media.Stream
	var at []string
	for range calls {
		s, err := e.Open(ctx, media.Options{Local: netip.MustParseAddr("127.0.0.1"), Policy: sdp.Off})
		if err != nil {
			return err
		}
		streams = append(streams, s)
		at = append(at, s.Local().Addr.String())
	}
	if err := json.NewEncoder(os.Stdout).Encode(map[string]any{"at": at}); err != nil {
		return err
	}
	in := bufio.NewScanner(os.Stdin)
	for _, s := range streams {
		if !in.Scan() {
			return in.Err()
		}
		to, err := netip.ParseAddrPort(in.Text())
		if err != nil {
			return err
		}
		formats := s.Local().Formats[:1]
		err = s.Apply(sdp.Agreement{
			Remote: to, RemoteRTCP: to, Mux: true, Direction: sdp.Both, Send: formats, Receive: formats, Ptime: 20 * time.Millisecond,
			Protection: sdp.Protection{Method: sdp.Plain},
		})
		if err != nil {
			return err
		}
	}
	for in.Scan() {
	}
	return e.Close()
}

// engine starts such a process and connects a flow to each of its calls.
func engine(t *testing.T, calls int, codec string) (*program, []*flow) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := launch(t, []string{asEngine + "=" + strconv.Itoa(calls), "AUDIOBENCH_CODEC=" + codec}, self)
	line := p.expect("addresses", func(o map[string]any) bool { return o["at"] != nil })
	var flows []*flow
	for _, at := range line["at"].([]any) {
		to := netip.MustParseAddrPort(at.(string))
		f := newFlow(t, netip.MustParseAddr("127.0.0.1"), codec)
		f.to.Store(&to)
		flows = append(flows, f)
		if _, err := fmt.Fprintln(p.in, f.conn.LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
	return p, flows
}
