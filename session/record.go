package session

import (
	"os"
	"path/filepath"
	"strings"
	"unicode"
)

// Record writes the call to a WAV file, this user left and the other side right. The file must not exist, its directory
// must. Whether the other side has to be told is for the user to know; nothing tells it by itself.
func (c *AudioVideoCall) Record(path string) error {
	c.e.mu.Blocking()
	s, err := c.established("record")
	if err != nil {
		return err
	}
	file, err := recordable(path)
	if err != nil {
		return err
	}
	if err := s.Record(file); err != nil {
		return refuse("record", c.conv.peerURI(), KindConfig, "%w", err)
	}
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	c.record = file
	c.e.publishLocked(CallRecording{Call: c.id, Conversation: c.conv.id, Recording: true, File: file})
	c.noticeLocked("recording started: " + file)
	return nil
}

// recordable checks the name of a file to record to, and makes it absolute.
func recordable(path string) (string, error) {
	if !strings.EqualFold(filepath.Ext(path), ".wav") || strings.ContainsFunc(path, unicode.IsControl) {
		return "", refuse("record", "", KindConfig, "a recording is a file whose name ends in .wav")
	}
	file, err := filepath.Abs(path)
	if err != nil {
		return "", refuse("record", "", KindConfig, "%w", err)
	}
	if dir, err := os.Stat(filepath.Dir(file)); err != nil || !dir.IsDir() {
		return "", refuse("record", "", KindConfig, "there is no directory %s", filepath.Dir(file))
	}
	if _, err := os.Lstat(file); err == nil {
		return "", refuse("record", "", KindConfig, "%s exists already", file)
	}
	return file, nil
}

// StopRecording ends the recording and returns its file; "" if nothing was recorded.
func (c *AudioVideoCall) StopRecording() (string, error) {
	c.e.mu.Blocking()
	s, err := c.established("stop recording")
	if err != nil {
		return "", err
	}
	file, err := s.StopRecording()
	if err != nil {
		err = refuse("stop recording", c.conv.peerURI(), KindConfig, "%w", err)
	}
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	if c.record != "" {
		c.e.publishLocked(CallRecording{Call: c.id, Conversation: c.conv.id, File: c.record})
		c.noticeLocked("recording ended: " + c.record)
		c.record = ""
	}
	return file, err
}
