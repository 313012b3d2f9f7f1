//go:build race

package echo

import "testing"

// alone skips a simulation under the race detector, which makes it take minutes and cannot find anything: there is
// one goroutine.
func alone(t testing.TB) {
	t.Helper()
	t.Skip("one goroutine has nobody to race with")
}
