package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"offhook/internal/config"
)

// A flag overrides the configuration, and what is not given leaves it as it is.
func TestHeadlessFlagsOverride(t *testing.T) {
	file := config.Default()
	file.Account.AOR = "sip:alice@example.org"
	file.Audio.Capture, file.Audio.Playback, file.Audio.Codecs = "USB", "file:heard.wav", []string{"g722"}
	file.Audio.SRTP, file.Audio.Answer, file.Audio.MediaListen = "off", "auto", "127.0.0.1:5004"
	changed := file
	changed.Audio.Capture, changed.Audio.Playback, changed.Audio.Codecs = "default", "discard", []string{"pcmu", "opus"}
	changed.Audio.SRTP, changed.Audio.Answer, changed.Audio.MediaListen = "required", "manual", "127.0.0.1:0"
	for _, tt := range []struct {
		args []string
		want config.Config
	}{
		{nil, file},
		{[]string{
			"--mic", "device", "--speaker", "discard", "--codecs", "pcmu,opus", "--srtp", "required", "--answer", "manual", "--media-listen", "127.0.0.1:0",
		}, changed},
	} {
		var line commandLine
		if _, err := newParser(&line).Parse(append([]string{"headless"}, tt.args...)); err != nil {
			t.Fatal(err)
		}
		got := file
		line.Headless.override(&got)
		if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreUnexported(config.Duration{})); diff != "" {
			t.Errorf("%v: %s", tt.args, diff)
		}
	}
}
