package park

import (
	"errors"
	"testing"
)

// Whatever somebody dials: their call or nobody, and always a Failure of ours.
func FuzzClaim(f *testing.F) {
	for _, key := range []string{
		"", "701", "702", "703", "0701", "+701", "701 ", "٧٠١", "-1", "99999999999999999999", "pk-", "TOKEN701", "token701",
		"ended", "\x00", "701\n", "token701 ",
	} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		tokens := []string{"ended", "token701", "token702"}
		l := newLot(t, LotConfig{Quarantine: -1, Token: func() string {
			token := tokens[0]
			tokens = tokens[1:]
			return token
		}})
		l.Leave(start, parkOne(t, l, start, bob, carol, "701").ID)
		parkOne(t, l, start, bob, mary, "701")
		parkOne(t, l, start, bob, Party{URI: "sip:steven@example.test"}, "702")
		found, ok := l.Find(key)
		o, recalling, err := l.Claim(start, key)
		switch key {
		case "701", "token701", "702", "token702":
			if err != nil || recalling || o.Number != key[len(key)-3:] || !ok || found.ID != o.ID {
				t.Fatalf("%q: %v, %v", key, o, err)
			}
		case "ended":
			if !errors.Is(err, ErrStaleOrbit) || ok {
				t.Fatalf("%q: %v, %v", key, o, err)
			}
		default:
			if !errors.Is(err, ErrOrbitNotFound) || ok != (key == "703") || o != (Orbit{}) {
				t.Fatalf("%q: %v, %v", key, o, err)
			}
		}
	})
}
