//go:build !race

package rtpconn

const racing = false
