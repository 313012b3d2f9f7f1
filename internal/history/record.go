package history

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"time"

	"offhook/internal/fanout"
	"offhook/session"
)

const (
	// queueLimit bounds the events that wait for the disk, in bytes.
	queueLimit = 64 << 20
	// retryAfter is the time between attempts to write to a disk that refuses.
	retryAfter = 5 * time.Second
)

// Recorder writes the events of an endpoint into a Store.
type Recorder struct {
	// Immutable.
	store  *Store
	reader *fanout.Reader[session.Event]
	health func(error)
	log    *slog.Logger

	peers map[string]session.Party // Owned by Run. By conversation.
}

// NewRecorder subscribes to the endpoint's events; do it before Start. health is told when the history cannot be written
// (an error) and when it can again (nil).
func NewRecorder(store *Store, endpoint *session.Endpoint, health func(error), log *slog.Logger) *Recorder {
	return &Recorder{
		store:  store,
		reader: endpoint.Subscribe("history", fanout.Sized(queueLimit, weight), fanout.Only(recorded)),
		health: health,
		log:    log,
		peers:  map[string]session.Party{},
	}
}

// recorded tells which events are written, or needed to write others.
func recorded(e session.Event) bool {
	switch e.(type) {
	case session.MessageChanged, session.Notice, session.ConversationChanged:
		return true
	default:
		return false
	}
}

// weight is the memory an event takes, roughly.
func weight(e session.Event) int {
	const overhead = 256
	switch e := e.(type) {
	case session.MessageChanged:
		return overhead + len(e.Text) + len(e.ID)
	case session.Notice:
		return overhead + len(e.Text)
	default:
		return overhead
	}
}

// Run writes until the endpoint is closed, and then what is left. When ctx ends it makes one more attempt at what it has
// and returns.
func (r *Recorder) Run(ctx context.Context) {
	defer r.reader.Close()
	for {
		batch, err := r.reader.Next(ctx)
		switch {
		case errors.Is(err, fanout.ErrOverflow):
			r.health(errors.New("history fell behind; some messages are missing from it"))
			r.log.Error("history queue overflowed", "limit", queueLimit)
			continue
		case err != nil: // closed, or ctx
			return
		}
		if !r.commit(ctx, batch) {
			return
		}
	}
}

// commit writes a batch, again and again until it is written or ctx has ended.
func (r *Recorder) commit(ctx context.Context, batch []session.Event) bool {
	for failed := false; ; failed = true {
		// The batch is written even if ctx has ended: it has been taken out of the queue.
		err := r.store.record(context.WithoutCancel(ctx), batch, r.peers)
		if err == nil {
			if failed {
				r.health(nil)
			}
			return true
		}
		r.health(err)
		r.log.Error("history is not written", "error", err, "events", len(batch))
		select {
		case <-time.After(retryAfter):
		case <-ctx.Done():
			return false
		}
	}
}

// record writes a batch of events in one transaction. peers is kept up to date.
func (s *Store) record(ctx context.Context, batch []session.Event, peers map[string]session.Party) error {
	write, _, err := s.handles()
	if err != nil {
		return err
	}
	return inTx(ctx, write, func(tx *sql.Tx) error {
		for _, e := range batch {
			if err := s.event(ctx, tx, e, peers); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Store) event(ctx context.Context, tx *sql.Tx, e session.Event, peers map[string]session.Party) error {
	switch e := e.(type) {
	case session.ConversationChanged:
		peers[e.Conversation] = e.Peer
	case session.MessageChanged:
		peers[e.Conversation] = e.Peer
		_, err := s.insert(ctx, tx, e.Message, true)
		return err
	case session.Notice:
		if peer, ok := peers[e.Conversation]; ok {
			return s.insertNotice(ctx, tx, peer, e)
		}
	}
	return nil
}
