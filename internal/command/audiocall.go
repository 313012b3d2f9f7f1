package command

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"offhook/session"
)

// audioCallCommands are what only audio calls understand.
func audioCallCommands() []Command {
	call := Param{Name: "call", Type: String, Help: "may be left out where exactly one call is meant"}
	simple := func(method, form, summary string, run runFunc) Command {
		return Command{
			Method: method, Summary: summary, Params: []Param{call},
			Forms: []Form{{Name: form, Focus: OnAudio, Args: []Arg{callArg}}}, run: run,
		}
	}
	network := func(c Command) Command {
		c.Params = waitable(c.Params...)
		return c
	}
	return []Command{
		network(simple("call.hold", "hold", "put a call on hold", waiting(onAudio(talking, (*session.AudioVideoCall).Hold)))),
		network(simple("call.resume", "resume", "take a call off hold; the one going on is held", waiting(onAudio(held, (*session.AudioVideoCall).Resume)))),
		simple("call.mute", "mute", "send silence in place of the microphone", immediate(mute(true))),
		simple("call.unmute", "unmute", "send the microphone again", immediate(mute(false))),
		{
			Method:  "call.dtmf",
			Summary: "press keys: 0-9 * # A-D, and a comma for a pause of a second",
			Params:  waitable(call, Param{Name: "digits", Type: String, Required: true}),
			Forms:   []Form{{Name: "dtmf", Focus: OnAudio, Args: []Arg{{Param: "digits", Show: "DIGITS"}}}},
			run:     waiting(digits),
		},
		{
			Method:  "call.conference",
			Summary: "let everybody in these calls hear each other; without calls in all",
			Params:  waitable(Param{Name: "calls", Type: Strings, Help: "two or more calls"}),
			Forms:   []Form{{Name: "conf", Args: []Arg{{Param: "calls", Show: "#CALL", Kind: Call, List: true, Optional: true}}}},
			run:     waiting(conference),
		},
		network(simple("call.leave", "leave", "take a call out of its conference and put it on hold", waiting(onAudio(joined, (*session.AudioVideoCall).Leave)))),
		simple("call.stats", "stats", "codec, encryption, loss, jitter, delay, quality and levels of a call", immediate(stats)),
		{
			Method:  "call.record",
			Summary: "record a call to a WAV file, or stop",
			Params: []Param{
				call,
				{Name: "file", Type: String, Help: "it is never overwritten; by default one in the directory of recordings"},
				{Name: "stop", Type: Boolean, Help: "end the recording"},
			},
			Forms: []Form{{
				Name: "record", Focus: OnAudio,
				Args: []Arg{{Param: "file", Other: "stop", Show: "FILE|stop", Kind: File, Choices: []string{"stop"}, Optional: true}},
			}},
			run: immediate(record),
		},
	}
}

// Which call is meant when none is named.
var (
	established = among{"an audio call that is up", func(c session.CallInfo) bool { return isAudio(c) && c.State == session.Established }}
	talking     = among{"a call that is not on hold", func(c session.CallInfo) bool { return established.fits(c) && isHeard(c) }}
	held        = among{"a call that you have put on hold", func(c session.CallInfo) bool { return established.fits(c) && heldHere(c) }}
	joined      = among{"a call in a conference", func(c session.CallInfo) bool { return isAudio(c) && c.Conference != "" }}
	recorded    = among{"a call that is recorded", func(c session.CallInfo) bool { return isAudio(c) && c.Recording != "" }}
	current     = among{"a call that is up", func(c session.CallInfo) bool { return c.State == session.Established }}
)

func heldHere(c session.CallInfo) bool {
	return c.Hold == session.HoldLocal || c.Hold == session.HoldBoth
}

// findAudio is findCall for what only audio calls can do.
func (e *Env) findAudio(id string, a among) (*session.AudioVideoCall, error) {
	c, err := e.findCall(id, a)
	if err != nil {
		return nil, err
	}
	audio, ok := c.(*session.AudioVideoCall)
	if !ok {
		return nil, &session.Error{Op: "find call", Kind: session.KindState, Err: fmt.Errorf("%s is a session of messages, not an audio call", c.ID())}
	}
	return audio, nil
}

// onAudio begins a method of an audio call that has no further parameter.
func onAudio(a among, do func(*session.AudioVideoCall, context.Context) error) func(*Env, callParam) (any, Operation, error) {
	return func(e *Env, p callParam) (any, Operation, error) {
		c, err := e.findAudio(p.Call, a)
		if err != nil {
			return nil, nil, err
		}
		return refOf(c), func(ctx context.Context) (any, error) { return refOf(c), do(c, ctx) }, nil
	}
}

func mute(on bool) func(context.Context, *Env, callParam) (any, error) {
	return func(_ context.Context, e *Env, p callParam) (any, error) {
		c, err := e.findAudio(p.Call, current)
		if err != nil {
			return nil, err
		}
		return refOf(c), c.Mute(on)
	}
}

func digits(e *Env, p struct {
	Call   string `json:"call"`
	Digits string `json:"digits"`
},
) (any, Operation, error) {
	if p.Digits == "" || strings.Trim(strings.ToUpper(p.Digits), "0123456789*#ABCD,") != "" {
		return nil, nil, &ParamError{
			Method: "call.dtmf", Problem: fmt.Sprintf("digits %.40q are not all keys", p.Digits), Accepts: "0-9 * # A-D, and a comma for a pause",
		}
	}
	c, err := e.findAudio(p.Call, current)
	if err != nil {
		return nil, nil, err
	}
	return refOf(c), func(ctx context.Context) (any, error) { return refOf(c), c.Digits(ctx, strings.ToUpper(p.Digits)) }, nil
}

// conferenceResult is the result of call.conference.
type conferenceResult struct {
	Conference string   `json:"conference,omitempty"`
	Calls      []string `json:"calls"`
}

func conference(e *Env, p struct {
	Calls []string `json:"calls"`
},
) (any, Operation, error) {
	ids := p.Calls
	if len(ids) == 0 {
		for _, c := range e.Endpoint.Snapshot().Calls {
			if established.fits(c) {
				ids = append(ids, c.Call)
			}
		}
	}
	var calls []*session.AudioVideoCall
	result := conferenceResult{Calls: []string{}}
	for _, id := range ids {
		c, err := e.findAudio(id, established)
		if err != nil {
			return nil, nil, err
		}
		if !slices.Contains(calls, c) {
			calls, result.Calls = append(calls, c), append(result.Calls, c.ID())
		}
	}
	if len(calls) < 2 {
		return nil, nil, &session.Error{Op: "conference", Kind: session.KindState, Err: fmt.Errorf("two calls are needed, and there is %d", len(calls))}
	}
	return result, func(ctx context.Context) (any, error) {
		if err := e.Endpoint.Conference(ctx, calls...); err != nil {
			return nil, err
		}
		result.Conference = calls[0].Info().Conference
		return result, nil
	}, nil
}

// recordResult is the result of call.record.
type recordResult struct {
	callRef
	File string `json:"file"`
}

func record(_ context.Context, e *Env, p struct {
	Call string `json:"call"`
	File string `json:"file"`
	Stop bool   `json:"stop"`
},
) (any, error) {
	if p.Stop && p.File != "" {
		return nil, &ParamError{Method: "call.record", Problem: "give file or stop, not both"}
	}
	which := current
	if p.Stop {
		which = recorded
	}
	c, err := e.findAudio(p.Call, which)
	if err != nil {
		return nil, err
	}
	if p.Stop {
		file, err := c.StopRecording()
		return recordResult{refOf(c), file}, err
	}
	file, err := e.recordingPath(p.File, c)
	if err != nil {
		return nil, err
	}
	return recordResult{refOf(c), file}, c.Record(file)
}

// recordingPath is the absolute path of the file to record to. One that is not named is called after the time and the peer.
func (e *Env) recordingPath(file string, c *session.AudioVideoCall) (string, error) {
	if rest, ok := strings.CutPrefix(file, "~/"); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		file = filepath.Join(home, rest)
	}
	if file != "" {
		return filepath.Abs(file)
	}
	if err := os.MkdirAll(e.Recordings, 0o700); err != nil {
		return "", err
	}
	_, peer, _ := strings.Cut(c.Conversation().Peer().URI, ":")
	peer, _, _ = strings.Cut(peer, "@")
	harmless := func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.+", r) {
			return r
		}
		return '_'
	}
	name := time.Now().Format("20060102-150405-") + strings.Map(harmless, peer) + ".wav"
	return filepath.Join(e.Recordings, name), nil
}
