package headless

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"time"

	"offhook/session"
)

// documented are all events, as the documentation shows them.
func documented() []struct {
	event session.Event
	doc   string
} {
	type entry = struct {
		event session.Event
		doc   string
	}
	return []entry{
		{session.RegistrationChanged{}, "How the registration stands. `state` is registering, registered, failed or unregistered; `expires` is in seconds, `endpoints` the number of this user's endpoints that the registrar knows, `retry` with failed the seconds until the next attempt."},
		{session.ToastShown{}, "Something is offered to the user. `kind` is im, call, ringback, orbit or missed; of the two about parking `orbit` is the number. `deadline` is when the most active device accepts by itself, `most_active` its name, `this_device` whether it is this one, `devices` the names of all, most active first."},
		{session.ToastClosed{}, "The offer is gone. `reason` is accepted, auto_accepted, declined, dismissed, answered_elsewhere, missed or canceled; `by` names the device that answered, where that is known."},
		{session.CallStateChanged{}, "A transition of a call: `from_state` to `state`, because of `trigger`. `kind` is im or audio, `direction` inbound or outbound; `sip` is the status that ended it."},
		{session.CallRinging{}, "Once a call, at the first ringing of any device of the peer."},
		{session.AutoAccept{}, "This endpoint accepts by itself: `immediate` as the only endpoint of the user, or `elected` after the window, `rank` 0 being the most active."},
		{session.CallHold{}, "Who holds a call: `hold` is none, local, remote or both."},
		{session.CallMuted{}, "The microphone of a call is muted, or is not any more."},
		{session.CallMedia{}, "What offer and answer have agreed on for an audio call, or that it is heard (`heard`) or protected now. `security` is none, sdes or dtls; `early` is true before the call is answered."},
		{session.CallSilence{}, "Nothing has been heard of a call for some seconds, or something is again. `cause` is never_heard, rejected or stopped, `text` a sentence about it."},
		{session.CallDigit{}, "The peer pressed a key."},
		{session.CallRecording{}, "A call is recorded to `file`, or the recording has ended."},
		{session.CallConference{}, "A call has joined the conference `conference`; it has left it when that is empty."},
		{session.CallParty{}, "Who is at the other end of a call now, where that is not the peer of its conversation: who has picked this user up, or whom this user has picked up at `orbit`. With `parked` it is this user who is parked there, `by` whom."},
		{session.CallTrouble{}, "Something is wrong with the sound of a call, which goes on. `kind` is an error kind."},
		{statsChanged{}, "Once a second for every audio call, to clients that subscribe to it. As the result of `call.stats`: durations are in milliseconds, losses shares from 0 to 1, levels in dB below full scale, `mos` the estimated quality of what is heard, 1 to 4.5; it and `round_trip` are left out until they are known."},
		{levelChanged{}, "How loud microphone and speaker are, in dB below full scale; -127 is silence. At most 15 times a second, to clients that subscribe to it; the devices are kept open for it."},
		{session.ConversationChanged{}, "`state` is Inactive, Active, Parked or Terminated."},
		{session.ActionAvailability{}, "`conversation.can` would now answer otherwise for this action."},
		{session.ParkDone{}, "A call of this user is parked. Its number is for people and is used again; `safe_retrieve_uri` reaches this call or none, and is a secret."},
		{session.ParkFailed{}, "A call was not parked. It goes on. `kind` is an error kind, `message` a sentence."},
		{session.Unparked{}, "A call that this user has parked is parked no more. `reason` is retrieved, ringback, abandoned, disconnected, fallback, dropped or unknown; `target` has the call now."},
		{session.BroadcastChanged{}, "What has become of the announcement of an orbit at one recipient: `status` is sent, delivered, displayed or failed."},
		{session.BoardChanged{}, "A line of the board is new or has changed, or is `gone`. `state` is parked or recalling: it rings at who has parked it. `mine` are those of this user. An `estimated` line is known only by what `announced_by` has written; `announced` is whom they named, if somebody else is there."},
		{session.MessageChanged{}, "A message is new, or its status changed. `status` is sending, sent (stored by the network for later), delivered, displayed or failed; `error` says why. `toast` is true for one that an invitation carried, `missed` for one that nobody opened here, `elsewhere` for one answered on another device. `partial` is true while only the beginning of a long text is there; the whole one replaces it under the same `message`. `waiting` is true while a text cannot go out because the server cannot be reached. `sent` is the time of the message, which for a stored one is before that of the event."},
		{session.Composing{}, "The peer types, or stopped."},
		{session.PresenceChanged{}, "A watched address's presence. `availability` is available, busy, dnd, away, offline or unknown; a device's `class` is active, inactive, unknown, away or off and `idle_s` -1 if it is not known."},
		{session.HealthChanged{}, "A lasting condition began, or was cleared. `severity` is warning or error."},
		{session.Notice{}, "A line for the thread of a conversation, e.g. that another device has taken it."},
		{overflow{}, "This reader fell behind and events were dropped. A `snapshot` follows."},
		{snapshot{}, "Everything: what a reader needs that knows nothing."},
	}
}

// eventTypes are the names of all events.
func eventTypes() []string {
	var out []string
	for _, d := range documented() {
		out = append(out, d.event.Type())
	}
	return out
}

// EventsMarkdown returns the reference of all events.
func EventsMarkdown() []byte {
	var b bytes.Buffer
	b.WriteString("# Events\n\nGenerated from the event types by `make docs`.\n\n" +
		"Events are JSON-RPC 2.0 notifications, one a line:\n\n" +
		"```json\n{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":{\"seq\":17,\"time\":\"2026-01-02T03:04:05.678Z\",\"type\":\"call.ringing\",\"call\":\"c3\",\"conversation\":\"k1\"}}\n```\n\n" +
		"`seq` grows by one for each event of a connection, `time` is UTC. Fields that do not apply are left out. `offhook headless`\n" +
		"prints events by itself; on the control socket they begin with the method `subscribe` (`offhook ctl --follow`). Those of level\n" +
		"type, `audio.level` and `call.stats`, come only to who asks for them: `{\"method\":\"subscribe\",\"params\":{\"types\":[\"audio.level\"]}}`.\n")
	for _, d := range documented() {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", d.event.Type(), d.doc)
		fields := fieldsOf(reflect.TypeOf(shown(d.event)))
		if len(fields) == 0 {
			continue
		}
		b.WriteString("\n| field | type |\n|---|---|\n")
		for _, f := range fields {
			fmt.Fprintf(&b, "| `%s` | %s |\n", f[0], f[1])
		}
	}
	return b.Bytes()
}

// fieldsOf lists the JSON members of a struct and their types; embedded structs are flattened as encoding/json does.
func fieldsOf(t reflect.Type) [][2]string {
	var out [][2]string
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			out = append(out, fieldsOf(f.Type)...)
		case name != "" && name != "-" && name != "time":
			out = append(out, [2]string{name, jsonType(f.Type)})
		}
	}
	return out
}

func jsonType(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return "RFC 3339 time"
	case t.Kind() == reflect.Pointer:
		return jsonType(t.Elem())
	case t.Kind() == reflect.Slice:
		return "array of " + jsonType(t.Elem())
	case t.Kind() == reflect.Struct:
		var names []string
		for _, f := range fieldsOf(t) {
			names = append(names, f[0])
		}
		return "object {" + strings.Join(names, ", ") + "}"
	case t.Kind() == reflect.Bool:
		return "boolean"
	case t.Kind() == reflect.Int, t.Kind() == reflect.Uint64:
		return "integer"
	case t.Kind() == reflect.Float64:
		return "number"
	default:
		return "string"
	}
}
