package server

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strings"

	"offhook/internal/sipua"
)

// readUsers reads the file of digest users. It is the format of htdigest: one user a line,
//
//	alice:example.org:5f4dcc3b5aa765d61d8327deb882cf99
//	alice:example.org:5f4dcc3b5aa765d61d8327deb882cf99:b5bb9d8014a0f9b1d61e21e796d78dcc…
//
// that is user, domain, hash MD5(user:domain:password) and, for clients that can do better, hash
// SHA-256(user:domain:password). A line of two fields,
//
//	bob:secret
//
// has the password itself. Empty lines and those that begin with # are skipped. Because either is enough to sign in, a
// file that everybody on the machine may read is refused.
func readUsers(path, domain string) (map[string]sipua.HA1, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("server: users: %w", err)
	}
	if info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("server: users: %s is open to everybody on this machine; run: chmod 600 %s", path, path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("server: users: %w", err)
	}
	users := map[string]sipua.HA1{}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		user, hashes, problem := parseUser(line, domain)
		if problem == "" && users[user] != (sipua.HA1{}) {
			problem = "this user was given before"
		}
		if problem != "" {
			return nil, fmt.Errorf("server: users: %s line %d: %s", path, n, problem) // never the line: it is a secret
		}
		users[user] = hashes
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("server: users: %s: %w", path, err)
	}
	if len(users) == 0 {
		return nil, fmt.Errorf("server: users: %s names nobody", path)
	}
	return users, nil
}

// parseUser reads one line; problem is empty if it is right.
func parseUser(line, domain string) (user string, h sipua.HA1, problem string) {
	fields := strings.Split(line, ":")
	if fields[0] == "" || strings.ContainsAny(fields[0], "\" \t@") {
		return "", h, "no user name before the first colon"
	}
	switch len(fields) {
	case 2:
		if fields[1] == "" {
			return "", h, "the password is empty"
		}
		return fields[0], sipua.NewHA1(fields[0], domain, sipua.Secret(fields[1])), ""
	case 3, 4:
		if !strings.EqualFold(fields[1], domain) {
			return "", h, fmt.Sprintf("the domain is not %s, which this server serves", domain)
		}
		if fields[1] != domain {
			return "", h, fmt.Sprintf("write the domain as %s: its case is part of the hash", domain)
		}
		h.MD5 = strings.ToLower(fields[2])
		if !isHexHash(h.MD5, 32) {
			return "", h, "the third field is not an MD5 hash of 32 hexadecimal digits"
		}
		if len(fields) == 4 {
			if h.SHA256 = strings.ToLower(fields[3]); !isHexHash(h.SHA256, 64) {
				return "", h, "the fourth field is not a SHA-256 hash of 64 hexadecimal digits"
			}
		}
		return fields[0], h, ""
	}
	return "", h, "expected user:domain:MD5, user:domain:MD5:SHA-256 or user:password"
}

// algorithms are those to challenge with: SHA-256 only if somebody has such a hash, because old telephones stumble over
// a challenge they do not know even if one that they know follows.
func algorithms(users map[string]sipua.HA1) []string {
	for _, h := range users {
		if h.SHA256 != "" {
			return []string{"SHA-256", "MD5"}
		}
	}
	return []string{"MD5"}
}

func isHexHash(s string, size int) bool {
	return len(s) == size && strings.Trim(s, "0123456789abcdef") == ""
}

// isKnown reports whether there is such a user. On an open server everybody may come yet, and finds then what was sent
// before.
func (s *Server) isKnown(user string) bool {
	if s.users == nil {
		return user != ""
	}
	_, ok := s.users[user]
	return ok
}
