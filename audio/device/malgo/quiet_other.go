//go:build cgo && !linux

package malgo

func quiet() {}
