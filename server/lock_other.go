//go:build !unix

package server

import "os"

// lockFile does nothing where the system has no such locks.
func lockFile(*os.File) error { return nil }
