package history

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"offhook/session"
)

// Journal stores an inbound message and returns when it is on disk. known is true when it was there already: the whole of
// what was there only as a beginning is new.
func (s *Store) Journal(ctx context.Context, m session.Message) (known bool, err error) {
	write, _, err := s.handles()
	if err != nil {
		return false, err
	}
	err = inTx(ctx, write, func(tx *sql.Tx) error {
		known, err = s.insert(ctx, tx, m, false)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("write history: %w", err)
	}
	return known, nil
}

// MarkRead notes that the user has seen all of the thread with peer.
func (s *Store) MarkRead(ctx context.Context, peer string) error {
	write, _, err := s.handles()
	if err != nil {
		return err
	}
	_, err = write.ExecContext(ctx, `UPDATE thread
		SET read = (SELECT coalesce(max(id), 0) FROM line WHERE thread = thread.id)
		WHERE account = ? AND peer = ?`, s.account, key(peer))
	if err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	return nil
}

// inTx runs do in a transaction.
func inTx(ctx context.Context, db *sql.DB, do func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		_ = tx.Rollback() // the first error is the one that counts
		return err
	}
	return tx.Commit()
}

// thread returns the id of the thread with a peer, made if need be, with at as the time of its newest line.
func (s *Store) thread(ctx context.Context, tx *sql.Tx, peer session.Party, at time.Time) (id int64, err error) {
	err = tx.QueryRowContext(ctx, `INSERT INTO thread (account, peer, display, last) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET last = max(last, excluded.last),
			display = CASE WHEN excluded.display <> '' THEN excluded.display ELSE display END
		RETURNING id`, s.account, key(peer.URI), peer.Display, at.UnixMicro()).Scan(&id)
	return id, err
}

// insert adds a message. One that is there already is changed to what is known now if update is set, else left.
func (s *Store) insert(ctx context.Context, tx *sql.Tx, m session.Message, update bool) (known bool, err error) {
	thread, err := s.thread(ctx, tx, m.Peer, m.Time)
	if err != nil {
		return false, err
	}
	const insert = `INSERT INTO line
		(thread, time, kind, message_id, direction, from_uri, from_display, text, content_type,
		 status, call, toast, missed, elsewhere, error, partial)
		VALUES (?, ?, 'message', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (thread, direction, message_id) DO `
	conflict := "UPDATE SET text = excluded.text, partial = 0 WHERE partial AND NOT excluded.partial"
	if update {
		// Nothing is taken back: a session that learns of a message again does not know what happened to it before, and
		// events are written later than the journal, which may have the whole text by then.
		conflict = `UPDATE SET text = CASE WHEN excluded.partial AND NOT partial THEN text ELSE excluded.text END,
			partial = min(partial, excluded.partial), status = excluded.status, error = excluded.error,
			call = CASE WHEN excluded.call <> '' THEN excluded.call ELSE call END,
			toast = max(toast, excluded.toast), missed = excluded.missed, elsewhere = excluded.elsewhere`
	}
	result, err := tx.ExecContext(ctx, insert+conflict,
		thread, m.Time.UnixMicro(), m.ID, string(m.Direction), m.From.URI, m.From.Display, m.Text, m.ContentType,
		string(m.Status), m.Call, m.Toast, m.Missed, m.Elsewhere, m.Error, m.Partial)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n == 0, err
}

// insertNotice adds a line that is no message.
func (s *Store) insertNotice(ctx context.Context, tx *sql.Tx, peer session.Party, n session.Notice) error {
	thread, err := s.thread(ctx, tx, peer, n.Time)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO line (thread, time, kind, text) VALUES (?, ?, ?, ?)`,
		thread, n.Time.UnixMicro(), kindNotice, n.Text)
	return err
}
