//go:build !race

package echo

import "testing"

func alone(testing.TB) {}
