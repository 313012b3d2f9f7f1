//go:build interop

package interop

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	audiodevice "offhook/audio/device"
	"offhook/internal/testkit/sound"
)

// linphone is a running linphonec 5.x, a telephone that knows Replaces, Referred-By and attended transfer. It is spoken to
// as on its terminal, speaks as its user and writes what it hears into a file.
type linphone struct {
	t         *testing.T
	name, dir string
	uri       string
	in        io.Writer

	mu   sync.Mutex
	text strings.Builder // Guarded by mu.
	read int             // Guarded by mu; how much of it has been waited for.
}

// linphone starts one that has an account at the server and answers at once, or skips.
func (s parkServer) linphone(t *testing.T, name string) *linphone {
	t.Helper()
	program, err := exec.LookPath("linphonec")
	if err != nil {
		t.Skip("linphonec is not installed (Debian: linphone-cli)")
	}
	host := newHost()
	l := &linphone{t: t, name: name, dir: t.TempDir(), uri: "sip:" + name + "@" + s.domain}
	config := fmt.Sprintf(`[sip]
sip_port=5070
sip_tcp_port=-1
sip_tls_port=-1
bind_address=%[1]s
guess_hostname=0
use_ipv6=0
default_proxy=0
media_encryption=none
[proxy_0]
reg_proxy=<sip:%[2]s;transport=udp>
reg_route=<sip:%[2]s;transport=udp;lr>
reg_identity=sip:%[3]s@%[4]s
reg_expires=600
reg_sendregister=1
[rtp]
audio_rtp_port=21000
bind_address=%[1]s
[sound]
echocancellation=0
[video]
enabled=0
`, host, s.address, name, s.domain)
	home := filepath.Join(l.dir, "home")
	if err := os.MkdirAll(filepath.Join(home, ".local/share/linphone"), 0o700); err != nil {
		t.Fatal(err)
	}
	rc := filepath.Join(l.dir, "linphonerc")
	if err := os.WriteFile(rc, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	voice := sound.Sine(voices[name], 0.2, audiodevice.Rate, 90*audiodevice.Rate)
	if err := writeWAV(filepath.Join(l.dir, "voice.wav"), voice); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-c", rc, "-a", "-d", "6", "-l", filepath.Join(l.dir, "log"))
	cmd.Dir, cmd.Env = l.dir, []string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	l.in = in
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.listen(out)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
		if t.Failed() {
			l.mu.Lock()
			defer l.mu.Unlock()
			t.Logf("%s said:\n%s", name, l.text.String())
		}
	})
	l.do("soundcard use files")
	l.do("play " + filepath.Join(l.dir, "voice.wav"))
	l.do("record " + l.record())
	l.do("status register")
	for until := time.Now().Add(patience); !l.says("registered, identity"); l.do("status register") {
		if time.Now().After(until) {
			t.Fatalf("%s does not register", name)
		}
		time.Sleep(300 * time.Millisecond) // wall clock: a real program
	}
	return l
}

func writeWAV(path string, samples []int16) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w, err := audiodevice.NewWAVWriter(f, audiodevice.Rate, 1)
	if err == nil {
		err = w.Write(samples)
	}
	if err == nil {
		err = w.Close()
	}
	return err
}

// heard is a copy of the file that it writes, with the header that the file gets at the end of a call: one channel at the
// rate of Opus, which it speaks with all of ours.
func (l *linphone) heard() string {
	const header = 44
	file, err := os.ReadFile(l.record())
	if err == nil && len(file) > header {
		samples := make([]int16, (len(file)-header)/2)
		for i := range samples {
			samples[i] = int16(binary.LittleEndian.Uint16(file[header+2*i:]))
		}
		err = writeWAV(l.record()+".copy", samples)
	}
	if err != nil {
		l.t.Logf("%s: %v", l.name, err)
	}
	return l.record() + ".copy"
}

func (l *linphone) record() string { return filepath.Join(l.dir, "heard.wav") }

func (l *linphone) listen(out io.Reader) {
	in := bufio.NewReader(out)
	for {
		b, err := in.ReadByte()
		if err != nil {
			return
		}
		l.mu.Lock()
		l.text.WriteByte(b)
		l.mu.Unlock()
	}
}

// do types a command.
func (l *linphone) do(command string) {
	l.t.Helper()
	if _, err := io.WriteString(l.in, command+"\n"); err != nil {
		l.t.Fatalf("%s: %v", l.name, err)
	}
}

// says reports whether it has printed something that was not waited for yet.
func (l *linphone) says(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := strings.Index(l.text.String()[l.read:], text)
	if at < 0 {
		return false
	}
	l.read += at + len(text)
	return true
}

// wait waits until it prints something.
func (l *linphone) wait(text string) {
	l.t.Helper()
	for until := time.Now().Add(patience); !l.says(text); time.Sleep(50 * time.Millisecond) { // wall clock: a real program
		if time.Now().After(until) {
			l.t.Fatalf("%s does not say %q", l.name, text)
		}
	}
}
