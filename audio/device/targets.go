package device

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"offhook/internal/media"
	"offhook/internal/plaintext"
)

// maxName bounds what a device may call itself, in bytes.
const maxName = 128

// target is a card that may be opened for a role.
type target struct {
	backend Backend
	device  media.Device // ID "" is the default
	standIn bool
}

func (r *role) capture() bool { return r.purpose == "microphone" }

// title is what was selected, as a sentence says it.
func (r *role) title() string { return title(media.Device{ID: r.name}) }

func title(d media.Device) string {
	switch {
	case d.Name != "":
		return d.Name
	case d.ID == "" || d.ID == nameDefault:
		return "the system's default"
	}
	return plaintext.Line(d.ID, maxName)
}

// newEnd makes our end of a card, and returns what the card calls.
func (r *role) newEnd(capture bool) func([]int16) {
	if capture {
		r.heard = newListener()
		r.line = &r.heard.line
		return r.heard.data
	}
	r.player = newPlayer()
	r.line = &r.player.line
	return r.player.data
}

// targets are what may be opened for a role, best first: what was selected, the defaults, whatever there is. What comes
// late is looked for late, since asking for a list takes longer than opening the default.
func (h *Hub) targets(ctx context.Context, r *role) iter.Seq[target] {
	return func(yield func(target) bool) {
		backends := h.candidates()
		lists := map[Backend][]media.Device{}
		list := func(b Backend) []media.Device {
			if _, ok := lists[b]; !ok {
				lists[b], _ = h.devices(ctx, b)
			}
			return lists[b]
		}
		if r.name != nameDefault {
			for _, b := range backends {
				for _, d := range match(list(b), r.name, r.capture()) {
					if !yield(target{b, d, false}) {
						return
					}
				}
			}
		}
		for _, b := range backends {
			if !yield(target{b, media.Device{Backend: b.Name(), Capture: r.capture()}, r.name != nameDefault}) {
				return
			}
		}
		for _, b := range backends {
			for _, d := range list(b) {
				if d.Capture == r.capture() && !d.Default && !yield(target{b, d, true}) {
					return
				}
			}
		}
	}
}

// candidates are the backends that may be used now: the one that is in use, or was until just now.
func (h *Hub) candidates() []Backend {
	k := &h.keeper
	inUse := slices.ContainsFunc(k.roles(), func(r *role) bool { return r.card != nil && r.backend == k.backend })
	if inUse || !k.lost.IsZero() && time.Since(k.lost) < restartTime {
		return []Backend{k.backend}
	}
	return h.backends
}

// match finds the device of a name: its id, else its name, else the only one whose name has that in it.
func match(all []media.Device, name string, capture bool) []media.Device {
	if name == nameDefault {
		return nil
	}
	find := func(is func(d media.Device) bool) []media.Device {
		var found []media.Device
		for _, d := range all {
			if d.Capture == capture && is(d) {
				found = append(found, d)
			}
		}
		return found
	}
	for _, is := range []func(d media.Device) bool{
		func(d media.Device) bool { return d.ID == name },
		func(d media.Device) bool { return strings.EqualFold(d.Name, name) },
		func(d media.Device) bool { return strings.Contains(strings.ToLower(d.Name), strings.ToLower(name)) },
	} {
		if found := find(is); len(found) > 0 {
			return found
		}
	}
	return nil
}

// devices lists what a backend has, cleaned. One that does not answer has nothing; ok tells it from one without cards.
func (h *Hub) devices(ctx context.Context, b Backend) (all []media.Device, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, openLimit)
	defer cancel()
	all, err := b.Devices(ctx)
	if err != nil {
		h.log.Debug("devices could not be listed", "backend", b.Name(), "err", err)
		return nil, false
	}
	for i := range all {
		all[i].Name = plaintext.Line(all[i].Name, maxName)
		all[i].Backend = b.Name()
	}
	return all, true
}

// cardsOf lists the sound cards of the first backend that has any: further backends would show the same ones again. ok
// tells a machine without cards from one that does not answer.
func (h *Hub) cardsOf(ctx context.Context, backends []Backend) (all []media.Device, ok bool) {
	for _, b := range backends {
		list, answered := h.devices(ctx, b)
		if len(list) > 0 {
			return list, true
		}
		ok = ok || answered
	}
	return nil, ok
}

// Devices lists the sound cards there are now, and the virtual devices that need no argument.
func (h *Hub) Devices(ctx context.Context) ([]media.Device, error) {
	all, _ := h.cardsOf(ctx, h.backends)
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("device: %w", err)
	}
	sel, used := h.Selection(), h.route.Load().inUse
	for i, d := range all {
		all[i].InUse = slices.Contains(used, d.ID) || d.Default && slices.Contains(used, "")
	}
	return append(all,
		media.Device{ID: nameSilence, Name: "silence", Backend: "virtual", Capture: true, InUse: sel.Capture == nameSilence},
		media.Device{ID: nameDiscard, Name: "nothing is heard", Backend: "virtual", InUse: sel.Playback == nameDiscard},
	), nil
}

// check refuses names of cards that do not exist, or that fit several.
func (h *Hub) check(sel media.Selection) error {
	type choice struct {
		name    string
		capture bool
	}
	choices := []choice{{sel.Capture, true}, {sel.Playback, false}}
	for _, name := range sel.Ringers {
		choices = append(choices, choice{name, false})
	}
	choices = slices.DeleteFunc(choices, func(c choice) bool { return c.name == "" || c.name == nameDefault || isVirtual(c.name) })
	if len(choices) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), openLimit)
	defer cancel()
	all, _ := h.cardsOf(ctx, h.backends)
	var errs []error
	for _, c := range choices {
		switch found := match(all, c.name, c.capture); len(found) {
		case 0:
			errs = append(errs, fmt.Errorf("device: there is no device %q", plaintext.Line(c.name, maxName)))
		case 1:
		default:
			var names []string
			for _, d := range found {
				names = append(names, d.Name)
			}
			errs = append(errs, fmt.Errorf("device: %q fits %s; name one, or its id",
				plaintext.Line(c.name, maxName), strings.Join(names, " and ")))
		}
	}
	return errors.Join(errs...)
}

// poll reads the list of devices, tells who watches it when it has changed, and acts on it: a card that was pulled out is
// left, one that was selected and is there again is taken.
func (h *Hub) poll(ctx context.Context, wanted []*role) {
	k := &h.keeper
	list, ok := h.cardsOf(ctx, h.candidates())
	k.polled = time.Now()
	if ok != k.listed || !slices.Equal(list, k.list) {
		h.mu.Lock()
		h.tellWatchersLocked()
		h.mu.Unlock()
	}
	k.list, k.listed = list, ok
	if !ok {
		return
	}
	for _, r := range wanted {
		switch {
		case r.card == nil || len(list) == 0:
		case r.standIn && len(match(list, r.name, r.capture())) > 0:
			h.close(r)
			r.retry = time.Time{}
		case r.device.ID != "" && r.backend.Name() == list[0].Backend && !slices.ContainsFunc(list, func(d media.Device) bool {
			return d.ID == r.device.ID && d.Capture == r.capture()
		}):
			h.fail(r, errors.New("the device was removed"))
			k.lost = time.Time{} // the server is well
		}
	}
}
