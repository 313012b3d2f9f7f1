//go:build interop

package interop

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// asteriskFiles make an Asterisk the telephone system of an office.
//
//go:embed asterisk
var asteriskFiles embed.FS

// startOffice runs an Asterisk where everybody of voices has an account, and calls are parked from orbit first to last. It
// takes calls from Kamailio as well.
func startOffice(t *testing.T, first, last int) (host string) {
	t.Helper()
	files := map[string]string{}
	found, err := asteriskFiles.ReadDir("asterisk")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		text, err := asteriskFiles.ReadFile("asterisk/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		files[f.Name()] = strings.NewReplacer("FIRST", fmt.Sprint(first), "LAST", fmt.Sprint(last)).Replace(string(text))
	}
	files["extensions.conf"] += "\n[office]\n"
	for name := range voices {
		files["pjsip.conf"] += fmt.Sprintf("[%[1]s](phone)\nauth=%[1]s\naors=%[1]s\ncallerid=\"%[2]s\" <%[1]s>\n[%[1]s](account)\nusername=%[1]s\npassword=%[1]spw\n[%[1]s](contacts)\n",
			name, strings.ToUpper(name[:1])+name[1:])
		files["extensions.conf"] += fmt.Sprintf("exten => %[1]s,1,Dial(${PJSIP_DIAL_CONTACTS(%[1]s)},60)\n same => n,Hangup(${HANGUPCAUSE})\n", name)
	}
	kamailio, _, _ := strings.Cut(kamailioAddress, ":")
	files["pjsip.conf"] += fmt.Sprintf("[kamailio](phone)\ntrust_id_inbound=yes\nfrom_domain=%[1]s\noutbound_proxy=sip:%[2]s\\;lr\n[trunk]\ntype=identify\nendpoint=kamailio\nmatch=%[3]s\n",
		domain, kamailioAddress, kamailio)
	return startAsterisk(t, files)
}

// settings writes a configuration with these lines, and returns the flags that take it.
func settings(t *testing.T, lines ...string) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"--config", file}
}

const (
	stockLot   = "[park]\norbits = \"701-720\""
	helpersLot = "[park]\nstrategy = \"asterisk\"\nextension = \"park*{token}\"\nslot_uri = \"park-{orbit}*{token}\"\n" +
		"retrieve_uri = \"get-{orbit}*{token}\"\norbits = \"701-720\""
)

// TestAsteriskParksWithHelpers parks at an Asterisk whose dialplan takes a secret for each call.
func TestAsteriskParksWithHelpers(t *testing.T) {
	host := startOffice(t, 701, 720)
	mary, bob, carol := newPerson(t, "mary", host, host), newPerson(t, "bob", host, host, settings(t, helpersLot)...),
		newPerson(t, "carol", host, host, settings(t, helpersLot)...)
	if s := bob.do("park.service"); s["available"] != true || s["strategy"] != "asterisk" || s["safe"] != true {
		t.Fatalf("the park service is %v", s)
	}
	_, call := mary.dial(bob)
	mary.hears("bob")
	bob.hears("mary")

	orbit := bob.park(call)
	uri, _ := orbit["safe_retrieve_uri"].(string)
	if orbit["friendly_orbit"] != "701" || !strings.HasPrefix(uri, "sip:get-701*") {
		t.Fatalf("parked at %v", orbit)
	}
	bob.event("park.parked")
	bob.event("call.state", "call", call, "state", "Terminated")
	mary.hears(music)

	// Somebody with a wrong token gets nothing, and the right one gets the call.
	wrong := strings.Replace(uri, "*", "*x", 1)
	carol.isRefused("OrbitNotFound", "park.retrieve", "safe_retrieve_uri", wrong)
	carol.do("park.retrieve", "safe_retrieve_uri", uri)
	mary.hears("carol")
	carol.hears("mary")
	carol.isRefused("OrbitNotFound", "park.retrieve", "safe_retrieve_uri", uri)
	bob.isRefused("OrbitNotFound", "park.retrieve", "safe_retrieve_uri", uri)

	// At an orbit of her choice, and taken back by its number, which is by the token.
	carolCall := carol.established()
	carol.do("call.resume", "call", carolCall) // to call somewhere put it on hold
	orbit = carol.park(carolCall, "orbit", "705")
	if orbit["friendly_orbit"] != "705" {
		t.Fatalf("parked at %v", orbit)
	}
	mary.hears(music)
	carol.do("park.retrieve", "orbit", "705")
	mary.hears("carol")
	carol.hears("mary")
	carol.do("call.hangup")
}

// TestAsteriskHelpersAreOccupied parks where all orbits are taken, or the one that is wished for: the call goes on.
func TestAsteriskHelpersAreOccupied(t *testing.T) {
	host := startOffice(t, 701, 701)
	lot := strings.ReplaceAll(helpersLot, "701-720", "701-702")
	mary, steven := newPerson(t, "mary", host, host), newPerson(t, "steven", host, host)
	bob, dave := newPerson(t, "bob", host, host, settings(t, lot)...), newPerson(t, "dave", host, host, settings(t, lot)...)
	_, stevens := steven.dial(dave)
	dave.park(stevens)
	steven.hears(music)
	_, marys := mary.dial(bob)
	bob.isRefused("NoOrbit", "park.park", "call", marys)
	bob.event("park.failed", "kind", "NoOrbit")
	bob.isRefused("Busy", "park.park", "call", marys, "orbit", "701")
	bob.isRefused("OrbitNotFound", "park.park", "call", marys, "orbit", "709")
	mary.hears("bob")
	bob.hears("mary")
}

// TestAsteriskParksStock parks at an Asterisk as it comes: the orbit shows on its lamp, and who is there is told after the
// answer.
func TestAsteriskParksStock(t *testing.T) {
	host := startOffice(t, 701, 720)
	stock := settings(t, stockLot)
	mary, steven := newPerson(t, "mary", host, host), newPerson(t, "steven", host, host)
	bob, carol, dave := newPerson(t, "bob", host, host, stock...), newPerson(t, "carol", host, host, stock...), newPerson(t, "dave", host, host, stock...)
	if s := bob.do("park.service"); s["available"] != true || s["strategy"] != "asterisk" || s["safe"] == true {
		t.Fatalf("the park service is %v", s)
	}
	_, call := mary.dial(bob)
	mary.hears("bob")
	orbit := bob.park(call)
	if orbit["friendly_orbit"] != "701" || orbit["safe_retrieve_uri"] != "" {
		t.Fatalf("parked at %v", orbit)
	}
	bob.event("board.orbit", "orbit", "701", "mine", "true")
	carol.event("board.orbit", "orbit", "701")
	mary.hears(music)
	carol.do("park.retrieve", "orbit", "701")
	mary.hears("carol")
	carol.hears("mary")
	bob.event("park.unparked", "friendly_orbit", "701")
	bob.event("board.orbit", "orbit", "701", "gone", "true")

	// Another caller is parked there. Bob still believes that it is Mary, and the lamp does not say who it is.
	_, stevens := steven.dial(dave)
	if orbit := dave.park(stevens); orbit["friendly_orbit"] != "701" {
		t.Fatalf("parked at %v", orbit)
	}
	bob.event("board.orbit", "orbit", "701")
	bob.do("park.retrieve", "orbit", "701")
	bob.established()
	bob.event("call.mute", "muted", "true")
	bob.event("call.trouble", "kind", "Stranger")
	bob.hears("steven")
	steven.hears(silence)
	bob.do("call.unmute")
	steven.hears("bob")
	bob.do("call.hangup")

	// An own call, by number: the right one is there, so he can be heard.
	_, call = steven.dial(bob)
	bob.park(call)
	bob.do("park.retrieve", "orbit", "701")
	steven.hears("bob")
	bob.hears("steven")
	if _, alarm := bob.seek(0, "call.trouble"); alarm {
		t.Error("the right one is called a stranger")
	}
}

// TestAsteriskStockIsFull parks where all orbits are taken: the call goes on.
func TestAsteriskStockIsFull(t *testing.T) {
	host := startOffice(t, 701, 701)
	stock := settings(t, strings.ReplaceAll(stockLot, "701-720", "701"))
	mary, steven := newPerson(t, "mary", host, host), newPerson(t, "steven", host, host)
	bob, dave := newPerson(t, "bob", host, host, stock...), newPerson(t, "dave", host, host, stock...)
	_, stevens := steven.dial(dave)
	dave.park(stevens)
	_, marys := mary.dial(bob)
	bob.event("board.orbit", "orbit", "701")
	bob.isRefused("NoOrbit", "park.park", "call", marys)
	bob.event("park.failed", "kind", "NoOrbit")
	mary.hears("bob")
	bob.hears("mary")
	steven.hears(music)
}

// TestAsteriskEmptyOrbit dials an orbit where nobody is. Asterisk answers all the same, and says so by voice.
func TestAsteriskEmptyOrbit(t *testing.T) {
	host := startOffice(t, 701, 702)
	bob := newPerson(t, "bob", host, host, settings(t, strings.ReplaceAll(helpersLot, "701-720", "701-702"))...)
	bob.do("park.retrieve", "orbit", "702")
	bob.event("call.state", "kind", "audio", "state", "Terminated")
}

// TestAsteriskBehindKamailio: everybody is signed in at a Kamailio, calls go from one to the other, and only who is parked is
// at the Asterisk behind it.
func TestAsteriskBehindKamailio(t *testing.T) {
	host := startOffice(t, 701, 702)
	startKamailio(t, host)
	sign := func(name string, more ...string) *person { return newPerson(t, name, domain, kamailioAddress, more...) }
	helpers := settings(t, strings.ReplaceAll(helpersLot, "701-720", "701-702"))
	mary, bob, carol := sign("mary"), sign("bob", helpers...), sign("carol", helpers...)
	if s := bob.do("park.service"); s["available"] != true {
		t.Fatalf("the park service is %v", s)
	}
	_, call := mary.dial(bob)
	mary.hears("bob")
	orbit := bob.park(call)
	if orbit["friendly_orbit"] != "701" {
		t.Fatalf("parked at %v", orbit)
	}
	mary.hears(music)
	uri, _ := orbit["safe_retrieve_uri"].(string)
	carol.isRefused("OrbitNotFound", "park.retrieve", "safe_retrieve_uri", strings.Replace(uri, "*", "*x", 1))
	carol.do("park.retrieve", "safe_retrieve_uri", uri)
	mary.hears("carol")
	carol.hears("mary")
	bob.event("park.unparked", "friendly_orbit", "701")
	bob.isRefused("OrbitNotFound", "park.retrieve", "safe_retrieve_uri", uri)
	carol.do("call.hangup")
	carol.event("call.state", "kind", "audio", "state", "Terminated")

	// By its lamp alone: which strategy it is shows in the answer to OPTIONS, through the proxy.
	steven, dave := sign("steven"), sign("dave", settings(t, strings.ReplaceAll(stockLot, "701-720", "701-702"))...)
	_, call = steven.dial(dave)
	if orbit := dave.park(call); orbit["friendly_orbit"] == "" || orbit["safe_retrieve_uri"] != "" {
		t.Fatalf("parked at %v", orbit)
	}
	steven.hears(music)
	dave.do("park.retrieve", "orbit", "701")
	steven.hears("dave")
	dave.hears("steven")
}
