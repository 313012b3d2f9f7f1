package sdp

import (
	"crypto/rand"
	"encoding/base64"
	"math/big"
	"strconv"
	"strings"
)

// suite is a way to protect SRTP, and how long its master key and salt are together.
type suite struct {
	name   string
	length int
	common bool // offered always; the others only when there is no call without encryption, to keep an INVITE short
}

// suites in the order of our offers (RFC 4568 §6.2, RFC 6188, RFC 7714).
var suites = []suite{
	{"AEAD_AES_128_GCM", 16 + 12, true},
	{"AEAD_AES_256_GCM", 32 + 12, true},
	{"AES_CM_128_HMAC_SHA1_80", 16 + 14, true},
	{"AES_256_CM_HMAC_SHA1_80", 32 + 14, false},
	{"AES_CM_128_HMAC_SHA1_32", 16 + 14, false},
}

func suiteNamed(name string) (suite, bool) {
	for _, s := range suites {
		if s.name == name {
			return s, true
		}
	}
	return suite{}, false
}

// crypto is an a=crypto attribute (RFC 4568 §9.1).
type crypto struct {
	tag   string
	suite string
	key   Key
	mki   []byte // nil without
}

func (c crypto) attribute() Attribute {
	return Attribute{"crypto", c.tag + " " + c.suite + " inline:" + base64.StdEncoding.EncodeToString(c.key)}
}

// newKey makes a master key and salt.
func newKey(s suite) Key {
	key := make(Key, s.length)
	_, _ = rand.Read(key) // never fails
	return key
}

// readCryptos reads the keys of a line that we can use; the others are skipped (RFC 4568 §5.1.2).
func readCryptos(m Media) []crypto {
	var cryptos []crypto
	for _, a := range m.Attributes {
		if strings.EqualFold(a[0], "crypto") {
			if c, ok := parseCrypto(a[1]); ok {
				cryptos = append(cryptos, c)
			}
		}
	}
	return cryptos
}

// parseCrypto reads "1 AES_CM_128_HMAC_SHA1_80 inline:KEY|2^31|1:4 WSH=64".
func parseCrypto(value string) (crypto, bool) {
	f := strings.Fields(value)
	if len(f) < 3 || len(f[0]) > 9 {
		return crypto{}, false
	}
	if _, err := strconv.ParseUint(f[0], 10, 32); err != nil {
		return crypto{}, false
	}
	s, known := suiteNamed(strings.ToUpper(f[1]))
	inline, isInline := cutPrefixFold(f[2], "inline:")
	if !known || !isInline || strings.Contains(inline, ";") { // several keys would need key changes by MKI
		return crypto{}, false
	}
	for _, p := range f[3:] {
		// RFC 4568 §6.3: what is not understood makes the offer void, unless a hyphen allows to ignore it. The window
		// size is a hint.
		if !strings.HasPrefix(p, "-") && !strings.HasPrefix(strings.ToUpper(p), "WSH=") {
			return crypto{}, false
		}
	}
	c := crypto{tag: f[0], suite: s.name}
	parts := strings.Split(inline, "|")
	key, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(parts[0], "="))
	if err != nil || len(key) != s.length || len(parts) > 3 {
		return crypto{}, false
	}
	c.key = key
	for i, p := range parts[1:] {
		switch mki, ok := parseMKI(p); {
		case ok && i == len(parts)-2:
			c.mki = mki
		case i > 0 || !isLifetime(p):
			return crypto{}, false
		}
	}
	return c, true
}

func cutPrefixFold(s, prefix string) (rest string, ok bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// isLifetime reports whether s is "2^31" or a number of packets. No call of ours lasts that long.
func isLifetime(s string) bool {
	s = strings.TrimPrefix(s, "2^")
	_, err := strconv.ParseUint(s, 10, 64)
	return err == nil
}

// parseMKI reads "1:4": the value and its length in bytes on the wire.
func parseMKI(s string) ([]byte, bool) {
	number, size, ok := strings.Cut(s, ":")
	length, err := strconv.ParseUint(size, 10, 8)
	if !ok || err != nil || length == 0 || length > 128 || len(number) > 310 || strings.Trim(number, "0123456789") != "" {
		return nil, false
	}
	value, ok := new(big.Int).SetString(number, 10)
	if !ok || value.BitLen() > int(length)*8 {
		return nil, false
	}
	return value.FillBytes(make([]byte, length)), true
}
