package headless

import (
	"context"
	"sync"
	"time"

	"offhook/internal/command"
	"offhook/internal/media"
	"offhook/session"
)

// How often events of level type come, to clients that have asked for them.
const (
	levelTime = time.Second / 15
	statsTime = time.Second
)

// levelChanged tells how loud microphone and speaker are.
type levelChanged struct{ media.Levels }

// statsChanged tells how a call is doing.
type statsChanged struct{ command.Stats }

func (levelChanged) Type() string { return "audio.level" }
func (statsChanged) Type() string { return "call.stats" }

// asked is whether the client has asked for events of a kind. Asking cannot be taken back.
type asked struct {
	kind string
	once sync.Once
	yes  chan struct{} // closed by once
}

// wait reports whether the client asks before ctx ends.
func (a *asked) wait(ctx context.Context) bool {
	select {
	case <-a.yes:
		return true
	case <-ctx.Done():
		return false
	}
}

// tellLevels keeps the devices open and tells their levels, when they change, until ctx ends.
func (c *conn) tellLevels(ctx context.Context) {
	if !c.levels.wait(ctx) || c.env.Audio == nil {
		return
	}
	var metering sync.WaitGroup
	defer metering.Wait()
	metering.Go(func() {
		if err := c.env.Audio.Meter(ctx); err != nil {
			c.log.Error("level meters", "error", err)
		}
	})
	var last *media.Levels
	every(ctx, levelTime, func() {
		if now := c.env.Audio.Levels(); last == nil || now != *last {
			last = &now
			c.emit(ctx, levelChanged{now}, time.Now())
		}
	})
}

// tellStats tells how the calls that are up are doing, until ctx ends.
func (c *conn) tellStats(ctx context.Context) {
	if !c.stats.wait(ctx) {
		return
	}
	every(ctx, statsTime, func() {
		for _, info := range c.env.Endpoint.Snapshot().Calls {
			if info.State != session.Established {
				continue
			}
			if call, ok := c.env.Endpoint.FindAudio(info.Call); ok {
				c.emit(ctx, statsChanged{command.StatsOf(call)}, time.Now())
			}
		}
	})
}

// every runs f now and at each tick until ctx ends. Ticks that f takes too long for are skipped.
func every(ctx context.Context, d time.Duration, f func()) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for ctx.Err() == nil {
		f()
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}
