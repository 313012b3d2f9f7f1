package session

import (
	"context"
	"maps"
	"slices"
	"time"

	"offhook/internal/body"
	"offhook/internal/event"
	"offhook/internal/sipua"
)

// Device is one endpoint's published state.
type Device struct {
	Instance string `json:"instance"`
	Name     string `json:"name,omitempty"`
	Class    string `json:"class"`  // active, inactive, unknown, away, off
	IdleS    int    `json:"idle_s"` // -1 unknown
	Self     bool   `json:"self,omitempty"`
}

// classNames are the device classes as they are published, in their order.
var classNames = [...]string{
	classActive: "active", classInactive: "inactive", classUnknown: "unknown", classAway: "away", classOff: "off",
}

func (c deviceClass) String() string { return classNames[c] }

// classOf reads a published class. What is not known stands between inactive and away.
func classOf(d body.Device) deviceClass {
	if at := slices.Index(classNames[:], d.Class); at >= 0 {
		return deviceClass(at)
	}
	switch d.UserInput { // RFC 4480 §3.14, of clients that know no classes
	case "active":
		return classActive
	case "idle":
		return classInactive
	}
	return classUnknown
}

// deviceView is what this endpoint knows of another device of its user.
//
// Clocks of two devices are never compared. How long a device was idle when it published is a difference on its own
// clock; how long ago that was is a difference on ours.
type deviceView struct {
	name     string
	class    deviceClass
	idle     time.Duration // when it published; negative: not told
	received time.Time     // when this endpoint learnt it
	stamp    string        // of the publication: the same stamp again is no news
}

// idleAt estimates how long the device has been idle at a time.
func (d deviceView) idleAt(now time.Time) time.Duration {
	if d.idle < 0 {
		return -1
	}
	return d.idle + now.Sub(d.received)
}

// viewDevices reads the devices of a presence document. known are the views until now; old is how much older than its
// arrival the document is.
func viewDevices(doc body.PIDF, known map[string]*deviceView, n event.Notification, first bool) map[string]*deviceView {
	views := make(map[string]*deviceView, len(doc.Devices))
	for _, d := range doc.Devices {
		instance := normalInstance(d.DeviceID)
		if instance == "" {
			continue
		}
		v := &deviceView{
			name: cleanName(d.Name), class: classOf(d), idle: -1, received: n.Received,
			stamp: d.Timestamp.String() + d.Class + d.UserInput + d.LastInput.String(),
		}
		switch {
		case d.Idle >= 0:
			v.idle = d.Idle
		case !d.LastInput.IsZero() && !d.Timestamp.IsZero():
			v.idle = max(0, d.Timestamp.Sub(d.LastInput))
		}
		if old := n.Date.Sub(d.Timestamp); first && !n.Date.IsZero() && !d.Timestamp.IsZero() && old > 5*time.Second {
			v.received = n.Received.Add(-old) // a publication made before this endpoint subscribed
		}
		if was, ok := known[instance]; ok && was.stamp == v.stamp {
			v.received = was.received
		}
		views[instance] = v
	}
	return views
}

// registry is the registration state of the own address of record, as the reg event tells it (RFC 3680).
type registry struct {
	usage    usage           // tells whether the rest is still true; nil before it begins
	full     bool            // all contacts have been told
	contacts map[string]bool // instances that are registered; where one is not told, the contact's address
	// anonymous contacts have been told: they count, but cannot be matched with devices. Kamailio's reginfo is so.
	anonymous bool
}

// live reports whether the contacts are all there are, now.
func (r registry) live() bool { return r.full && r.usage != nil && r.usage.Active() }

// names reports whether the contacts tell which instances are registered, now.
func (r registry) names() bool { return r.live() && !r.anonymous }

// runRegistry follows the own registrations, which tell how many endpoints there are.
func (e *Endpoint) runRegistry(ctx context.Context) {
	e.mu.Blocking()
	if e.cfg.NoRegister {
		e.counted.release()
		return
	}
	opt := event.SubscribeOptions{Target: e.aor, Event: "reg", Accept: []string{body.TypeReginfo}, Logger: e.log}
	e.follow(ctx, opt, follower{
		began: func(u usage) {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.registry.usage = u
		},
		told: e.registryTold,
		lost: func(err error) {
			e.log.Info("registrations are not told", "err", err)
			e.mu.Lock()
			e.registry = registry{}
			e.mu.Unlock()
			e.counted.release()
		},
	})
}

// registryTold takes one NOTIFY of the reg event: a full list, or changes to the last one.
func (e *Endpoint) registryTold(n event.Notification, _ bool) {
	var doc body.Reginfo
	if len(n.Body) > 0 {
		var err error
		if doc, err = body.ParseReginfo(n.Body); err != nil {
			e.log.Warn("registration document cannot be read", "err", err)
			return
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if doc.Full || e.registry.contacts == nil {
		e.registry.contacts, e.registry.anonymous = map[string]bool{}, false
	}
	e.registry.full = n.State == "active" && (doc.Full || e.registry.full)
	for _, reg := range doc.Regs {
		for _, contact := range reg.Contacts {
			instance := normalInstance(contact.Instance)
			if instance == "" {
				instance, e.registry.anonymous = contact.URI, true
			}
			if contact.State == "active" {
				e.registry.contacts[instance] = true
			} else {
				delete(e.registry.contacts, instance)
			}
		}
	}
	if e.registry.full {
		e.counted.release()
	}
	e.countChangedLocked()
}

// countChangedLocked tells a new number of endpoints.
func (e *Endpoint) countChangedLocked() {
	e.mu.Held()
	count := e.populationLocked().count()
	if e.registration.State == registered && e.registration.Endpoints != count {
		e.registration.Endpoints = count
		e.publishLocked(e.registration)
	}
}

// populationLocked is what is known of the number of this user's endpoints. Without a registrar there is nobody to fork
// a request: whoever calls this address calls this endpoint.
func (e *Endpoint) populationLocked() population {
	e.mu.Held()
	if e.cfg.NoRegister {
		return population{certain: true}
	}
	return population{
		registered: e.bindings.instances, regEvent: len(e.registry.contacts), presence: len(e.devices),
		certain: e.registry.live(),
	}
}

// certainlySole reports whether an INVITE that has arrived was offered to this endpoint alone.
//
// What the reg event has told may be older than the INVITE: of another endpoint that signed in a moment ago the
// INVITE tells this one first. So the registrar is asked again. Whoever was registered when it forked the INVITE is in
// the answer, which was made later; who has left in between does no harm.
func (e *Endpoint) certainlySole(ctx context.Context, arrived time.Time) bool {
	e.mu.Blocking()
	ctx, cancel := context.WithDeadline(ctx, arrived.Add(countPatience))
	defer cancel()
	_ = e.counted.wait(ctx, 0) // this endpoint may just have signed in
	e.mu.Lock()
	sole, asked := e.populationLocked().sole(), !e.cfg.NoRegister
	e.mu.Unlock()
	if !sole || !asked {
		return sole
	}
	_, instances, err := e.agent.Bindings(ctx)
	if err != nil {
		e.log.Info("registrar does not tell the endpoints", "err", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return err == nil && instances == 1 && e.populationLocked().sole()
}

// devicesUsableLocked reports whether the election can go by device state.
func (e *Endpoint) devicesUsableLocked() bool {
	return e.devicesKnown && e.ownPresence != nil && e.ownPresence.Active()
}

// candidatesLocked lists the user's endpoints for the election: this one with its true state, the others as they have
// published, and those that are registered but publish nothing as unknown.
func (e *Endpoint) candidatesLocked() []candidate {
	e.mu.Held()
	now := time.Now()
	list := []candidate{{e.cfg.Instance, e.machine.class(now), e.machine.idle(now)}}
	seen := map[string]bool{e.cfg.Instance: true}
	for instance, d := range e.devices {
		// Who publishes but is not registered is not offered the call.
		if seen[instance] || e.registry.names() && !e.registry.contacts[instance] {
			continue
		}
		seen[instance] = true
		list = append(list, candidate{instance, d.class, d.idleAt(now)})
	}
	silent := e.bindings.ids // as of this endpoint's last registration: second best
	if e.registry.names() {
		silent = slices.Collect(maps.Keys(e.registry.contacts))
	}
	for _, instance := range silent {
		if !seen[instance] {
			seen[instance] = true
			list = append(list, candidate{instance, classUnknown, -1})
		}
	}
	return list
}

func (e *Endpoint) deviceNameLocked(instance string) string {
	if instance == e.cfg.Instance {
		return e.cfg.DeviceName
	}
	if d, ok := e.devices[instance]; ok {
		return d.name
	}
	return ""
}

// devicesLocked lists the user's devices, most active first.
func (e *Endpoint) devicesLocked() []Device {
	list := []Device{}
	for _, c := range ranked(e.candidatesLocked(), "") {
		list = append(list, deviceOf(c, e.deviceNameLocked(c.instance), c.instance == e.cfg.Instance))
	}
	return list
}

func deviceOf(c candidate, name string, self bool) Device {
	idle := -1
	if c.idle >= 0 {
		idle = int(c.idle / time.Second)
	}
	return Device{Instance: c.instance, Name: name, Class: c.class.String(), IdleS: idle, Self: self}
}

// answererLocked names the device that has answered a call elapsed after it came, if that can be told: the server names
// it, or there is only one other, or the window is over and each of them has its own time to accept.
func (e *Endpoint) answererLocked(reason sipua.Reason, callID string, elapsed time.Duration) string {
	if reason.Instance != "" {
		return e.deviceNameLocked(normalInstance(reason.Instance))
	}
	order := ranked(e.candidatesLocked(), callID)
	others := slices.DeleteFunc(slices.Clone(order), func(c candidate) bool { return c.instance == e.cfg.Instance })
	if len(others) == 1 {
		return e.deviceNameLocked(others[0].instance)
	}
	if elapsed < e.window() || !e.devicesUsableLocked() {
		return ""
	}
	at := int((elapsed - e.window()) / rankStagger)
	if at >= len(order) || order[at].instance == e.cfg.Instance {
		return ""
	}
	return e.deviceNameLocked(order[at].instance)
}
