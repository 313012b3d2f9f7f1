//go:build race

package rtpconn

// racing: the race detector allocates where the program does not.
const racing = true
