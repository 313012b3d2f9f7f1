//go:build race

package demo

// racing: sound is made in real time, and under the race detector the signal processing takes ten times as long.
const racing = true
