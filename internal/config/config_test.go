package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

const full = `
[account]
aor = "sip:alice@example.org"
display_name = "Alice"
user = "alice.auth"
password_command = "echo secret"
server = "sip:127.0.0.1:5060;transport=tcp"
listen = "127.0.0.1:0"
register = false
instance = "urn:uuid:00000000-0000-4000-8000-00000000c0de"
device_name = "DESK"
[im]
toast_timeout = "12s"
[audio]
capture = "tone:440"
playback = "file:~/heard.wav"
ringers = ["USB", "default"]
echo_cancellation = false
noise_suppression = false
auto_gain = false
limiter = false
codecs = ["pcma", "opus"]
srtp = "required"
media_listen = "127.0.0.1:20000-20099"
answer = "auto"
recordings = "calls"
[park]
server = "sip:700@example.org"
strategy = "asterisk"
extension = "700"
slot_uri = "park-{orbit}*{token}"
retrieve_uri = "sip:get-{orbit}*{token}@example.org"
orbits = "701-720"
[presence]
publish = false
hide_idle = true
[ui]
mouse = false
notifications = "bell"
[log]
file = "~/x.log"
level = "debug"
`

func TestParse(t *testing.T) {
	t.Setenv("HOME", "/home/alice")
	got, err := Parse("/etc/offhook.toml", []byte(full))
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Account: Account{
			AOR: "sip:alice@example.org", DisplayName: "Alice", User: "alice.auth", PasswordCommand: "echo secret",
			Server: "sip:127.0.0.1:5060;transport=tcp", Listen: "127.0.0.1:0", DeviceName: "DESK",
			Instance: "urn:uuid:00000000-0000-4000-8000-00000000c0de",
		},
		IM: IM{Duration{Duration: 12 * time.Second}},
		Audio: Audio{
			Capture: "tone:440", Playback: "file:/home/alice/heard.wav", Ringers: []string{"USB", "default"}, Codecs: []string{"pcma", "opus"},
			SRTP: "required", MediaListen: "127.0.0.1:20000-20099", Answer: "auto", RecordingDir: "/etc/calls",
		},
		Park: Park{
			Server: "sip:700@example.org", Strategy: "asterisk", Extension: "700", SlotURI: "park-{orbit}*{token}",
			RetrieveURI: "sip:get-{orbit}*{token}@example.org", Orbits: "701-720",
		},
		Presence: Presence{HideIdle: true},
		UI:       UI{Notifications: "bell"},
		Log:      Log{"/home/alice/x.log", "debug"},
		Path:     "/etc/offhook.toml",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got, err := Parse("x", nil); err != nil || !reflect.DeepEqual(got, func() Config { c := Default(); c.Path = "x"; return c }()) {
		t.Errorf("an empty file is %+v, %v", got, err)
	}
}

// Each problem is one line: file, line, key, what is wrong and what is accepted.
func TestProblems(t *testing.T) {
	dir := t.TempDir()
	open := filepath.Join(dir, "open")
	if err := os.WriteFile(open, []byte("secret\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ text, want string }{
		{"[account]\naor = \"alice\"", "f:2: account.aor: \"alice\" is not an address of record; expected sip:user@domain"},
		{"[account]\n\n  aor = 5", "f:3: account.aor must be text in quotes, e.g. \"sip:alice@example.org\""},
		{"[account]\nregister = \"yes\"", "f:2: account.register must be true or false"},
		{"[account]\nservr = \"x\"", "f:2: unknown key account.servr; accepted in [account] are aor, display_name,"},
		{"[acount]\naor = \"x\"", "f:1: unknown key acount; accepted are the tables account, tls, im, audio, park, presence, ui, log"},
		{"top = 1", "f:1: unknown key top; accepted are the tables account"},
		{"[account]\nserver = \"example.org\"", "f:2: account.server: \"example.org\" is not a server; expected sip:host:port;transport=udp, tcp or tls"},
		{"[account]\nserver = \"sip:x;transport=ws\"", "transport \"ws\" is not supported; accepted are udp, tcp, tls"},
		{"[account]\nserver = \"sip:x:99999\"", "has no valid port"},
		{"[account]\nlisten = \"5060\"", "f:2: account.listen: \"5060\" is not a local address; expected host:port"},
		{"[account]\nlisten = \"localhost:0\"", "f:2: account.listen: \"localhost\" is not an IP address"},
		{"[account]\ninstance = \"me\"", "expected urn:uuid:"},
		{"[account]\nkeyring = true\npassword_command = \"x\"", "f:2: account.keyring: give one of password_command, keyring"},
		{"[account]\npassword_file = \"" + open + "\"", "can be read by others (mode 0644); run: chmod 600"},
		{"[account]\npassword_file = \"nowhere\"", "f:2: account.password_file: stat nowhere: no such file"},
		{"[account]\ndisplay_name = \"a\\nb\"", "f:2: account.display_name: must be one line"},
		{"[tls]\nca_files = \"x\"", "f:2: tls.ca_files must be a list of texts"},
		{"[tls]\nca_files = [\"nowhere.pem\"]", "f:2: tls.ca_files: stat nowhere.pem"},
		{"[im]\ntoast_timeout = \"soon\"", "f:2: im.toast_timeout: \"soon\" is not a duration; expected a number with a unit"},
		{"[im]\ntoast_timeout = 10", "f:2: im.toast_timeout: \"10\" is not a duration"},
		{"[im]\ntoast_timeout = \"1h\"", "f:2: im.toast_timeout: 1h0m0s is out of range; accepted are 1s to 2m"},
		{"[audio]\ncodecs = [\"opus\", \"g729\"]", "f:2: audio.codecs: \"g729\" is not a codec; accepted are opus, g722, pcmu, pcma"},
		{"[audio]\ncodecs = [\"pcmu\", \"pcmu\"]", "f:2: audio.codecs: \"pcmu\" is there twice"},
		{"[audio]\ncodecs = []", "f:2: audio.codecs: is empty; accepted are opus"},
		{"[audio]\ncodecs = \"opus\"", "f:2: audio.codecs must be a list of \"opus\", \"g722\", \"pcmu\", \"pcma\""},
		{"[audio]\nsrtp = \"on\"", "f:2: audio.srtp: \"on\" is not accepted; accepted are off, opportunistic, required"},
		{"[audio]\nanswer = \"yes\"", "f:2: audio.answer: \"yes\" is not accepted; accepted are manual, auto"},
		{"[audio]\nmedia_listen = \"5004\"", "f:2: audio.media_listen: \"5004\" is not an IP address and port"},
		{"[audio]\nmedia_listen = \"127.0.0.1:x\"", "has no valid port; expected 0, a port, or first-last"},
		{"[audio]\nmedia_listen = \"127.0.0.1:5005-5006\"", "holds no even port with the odd one above it"},
		{"[audio]\ncapture = \"\"", "f:2: audio.capture: \"\" is not a device; expected default"},
		{"[audio]\ncapture = \"tone:high\"", "f:2: audio.capture: \"tone:high\" is not a tone; expected tone: and 1 to 23999 Hz"},
		{"[audio]\ncapture = \"tone:NaN\"", "is not a tone"},
		{"[audio]\ncapture = \"file:nowhere.wav,loop\"", "f:2: audio.capture: stat nowhere.wav: no such file"},
		{"[audio]\nplayback = \"tone:440\"", "f:2: audio.playback: \"tone:440\" can be heard, not played to"},
		{"[audio]\nplayback = \"file:x.wav,loop\"", "only a file that is read can begin again"},
		{"[audio]\nringers = [\"file:\"]", "f:2: audio.ringers: \"file:\" names no file"},
		{"[audio]\nring_tone = \"/\"", "f:2: audio.ring_tone: / is a directory"},
		{"[park]\nserver = \"example.org\"", "f:2: park.server: \"example.org\" is not a park service; expected sip:user@domain, or off"},
		{"[park]\nstrategy = \"lync\"", "f:2: park.strategy: \"lync\" is not accepted; accepted are auto, rfc5359, asterisk, attended"},
		{"[park]\nextension = \"7 00\"", "f:2: park.extension: \"7 00\" cannot be called; expected a number, a user or a SIP address, e.g. 700"},
		{"[park]\nextension = \"{orbit}\"", "f:2: park.extension: \"{orbit}\" has something in braces that is not known here; accepted is {token}"},
		{"[park]\nslot_uri = \"park\"", "f:2: park.slot_uri: \"park\" does not say at which orbit; expected e.g. park-{orbit}*{token}"},
		{"[park]\nslot_uri = \"park-{orbit}*{tok}\"", "that is not known here; accepted is {orbit} and {token}"},
		{"[park]\nretrieve_uri = \"get {orbit}\"", "f:2: park.retrieve_uri: \"get {orbit}\" cannot be called; expected a number, a user or a SIP address, e.g. get-{orbit}*{token}"},
		{"[park]\nretrieve_uri = \"get\"", "f:2: park.retrieve_uri: \"get\" does not say which call"},
		{"[park]\nretrieve_uri = \"sip:{orbit}\"", "cannot be called"},
		{"[park]\norbits = \"many\"", "f:2: park.orbits: \"many\" are not orbits; expected numbers of up to six digits, e.g. 701-720 or 701,703"},
		{"[park]\norbits = \"720-701\"", "are not orbits"},
		{"[park]\norbits = \", \"", "are not orbits"},
		{"[park]\norbits = \"1000-9999\"", "are 9000 orbits; at most 200 can be watched"},
		{"[ui]\nnotifications = \"loud\"", "f:2: ui.notifications: \"loud\" is not accepted; accepted are auto, none, bell, osc9, osc777, osc99"},
		{"[log]\nlevel = \"\"", "accepted are debug, info, warn, error"},
		{"[account]\naor = \"sip:a@b\"\naor = \"sip:c@d\"", "f:3: "},
		{"[account", "f:1: "},
		{"account = 5", "f:1: account must be a table"},
		{"[[account]]\naor = \"sip:a@b\"", "f:1: account must be a table"},
		{"[account]\naor.x = 1", "account.aor must be text in quotes"},
		{"[tls]\nca_files = [\"x\", 5]", "f:2: tls.ca_files must be a list of texts"},
		{"[ui]\nmouse = 2020-01-01", "f:2: ui.mouse must be true or false"},
	} {
		_, err := Parse("f", []byte(tt.text))
		var problems Problems
		if !errors.As(err, &problems) || len(problems) != 1 || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q:\n got  %v\n want %s", tt.text, err, tt.want)
		}
	}
	_, err := Parse("f", []byte("[account]\naor = \"x\"\n[log]\nlevel = \"x\"\n[im]\ntoast_timeout=\"1ms\""))
	if got := strings.Count(err.Error(), "\nf:"); got != 2 {
		t.Errorf("not all problems are told: %v", err)
	}
	// Of whatever sort they are, in the order of the file.
	_, err = Parse("f", []byte("tpo = 1\n[account]\nregister = \"yes\"\nservr = \"x\"\naor = \"x\"\n[ui]\nmouse = 1\n[acount]\naor = \"\""))
	want := []string{"f:1: unknown key tpo", "f:3: account.register must be", "f:4: unknown key account.servr", "f:5: account.aor:", "f:7: ui.mouse must", "f:8: unknown key acount"}
	lines := strings.Split(err.Error(), "\n")
	for i := range want {
		if len(lines) != len(want) || !strings.HasPrefix(lines[i], want[i]) {
			t.Fatalf("got %q, want %q", lines, want)
		}
	}
}

func TestExampleIsWhatItSays(t *testing.T) {
	got, err := Parse("", Example())
	if err != nil || !reflect.DeepEqual(got, Default()) {
		t.Errorf("as it is: %+v, %v", got, err)
	}
	// Every setting is there and is accepted when the # is taken away.
	text := string(Example())
	for _, s := range specs() {
		if s.doc == "" || s.shown() == "" {
			t.Errorf("%s.%s: no description or no example", s.table, s.name)
		}
		line := "[" + s.table + "]\n" + s.name + " = " + s.shown()
		if !strings.Contains(text, "\n#"+s.name+" = "+s.shown()+"\n") {
			t.Errorf("%s is not in the example", s.name)
		}
		if _, err := Parse("", []byte(line)); err != nil && !strings.Contains(err.Error(), "no such file") {
			t.Errorf("%s: %v", line, err)
		}
	}
	for _, line := range strings.Split(text, "\n") {
		if len(line) > 120 {
			t.Errorf("too wide: %s", line)
		}
	}
}

// The defaults in the tags, which the documentation shows, are those of Default.
func TestDefaultsAgree(t *testing.T) {
	var text strings.Builder
	table := ""
	for _, s := range specs() {
		if s.fallback == "" {
			continue
		}
		if s.table != table {
			table = s.table
			text.WriteString("[" + table + "]\n")
		}
		text.WriteString(s.name + " = " + s.fallback + "\n")
	}
	got, err := Parse("", []byte(text.String()))
	if err != nil || !reflect.DeepEqual(got, Default()) {
		t.Errorf("tags say %+v (%v), Default says %+v", got, err, Default())
	}
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "config.toml")
	if _, err := Load(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if err := Init(path); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err != nil {
		t.Errorf("what init writes: %v", err)
	}
	if err := os.WriteFile(path, []byte("# mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Init(path); err == nil || !strings.Contains(err.Error(), "left as it is") {
		t.Errorf("init over a file: %v", err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "# mine\n" {
		t.Error("init has changed it")
	}
}

func TestPassword(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "password")
	if err := os.WriteFile(file, []byte("from file\r\nsecond line\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		a         Account
		want, err string
	}{
		{Account{PasswordCommand: "printf 'pass word\\nmore'"}, "pass word", ""},
		{Account{PasswordFile: file}, "from file", ""},
		{Account{PasswordCommand: "true"}, "", "printed nothing"},
		{Account{PasswordCommand: "echo hunter2; echo hunter2 >&2; exit 3"}, "", "password command failed: exit status 3"},
		{Account{}, "", "set account.password_command"},
	} {
		got, err := tt.a.Password(t.Context())
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%+v: %q, %v", tt.a, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error tells the password: %v", err)
		}
	}
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := (Account{PasswordFile: file}).Password(t.Context()); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a file others can read: %v", err)
	}
}

func TestInstanceIDIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "instance")
	first, err := InstanceID(path)
	if err != nil || !isUUID(first) {
		t.Fatal(first, err)
	}
	if again, err := InstanceID(path); err != nil || again != first {
		t.Errorf("%s, then %s (%v)", first, again, err)
	}
	if err := os.WriteFile(path, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	third, err := InstanceID(path)
	if err != nil || !isUUID(third) || third == first {
		t.Errorf("in place of garbage: %s, %v", third, err)
	}
	if again, err := InstanceID(path); err != nil || again != third {
		t.Errorf("%s, then %s (%v)", third, again, err)
	}
}

func TestPaths(t *testing.T) {
	for _, bad := range []string{"../x", "a/b", ".hidden", "a\x00b", strings.Repeat("x", 65)} {
		if _, err := ProfilePaths(bad, ""); err == nil {
			t.Errorf("profile %q is accepted", bad)
		}
	}
	standard, err := ProfilePaths("", "")
	if err != nil {
		t.Fatal(err)
	}
	work, err := ProfilePaths("work", "")
	if err != nil {
		t.Fatal(err)
	}
	a, b := reflect.ValueOf(standard), reflect.ValueOf(work)
	for i := range a.NumField() {
		if a.Field(i).String() == b.Field(i).String() {
			t.Errorf("%s is the same in two profiles: %s", a.Type().Field(i).Name, a.Field(i))
		}
	}
	dir := t.TempDir()
	own, err := ProfilePaths("", dir)
	if err != nil || own.History != filepath.Join(dir, "history.db") || own.Contacts != filepath.Join(dir, "contacts.toml") {
		t.Errorf("%+v, %v", own, err)
	}
	long, err := ProfilePaths("", filepath.Join(dir, strings.Repeat("long", 40)))
	if err != nil || len(long.Socket) > maxSocketPath {
		t.Errorf("socket %s, %v", long.Socket, err)
	}
	if second := own.Another(2); second.History == own.History || second.Socket == own.Socket || second.Contacts != own.Contacts {
		t.Errorf("%+v", second)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(full))
	f.Add(Example())
	f.Add([]byte("[account]\naor.x = 1"))
	f.Add([]byte("[[account]]\n[account.aor]"))
	f.Add([]byte("account = 5\n[im]\ntoast_timeout = 1979-05-27"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("f", data)
		var problems Problems
		switch {
		case err == nil && c.Check() != nil:
			t.Errorf("accepted, then refused: %v", c.Check())
		case err != nil && !errors.As(err, &problems):
			t.Errorf("not a list of problems: %v", err)
		case err != nil && strings.ContainsAny(strings.ReplaceAll(err.Error(), "\n", ""), "\x00\x1b\r"):
			t.Errorf("the message is not printable: %q", err)
		}
	})
}

func TestMediaListen(t *testing.T) {
	for text, want := range map[string][2]uint16{
		"127.0.0.1:0": {}, "[::1]:5004": {5004, 5005}, "0.0.0.0:16384-16583": {16384, 16583}, "127.0.0.1:5003-5005": {5003, 5005},
	} {
		if _, got, err := ParseMediaListen(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "localhost:0", "127.0.0.1", "127.0.0.1:5005", "127.0.0.1:0-10", "127.0.0.1:70000", "127.0.0.1:20-10", "127.0.0.1:65535"} {
		if addr, ports, err := ParseMediaListen(bad); err == nil {
			t.Errorf("%q is accepted: %v %v", bad, addr, ports)
		}
	}
}

func TestParkServers(t *testing.T) {
	for _, ok := range []string{
		`server = "off"`, `server = "sip:700@192.0.2.7:5080;transport=tcp"`, `orbits = "701, 703-709"`, `retrieve_uri = "{orbit}"`, `retrieve_uri = "sips:{token}@pbx.example"`,
		`extension = "*70"`, `extension = "sip:park*{token}@pbx.example:5080"`,
	} {
		if _, err := Parse("f", []byte("[park]\n"+ok)); err != nil {
			t.Errorf("%s: %v", ok, err)
		}
	}
}
