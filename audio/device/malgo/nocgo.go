//go:build !cgo

package malgo

import "offhook/audio/device"

// Backends is nothing in a build without cgo.
func Backends() []device.Backend { return nil }
