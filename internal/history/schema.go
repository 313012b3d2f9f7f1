package history

import (
	"context"
	"database/sql"
	"fmt"
)

// migrations bring a file from version i to i+1. Entries are never changed once released.
var migrations = []string{
	`
	CREATE TABLE thread (
		id      INTEGER PRIMARY KEY,
		account TEXT NOT NULL,
		peer    TEXT NOT NULL,
		display TEXT NOT NULL DEFAULT '',
		last    INTEGER NOT NULL DEFAULT 0, -- time of the newest line
		read    INTEGER NOT NULL DEFAULT 0, -- id of the last line the user has seen
		UNIQUE (account, peer)
	);
	CREATE TABLE line (
		id           INTEGER PRIMARY KEY,
		thread       INTEGER NOT NULL REFERENCES thread,
		time         INTEGER NOT NULL, -- microseconds since 1970
		kind         TEXT NOT NULL,    -- message, notice
		message_id   TEXT,             -- NULL for what is no message
		direction    TEXT NOT NULL DEFAULT '',
		from_uri     TEXT NOT NULL DEFAULT '',
		from_display TEXT NOT NULL DEFAULT '',
		text         TEXT NOT NULL,
		content_type TEXT NOT NULL DEFAULT '',
		status       TEXT NOT NULL DEFAULT '',
		call         TEXT NOT NULL DEFAULT '',
		toast        INTEGER NOT NULL DEFAULT 0,
		missed       INTEGER NOT NULL DEFAULT 0,
		elsewhere    INTEGER NOT NULL DEFAULT 0,
		error        TEXT NOT NULL DEFAULT '',
		UNIQUE (thread, direction, message_id)
	);
	CREATE INDEX line_order ON line (thread, time, id);
	CREATE INDEX line_message ON line (message_id) WHERE message_id IS NOT NULL;
	CREATE INDEX line_unread ON line (thread, id) WHERE direction = 'inbound' AND elsewhere = 0;
	-- thread is "<id>" of the line's thread: a search within one reads no other's lines.
	CREATE VIRTUAL TABLE words USING fts5 (thread, text, content='', contentless_delete=1,
		tokenize='trigram remove_diacritics 1');
	CREATE TRIGGER line_insert AFTER INSERT ON line WHEN new.kind = 'message' BEGIN
		INSERT INTO words (rowid, thread, text) VALUES (new.id, '<' || new.thread || '>', new.text);
	END;
	CREATE TRIGGER line_delete AFTER DELETE ON line WHEN old.kind = 'message' BEGIN
		DELETE FROM words WHERE rowid = old.id;
	END;
	CREATE TRIGGER line_update AFTER UPDATE OF text ON line WHEN old.kind = 'message' AND old.text <> new.text BEGIN
		DELETE FROM words WHERE rowid = old.id;
		INSERT INTO words (rowid, thread, text) VALUES (new.id, '<' || new.thread || '>', new.text);
	END;
	`,
	// partial: only the beginning of a text, which is replaced when the whole arrives.
	`ALTER TABLE line ADD COLUMN partial INTEGER NOT NULL DEFAULT 0;
	`,
	// Calls that this user has parked. No line, for it holds what nobody may find: the address that takes the call back.
	`CREATE TABLE park (
		account TEXT NOT NULL,
		id      TEXT NOT NULL,
		parked  INTEGER NOT NULL, -- microseconds since 1970
		record  TEXT NOT NULL,    -- a park.Record in JSON
		PRIMARY KEY (account, id)
	) WITHOUT ROWID;
	CREATE INDEX park_order ON park (account, parked);
	`,
}

// migrate brings the file to the newest version, each step in a transaction of its own.
func migrate(ctx context.Context, db *sql.DB) error {
	var version int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version > len(migrations) {
		return fmt.Errorf("written by a newer version of offhook (schema %d, this one knows %d)", version, len(migrations))
	}
	for ; version < len(migrations); version++ {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		// PRAGMA takes no parameters; the number is ours.
		if _, err = tx.ExecContext(ctx, migrations[version]+fmt.Sprintf("PRAGMA user_version = %d", version+1)); err != nil {
			_ = tx.Rollback()
			return fmt.Errorf("migrate to schema %d: %w", version+1, err)
		}
		if err := tx.Commit(); err != nil {
			return err
		}
	}
	return nil
}

// Values of line.kind.
const (
	kindMessage = "message"
	kindNotice  = "notice"
)
