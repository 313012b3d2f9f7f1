package server

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"offhook/audio/device"
	"offhook/internal/sipua"
	"offhook/park"
)

// ParkConfig is what can be set of call park. The zero value is the default; that of a duration or a number is
// park.LotConfig's.
type ParkConfig struct {
	Off        bool          // no call park: its names are ordinary users
	Orbits     string        // "701-720"
	Timeout    time.Duration // until the parker is rung back
	Quarantine time.Duration // rest of an orbit before it is used again; negative: none
	Attempts   int           // how often the parker is rung back
	RingFor    time.Duration // how long each time
	Fallback   string        // URI of the user who has the call in the end; "" none: the service hangs up
	MusicFile  string        // WAV; "" for what the program makes itself
	NoMusic    bool          // silence; for tests that measure something else
	Media      netip.Addr    // address for RTP; zero: that of the route to the peer
	Lamp       string        // state of the dialog that an occupied orbit shows: confirmed or early
}

// The names that call park takes from the users of the domain, beside its orbits.
const (
	parkUser    = "park"     // where calls are referred to
	parkLotUser = "park-lot" // the list of all orbits
	safePrefix  = "pk-"      // begins the user part of safe-retrieve URIs
)

// defaultOrbits are the orbits unless others are given.
const defaultOrbits = "701-720"

// maxMusic bounds a music file: five minutes are 29 MB in memory.
const maxMusic = 5 * 60 * 48000

// orbits are numbers, both inclusive.
type orbits struct{ first, last int }

func parseOrbits(text string) (orbits, error) {
	bad := fmt.Errorf("server: orbits %q: give the first and the last number, e.g. %s", text, defaultOrbits)
	from, to, ok := strings.Cut(text, "-")
	first, err1 := strconv.ParseUint(from, 10, 31)
	last, err2 := strconv.ParseUint(to, 10, 31)
	o := orbits{int(first), int(last)}
	if !ok || err1 != nil || err2 != nil || o.String() != text { // a leading zero would be lost
		return o, bad
	}
	return o, nil
}

func (o orbits) String() string { return fmt.Sprintf("%d-%d", o.first, o.last) }

// takes reports whether call park takes a name from the users.
func (o orbits) takes(user string) bool {
	n, err := strconv.Atoi(user)
	isOrbit := err == nil && strconv.Itoa(n) == user && o.first <= n && n <= o.last
	return isOrbit || user == parkUser || user == parkLotUser || strings.HasPrefix(user, safePrefix)
}

// check completes the configuration and refuses what cannot work. users is nil on an open server.
func (cfg *ParkConfig) check(domain string, users map[string]sipua.HA1) error {
	if cfg.Off {
		return nil
	}
	cfg.Orbits = cmp.Or(cfg.Orbits, defaultOrbits)
	o, err := parseOrbits(cfg.Orbits)
	if err != nil {
		return err
	}
	for user := range users {
		if o.takes(user) {
			return fmt.Errorf("server: users: the name %s belongs to call park; choose another one, other orbits than %s, or no call park",
				user, cfg.Orbits)
		}
	}
	if !slices.Contains([]string{"", "confirmed", "early"}, cfg.Lamp) {
		return fmt.Errorf("server: lamp %q: use confirmed or early", cfg.Lamp)
	}
	if cfg.NoMusic && cfg.MusicFile != "" {
		return errors.New("server: either a music file or no music, not both")
	}
	if _, err := park.NewLot(cfg.lot()); err != nil {
		return fmt.Errorf("server: %w", err)
	}
	return cfg.checkFallback(domain, users, o)
}

// checkFallback refuses an address that calls could not go to, or would come back from.
func (cfg *ParkConfig) checkFallback(domain string, users map[string]sipua.HA1, o orbits) error {
	if cfg.Fallback == "" {
		return nil
	}
	uri, err := sipua.ParseURI(cfg.Fallback)
	if err != nil {
		return fmt.Errorf("server: fallback %q: %w", cfg.Fallback, err)
	}
	user := userOf(&uri)
	_, known := users[user]
	switch {
	case uri.Scheme != "sip" || !strings.EqualFold(uri.Host, domain) || uri.Port != 0 || user == "":
		return fmt.Errorf("server: fallback %q: give a user of this domain, e.g. sip:reception@%s", cfg.Fallback, domain)
	case o.takes(user):
		return fmt.Errorf("server: fallback %q: this name belongs to call park itself", cfg.Fallback)
	case users != nil && !known:
		return fmt.Errorf("server: fallback %q: there is no such user", cfg.Fallback)
	}
	return nil
}

// lot is the part of the configuration that the lot is concerned with.
func (cfg *ParkConfig) lot() park.LotConfig {
	o, _ := parseOrbits(cfg.Orbits) // checked
	return park.LotConfig{
		First: o.first, Last: o.last, Timeout: cfg.Timeout, Quarantine: cfg.Quarantine, RingFor: cfg.RingFor,
		Attempts: cfg.Attempts, Fallback: cfg.Fallback,
	}
}

// music reads the music file; nil if there is none.
func (cfg *ParkConfig) music() ([]int16, error) {
	if cfg.Off || cfg.MusicFile == "" {
		return nil, nil
	}
	samples, err := device.ReadWAV(cfg.MusicFile, maxMusic)
	if err != nil {
		return nil, fmt.Errorf("server: music on hold: %w", err)
	}
	if len(samples) == 0 {
		return nil, fmt.Errorf("server: music on hold: %s has no samples", cfg.MusicFile)
	}
	return samples, nil
}
