package config

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// wrong is a value that is refused.
type wrong struct{ key, text string }

// wrong returns all values that are refused, in the order of the fields.
func (c Config) wrong() []wrong {
	var out []wrong
	refuse := func(key, format string, args ...any) { out = append(out, wrong{key, fmt.Sprintf(format, args...)}) }

	a := c.Account
	if err := checkAOR(a.AOR); a.AOR != "" && err != nil {
		refuse("account.aor", "%v", err)
	}
	if sources := a.passwordSources(); len(sources) > 1 {
		refuse("account."+sources[1], "give one of %s", strings.Join(sources, ", "))
	}
	if err := checkPrivate(a.PasswordFile); a.PasswordFile != "" && err != nil {
		refuse("account.password_file", "%v", err)
	}
	if err := checkServer(a.Server); a.Server != "" && err != nil {
		refuse("account.server", "%v", err)
	}
	if err := checkListen(a.Listen); a.Listen != "" && err != nil {
		refuse("account.listen", "%v", err)
	}
	if a.Instance != "" && !isUUID(a.Instance) {
		refuse("account.instance", "%.60q is not an instance id; expected urn:uuid: and a UUID", a.Instance)
	}
	for _, f := range [][2]string{{"display_name", a.DisplayName}, {"user", a.User}, {"device_name", a.DeviceName}} {
		if strings.ContainsFunc(f[1], func(r rune) bool { return r < ' ' }) || len(f[1]) > 128 {
			refuse("account."+f[0], "must be one line of at most 128 bytes")
		}
	}
	for _, file := range c.TLS.CAFiles {
		if _, err := os.Stat(file); err != nil {
			refuse("tls.ca_files", "%v", err)
		}
	}
	if d := c.IM.ToastTimeout; d.bad != "" {
		refuse("im.toast_timeout", "%.40q is not a duration; expected a number with a unit in quotes, e.g. \"10s\"", d.bad)
	} else if d.Duration < time.Second || d.Duration > 2*time.Minute {
		refuse("im.toast_timeout", "%v is out of range; accepted are 1s to 2m", d.Duration)
	}
	out = append(out, c.Audio.wrong()...)
	out = append(out, c.Park.wrong()...)
	out = append(out, c.wrongWords()...)
	return out
}

// wrongWords checks the keys that accept a list of words.
func (c Config) wrongWords() []wrong {
	var out []wrong
	for key, value := range map[string]string{
		"ui.notifications": c.UI.Notifications, "log.level": c.Log.Level, "audio.srtp": c.Audio.SRTP, "audio.answer": c.Audio.Answer,
		"park.strategy": c.Park.Strategy,
	} {
		if s, _ := find(key); !slices.Contains(s.values, value) {
			out = append(out, wrong{key, fmt.Sprintf("%.40q is not accepted; accepted are %s", value, strings.Join(s.values, ", "))})
		}
	}
	slices.SortFunc(out, func(a, b wrong) int { return strings.Compare(a.key, b.key) })
	return out
}

func checkAOR(aor string) error {
	rest, ok := cutScheme(aor)
	user, host, at := strings.Cut(rest, "@")
	if !ok || !at || user == "" || !isHost(host) || strings.ContainsAny(aor, " \t\r\n<>\";?") {
		return fmt.Errorf("%.80q is not an address of record; expected sip:user@domain", aor)
	}
	return nil
}

func checkServer(server string) error {
	rest, ok := cutScheme(server)
	host, params, _ := strings.Cut(rest, ";")
	if h, port, err := net.SplitHostPort(host); err == nil {
		if !isPort(port) {
			return fmt.Errorf("%.80q has no valid port", server)
		}
		host = h
	}
	if !ok || !isHost(host) {
		return fmt.Errorf("%.80q is not a server; expected sip:host:port;transport=udp, tcp or tls", server)
	}
	for p := range strings.SplitSeq(params, ";") {
		key, value, _ := strings.Cut(p, "=")
		if !strings.EqualFold(key, "transport") {
			continue
		}
		switch strings.ToLower(value) {
		case "udp", "tcp", "tls":
		default:
			return fmt.Errorf("transport %.20q is not supported; accepted are udp, tcp, tls", value)
		}
	}
	return nil
}

func cutScheme(uri string) (rest string, ok bool) {
	scheme, rest, found := strings.Cut(uri, ":")
	return rest, found && (strings.EqualFold(scheme, "sip") || strings.EqualFold(scheme, "sips"))
}

func checkListen(listen string) error {
	host, port, err := net.SplitHostPort(listen)
	if err != nil || !isPort(port) {
		return fmt.Errorf("%.60q is not a local address; expected host:port, e.g. 127.0.0.1:0", listen)
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return fmt.Errorf("%.60q is not an IP address of this host; expected e.g. 127.0.0.1:0, or 0.0.0.0:5060 for all", host)
	}
	return nil
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n <= 65535
}

// isHost accepts names and addresses, IPv6 in brackets or without.
func isHost(s string) bool {
	if _, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return true
	}
	return s != "" && len(s) <= 253 && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r == '.' || r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z')
	})
}

func isUUID(s string) bool {
	hex, ok := strings.CutPrefix(strings.ToLower(s), "urn:uuid:")
	if !ok || len(hex) != 36 {
		return false
	}
	for i, r := range hex {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if r != '-' {
				return false
			}
		} else if !strings.ContainsRune("0123456789abcdef", r) {
			return false
		}
	}
	return true
}

// checkPrivate refuses a file with a secret that others may read.
func checkPrivate(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() && info.Mode()&os.ModeNamedPipe == 0 {
		return fmt.Errorf("%s is not a file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("%s can be read by others (mode %04o); run: chmod 600 %s", path, mode, path)
	}
	return nil
}

// expand makes paths absolute: ~/ is the home directory, others are relative to the directory of the file.
func (c *Config) expand(dir string) {
	for _, p := range []*string{&c.Account.PasswordFile, &c.Log.File, &c.Audio.RingTone, &c.Audio.RecordingDir} {
		*p = expandPath(*p, dir)
	}
	for _, device := range []*string{&c.Audio.Capture, &c.Audio.Playback} {
		if file, ok := strings.CutPrefix(*device, filePrefix); ok {
			*device = filePrefix + expandPath(file, dir)
		}
	}
	for i := range c.TLS.CAFiles {
		c.TLS.CAFiles[i] = expandPath(c.TLS.CAFiles[i], dir)
	}
}

func expandPath(path, dir string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
