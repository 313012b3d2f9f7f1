package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
)

// built returns the program as a user has it: the test binary is another program, with another start.
func built(b *testing.B) string {
	b.Helper()
	if bin := os.Getenv("OFFHOOK_BIN"); bin != "" {
		return bin
	}
	bin := filepath.Join(b.TempDir(), "offhook")
	if out, err := exec.Command("go", "build", "-trimpath", "-o", bin, ".").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return bin
}

// BenchmarkHeadlessStart measures from the start of the process to its registration with a server on loopback.
func BenchmarkHeadlessStart(b *testing.B) {
	b.Setenv("OFFHOOK_BIN", built(b))
	x := startServer(b)
	for i := 0; b.Loop(); i++ {
		p := x.endpoint(b, fmt.Sprint("user", i), "device")
		b.StopTimer()
		p.kill()
		b.StartTimer()
	}
}

// BenchmarkHeadlessIdle measures what a signed-in endpoint costs while nothing happens: processor time as a share of a
// core, and resident memory. An iteration is half a minute; run it with -benchtime 1x.
func BenchmarkHeadlessIdle(b *testing.B) {
	b.Setenv("OFFHOOK_BIN", built(b))
	x := startServer(b)
	p := x.endpoint(b, "idle", "device")
	time.Sleep(3 * time.Second) // wall clock: what starts has settled
	const while = 30 * time.Second
	var spent time.Duration
	for b.Loop() {
		before := processorTime(b, p.cmd.Process.Pid)
		time.Sleep(while) // wall clock: this is what is measured
		spent += processorTime(b, p.cmd.Process.Pid) - before
	}
	b.ReportMetric(100*spent.Seconds()/(while.Seconds()*float64(b.N)), "%core")
	b.ReportMetric(residentMB(b, p.cmd.Process.Pid), "MB")
}

// processorTime is the time that a process has spent on a processor, from the scheduler's own account in nanoseconds.
func processorTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	var total time.Duration
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(tasks) == 0 {
		b.Skip("this system does not tell the processor time of a process")
	}
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			continue // a thread that has just ended
		}
		ns, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.ParseInt(ns, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		total += time.Duration(n)
	}
	return total
}

// residentMB is the resident memory of a process.
func residentMB(b *testing.B, pid int) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Skip("this system does not tell the memory of a process")
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.Atoi(strings.Fields(rest)[0])
			return float64(kb) / 1024
		}
	}
	return 0
}

// BenchmarkPark measures the two keys of call park between real processes: from the key that parks to the number of the
// orbit, and from the number to the first sound of the caller.
func BenchmarkPark(b *testing.B) {
	b.Setenv("OFFHOOK_BIN", built(b))
	x := startServer(b, "--quarantine", "0s")
	person := func(name string) *process {
		return x.endpoint(b, name, name, "--mic", "tone:440", "--speaker", "discard", "--media-listen", "127.0.0.1:0", "--answer", "auto")
	}
	mary, bob, carol := person("mary"), person("bob"), person("carol")
	var park, pickup []time.Duration
	done := map[any]bool{}
	for b.Loop() {
		b.StopTimer()
		mary.call(10*time.Second, "call.dial", "to", "bob")
		call := bob.newCall(done)
		done[call] = true
		time.Sleep(300 * time.Millisecond) // wall clock: the call has settled
		b.StartTimer()
		at := time.Now()
		orbit := bob.call(10*time.Second, "park.park", "call", call)
		park = append(park, time.Since(at))
		heard := len(carol.events("call.media"))
		at = time.Now()
		got := carol.call(10*time.Second, "park.retrieve", "orbit", orbit["friendly_orbit"])
		carol.expect("sound of mary", 10*time.Second, func(o map[string]any) bool {
			params, _ := o["params"].(map[string]any)
			return params["type"] == "call.media" && params["call"] == got["call"] && params["heard"] == true
		})
		pickup = append(pickup, time.Since(at))
		b.StopTimer()
		if len(carol.events("call.media")) == heard {
			b.Fatal("no sound")
		}
		carol.call(10*time.Second, "call.hangup", "call", got["call"])
		mary.event(5*time.Second, "call.state", "kind", "audio", "state", "Terminated")
		b.StartTimer()
	}
	report := func(all []time.Duration, name string) {
		slices.Sort(all)
		b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, name+"-ms-p50")
		b.ReportMetric(float64(all[len(all)*95/100].Microseconds())/1000, name+"-ms-p95")
	}
	report(park, "park")
	report(pickup, "pickup")
}

// BenchmarkParkedCalls measures what parked calls cost one server process: resident memory, and processor time while all of
// them hear music. An iteration is ten seconds; run it with -benchtime 1x.
func BenchmarkParkedCalls(b *testing.B) {
	b.Setenv("OFFHOOK_BIN", built(b))
	for _, codec := range []struct{ name, lines string }{
		{"pcmu", "m=audio %d RTP/AVP 0\r\n"},
		{"g722", "m=audio %d RTP/AVP 9\r\n"},
		{"opus", "m=audio %d RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\n"},
	} {
		b.Run(codec.name, func(b *testing.B) { parkedCalls(b, 500, codec.lines) })
	}
}

func parkedCalls(b *testing.B, calls int, description string) {
	x := startServer(b, "--orbits", "1000-1999", "--park-timeout", "10m")
	caller := x.agent(b, "caller", sipua.Mux{})
	time.Sleep(2 * time.Second) // wall clock: what starts has settled
	before := residentMB(b, x.cmd.Process.Pid)
	for i := range calls {
		media, err := net.ListenPacket("udp", "127.0.0.1:0") // whatever comes is left in it
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = media.Close() })
		body := "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n" +
			fmt.Sprintf(description, media.LocalAddr().(*net.UDPAddr).Port)
		to, err := sipua.ParseURI("sip:park@example.test")
		if err != nil {
			b.Fatal(err)
		}
		_, _, err = caller.Invite(b.Context(), sipua.InviteOptions{
			Target: to, ContentType: "application/sdp", Body: []byte(body),
			Headers: []sip.Header{sip.NewHeader("Referred-By", fmt.Sprintf("<sip:parker%d@example.test>", i/5))}, // RFC 3892 §2.1
		})
		if err != nil {
			b.Fatalf("call %d: %v", i, err)
		}
	}
	const while = 10 * time.Second
	var spent time.Duration
	for b.Loop() {
		start := processorTime(b, x.cmd.Process.Pid)
		time.Sleep(while) // wall clock: this is what is measured
		spent += processorTime(b, x.cmd.Process.Pid) - start
	}
	b.ReportMetric(100*spent.Seconds()/(while.Seconds()*float64(b.N)), "%core")
	b.ReportMetric((residentMB(b, x.cmd.Process.Pid)-before)*1024/float64(calls), "KB/call")
}
