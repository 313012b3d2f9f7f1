package rtpconn

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// NewCertificate makes a self-signed certificate for DTLS and its fingerprint, "sha-256 AB:CD:…", for session
// descriptions. One for a process is enough. What makes it trustworthy is the fingerprint in the signalling (RFC 5763
// §5), so it names nobody and its dates only have to include now.
func NewCertificate() (tls.Certificate, string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, "", fmt.Errorf("rtpconn: certificate: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return tls.Certificate{}, "", fmt.Errorf("rtpconn: certificate: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "anonymous"},
		NotBefore:    now.AddDate(0, 0, -1),
		NotAfter:     now.AddDate(1, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, "", fmt.Errorf("rtpconn: certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, fingerprint("sha-256", crypto.SHA256, der), nil
}

// hashes are those a fingerprint may use (RFC 8122 §5), the strongest first.
var hashes = []struct {
	name string
	hash crypto.Hash
}{
	{"sha-512", crypto.SHA512},
	{"sha-384", crypto.SHA384},
	{"sha-256", crypto.SHA256},
	{"sha-224", crypto.SHA224},
	{"sha-1", crypto.SHA1}, // only old phones; a second preimage is still out of reach
}

func fingerprint(name string, h crypto.Hash, der []byte) string {
	sum := h.New()
	sum.Write(der)
	digits := strings.ToUpper(hex.EncodeToString(sum.Sum(nil)))
	var b strings.Builder
	b.WriteString(name)
	for i := 0; i < len(digits); i += 2 {
		b.WriteByte(" :"[min(i, 1)])
		b.WriteString(digits[i : i+2])
	}
	return b.String()
}

// matches reports whether a certificate has one of the fingerprints. Only those with the strongest hash count (RFC 8122
// §5): a weak one beside it must not open the door.
func matches(der []byte, fingerprints []string) bool {
	for _, h := range hashes {
		known := false
		for _, f := range fingerprints {
			name, _, _ := strings.Cut(f, " ")
			if !strings.EqualFold(name, h.name) {
				continue
			}
			known = true
			if strings.EqualFold(f, fingerprint(h.name, h.hash, der)) {
				return true
			}
		}
		if known {
			return false
		}
	}
	return false
}
