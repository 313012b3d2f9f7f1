//go:build !race

package line

const racing = false
