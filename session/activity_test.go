package session

import (
	"testing"
	"testing/synctest"
	"time"

	"offhook/internal/body"
	"offhook/internal/event"
)

func TestClassFollowsInput(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		since    time.Duration // negative: never
		detached bool
		want     deviceClass
	}{
		{0, false, classActive},
		{5*time.Minute - 1, false, classActive},
		{5 * time.Minute, false, classInactive},
		{20*time.Minute - 1, false, classInactive},
		{20 * time.Minute, false, classAway},
		{-1, false, classUnknown},
		{0, true, classAway},
		{-1, true, classAway},
	} {
		m := machine{attached: !c.detached}
		if c.since >= 0 {
			m.input = now.Add(-c.since)
		}
		if got := m.class(now); got != c.want {
			t.Errorf("%v after input, detached %v: %s, want %s", c.since, c.detached, got, c.want)
		}
	}
}

// device is an endpoint whose publications are counted instead of sent.
func device(t *testing.T) *Endpoint {
	t.Helper()
	e, err := New(Config{AOR: "sip:bob@example.org", Instance: "urn:uuid:self", NoPublish: true, NoRegister: true})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// published lists when this device would publish, if it had input at the given times.
func published(t *testing.T, inputs []time.Duration, until time.Duration, others func(at time.Duration) map[string]*deviceView) []time.Duration {
	t.Helper()
	var at []time.Duration
	synctest.Test(t, func(t *testing.T) {
		e, began := device(t), time.Now()
		for tick := time.Duration(0); tick <= until; tick += time.Second {
			e.mu.Lock()
			if others != nil {
				e.devices = others(tick)
			}
			e.mu.Unlock()
			if len(inputs) > 0 && inputs[0] == tick {
				e.Input(time.Now())
				inputs = inputs[1:]
			}
			e.mu.Lock()
			m := &e.machine
			now := time.Now()
			first, class := m.publishedAt.IsZero(), m.class(now)
			if first || class != m.published || m.news && now.Sub(m.publishedAt) >= publishEvery {
				m.published, m.publishedInput, m.publishedAt, m.news = class, m.input, now, false
				at = append(at, now.Sub(began))
			}
			e.mu.Unlock()
			time.Sleep(time.Second)
		}
	})
	return at
}

func seconds(n ...int) []time.Duration {
	out := make([]time.Duration, len(n))
	for i, s := range n {
		out[i] = time.Duration(s) * time.Second
	}
	return out
}

func equal(a, b []time.Duration) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// What is published: the beginning, the transitions, input after a pause. Typing on is no news.
func TestWhenInputIsPublished(t *testing.T) {
	var typing []int
	for s := 30; s < 120; s += 3 {
		typing = append(typing, s)
	}
	got := published(t, seconds(typing...), 1500*time.Second, nil)
	want := seconds(0, 30, 117+300, 117+1200) // unknown, active, inactive, away
	if !equal(got, want) {
		t.Errorf("published at %v, want %v", got, want)
	}
	got = published(t, seconds(30, 46, 62, 65), 100*time.Second, nil)
	if want := seconds(0, 30, 46, 62); !equal(got, want) {
		t.Errorf("published at %v, want %v", got, want)
	}
}

// Another device was used while this one was in use too: without telling, the other would stand first for having told
// later.
func TestTypingOnIsPublishedWhenItMatters(t *testing.T) {
	var typing []int
	for s := 30; s < 120; s += 3 {
		typing = append(typing, s)
	}
	bubble := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	other := func(at time.Duration) map[string]*deviceView {
		if at < 60*time.Second {
			return nil
		}
		return map[string]*deviceView{"urn:uuid:other": {class: classActive, received: bubble.Add(60 * time.Second)}}
	}
	got := published(t, seconds(typing...), 200*time.Second, other)
	if len(got) < 3 || got[2] < 60*time.Second || got[2] > 72*time.Second || len(got) > 4 {
		t.Errorf("published at %v", got)
	}
}

// Clocks of two devices are never compared.
func TestIdleIsFreeOfSkew(t *testing.T) {
	skewed := time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC) // the other device's idea of now
	received := time.Now()
	doc := body.PIDF{Devices: []body.Device{
		{DeviceID: "urn:uuid:A", Class: "active", Idle: -1, LastInput: skewed.Add(-40 * time.Second), Timestamp: skewed},
		{DeviceID: "urn:uuid:B", Class: "inactive", Idle: 7 * time.Minute, Timestamp: skewed},
		{DeviceID: "urn:uuid:C", UserInput: "active", Idle: -1, Timestamp: skewed},
		{DeviceID: "urn:uuid:D", Idle: -1},
		{},
	}}
	views := viewDevices(doc, nil, event.Notification{Received: received}, true)
	later := received.Add(10 * time.Second)
	for instance, want := range map[string]candidate{
		"urn:uuid:a": {class: classActive, idle: 50 * time.Second},
		"urn:uuid:b": {class: classInactive, idle: 7*time.Minute + 10*time.Second},
		"urn:uuid:c": {class: classActive, idle: -1},
		"urn:uuid:d": {class: classUnknown, idle: -1},
	} {
		v := views[instance]
		if v == nil || v.class != want.class || v.idleAt(later) != want.idle {
			t.Errorf("%s: %+v, idle %v", instance, v, v.idleAt(later))
		}
	}
	if len(views) != 4 {
		t.Errorf("%d devices", len(views))
	}
	// The same publication in a later NOTIFY, because another device has published, is no news.
	again := viewDevices(doc, views, event.Notification{Received: later}, false)
	if got := again["urn:uuid:a"].idleAt(later); got != 50*time.Second {
		t.Errorf("idle %v after the same publication came again", got)
	}
	// A document that was old when this endpoint subscribed.
	old := event.Notification{Received: received, Date: skewed.Add(time.Minute)}
	if got := viewDevices(doc, nil, old, true)["urn:uuid:a"].idleAt(received); got != 100*time.Second {
		t.Errorf("idle %v of an old publication", got)
	}
}
