package session

import (
	"slices"
	"testing"
	"time"

	"offhook/internal/body"
	"offhook/internal/event"
)

// A registration document without instances (Kamailio writes none) counts endpoints but cannot say which device is
// which: all that publish stay candidates. It once threw the others out, and every endpoint believed to be the first.
func TestAnonymousRegistrations(t *testing.T) {
	for _, c := range []struct {
		name      string
		instances []string // as the document tells them
		want      []string
	}{
		{"named", []string{"urn:uuid:self", "urn:uuid:b"}, []string{"urn:uuid:b", "urn:uuid:self"}},
		{"anonymous", []string{"", "", ""}, []string{"urn:uuid:b", "urn:uuid:c", "urn:uuid:self"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, err := New(Config{AOR: "sip:bob@example.test", Server: "sip:127.0.0.1", Instance: "urn:uuid:self"})
			if err != nil {
				t.Fatal(err)
			}
			doc := body.Reginfo{Full: true, Regs: []body.Registration{{AOR: "sip:bob@example.test", State: "active"}}}
			for i, instance := range c.instances {
				doc.Regs[0].Contacts = append(doc.Regs[0].Contacts, body.RegContact{
					ID: string(rune('a' + i)), State: "active", Event: "registered", Instance: instance,
					URI: "sip:bob@127.0.0.1:" + string(rune('1'+i)),
				})
			}
			e.registryTold(event.Notification{State: "active", Body: doc.Marshal()}, true)
			e.mu.Lock()
			defer e.mu.Unlock()
			e.registry.usage = liveUsage{}
			e.devices = map[string]*deviceView{
				"urn:uuid:b": {class: classActive, received: time.Now()},
				"urn:uuid:c": {class: classInactive, received: time.Now()},
			}
			var got []string
			for _, d := range ranked(e.candidatesLocked(), "call") {
				got = append(got, d.instance)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("candidates %v, want %v", got, c.want)
			}
			if n := e.populationLocked().count(); n != max(len(c.instances), 2) {
				t.Errorf("counted %d", n)
			}
		})
	}
}

// liveUsage is a subscription that is up.
type liveUsage struct{}

func (liveUsage) Active() bool { return true }
func (liveUsage) Renew()       {}
