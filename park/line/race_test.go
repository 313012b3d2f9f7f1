//go:build race

package line

// racing: the race detector allocates where the program does not.
const racing = true
