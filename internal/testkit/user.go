package testkit

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"offhook/internal/sipua"
	"offhook/session"
)

// User is a person with one or more devices.
type User struct {
	Name string

	world   *World
	devices []*Device
	setup   userOptions
}

// UserOption changes a new user.
type UserOption func(*userOptions)

type userOptions struct {
	devices int
	change  []func(i int, cfg *session.Config)
	absent  bool
}

// Devices gives the user n devices instead of one. Device i was last used i minutes before it signed in.
func Devices(n int) UserOption { return func(o *userOptions) { o.devices = n } }

// Silent devices neither publish nor use device state.
func Silent() UserOption {
	return Configure(func(_ int, cfg *session.Config) { cfg.NoPublish = true })
}

// Configure lets a test change the configuration of device i.
func Configure(change func(i int, cfg *session.Config)) UserOption {
	return func(o *userOptions) { o.change = append(o.change, change) }
}

// Absent users exist but have not signed in: Device(i).SignIn does that.
func Absent() UserOption { return func(o *userOptions) { o.absent = true } }

// Endpoint adds a user and signs all devices in.
func (w *World) Endpoint(name string, opts ...UserOption) *User {
	w.T.Helper()
	u := &User{Name: name, world: w, setup: userOptions{devices: 1}}
	for _, opt := range opts {
		opt(&u.setup)
	}
	w.users = append(w.users, u)
	for range u.setup.devices {
		u.AddDevice()
	}
	if u.setup.absent {
		return u
	}
	for i, d := range u.devices {
		d.SignIn()
		d.Input(time.Duration(i) * time.Minute)
	}
	w.Sleep(time.Second) // publications and notifications of all devices have met
	return u
}

// AOR is the user's address.
func (u *User) AOR() string { return "sip:" + u.Name + "@" + Domain }

// Device returns the user's i-th device.
func (u *User) Device(i int) *Device { return u.devices[i] }

// Devices returns all of them.
func (u *User) Devices() []*Device { return u.devices }

// AddDevice gives the user one more device, which is not signed in.
func (u *User) AddDevice() *Device {
	w := u.world
	i := len(u.devices)
	nth := 0
	for n, other := range w.users {
		if other == u {
			nth = n + 1
		}
	}
	d := &Device{
		Name: fmt.Sprintf("%s-%d", u.Name, i), Host: netip.AddrFrom4([4]byte{127, 0, byte(nth), byte(i + 1)}),
		Journal: &Journal{}, user: u, world: w,
	}
	d.config = session.Config{
		AOR: u.AOR(), DeviceName: d.Name, Instance: fmt.Sprintf("urn:uuid:00000000-0000-4000-8000-%06d%06d", nth, i),
		Server: "sip:" + w.serverAddress() + ";transport=udp",
		Listen: []sipua.Listener{{Network: "udp", Address: netip.AddrPortFrom(d.Host, 5060).String()}},
		Credentials: func(context.Context) (string, sipua.Secret, error) {
			return u.Name, sipua.Secret(u.Name + " secret"), nil
		},
		Journal: d.Journal, Logger: w.log.With("host", d.Name), ListenPacket: w.Net.ListenPacket,
	}
	for _, change := range u.setup.change {
		change(i, &d.config)
	}
	u.devices = append(u.devices, d)
	return d
}

// MostActive is the device that was used last, of those that are up.
func (u *User) MostActive() *Device {
	var best *Device
	for _, d := range u.devices {
		if d.up && !d.cut && (best == nil || d.lastInput.After(best.lastInput)) {
			best = d
		}
	}
	return best
}

// Established lists the devices that have a live IM session.
func (u *User) Established() []*Device {
	u.world.Settle()
	var with []*Device
	for _, d := range u.devices {
		if d.up && !d.cut && d.established() > 0 {
			with = append(with, d)
		}
	}
	return with
}

// IM sends text to somebody from the user's first device. It does not wait.
func (u *User) IM(to *User, text string) *Sending { return u.devices[0].IM(to, text) }
