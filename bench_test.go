package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
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
