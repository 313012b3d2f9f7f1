package history

import (
	"context"
	"encoding/json"
	"fmt"

	"offhook/park"
)

// SavePark stores what is known of a call that this user has parked, in place of what was known before. It returns when
// that is on disk: the record holds the only address that reaches the call safely, which nobody could tell again.
//
// That address is a secret. It is in this table and in no other, so no search finds it, and the file is the user's alone.
func (s *Store) SavePark(ctx context.Context, r park.Record) error {
	write, _, err := s.handles()
	if err != nil {
		return err
	}
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	_, err = write.ExecContext(ctx, `INSERT INTO park (account, id, parked, record) VALUES (?, ?, ?, ?)
		ON CONFLICT (account, id) DO UPDATE SET record = excluded.record`,
		s.account, r.ID, r.Orbit.Parked.UnixMicro(), string(data))
	if err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	return nil
}

// Parks returns up to limit calls that this user has parked, the latest first. One that cannot be read is left out.
func (s *Store) Parks(ctx context.Context, limit int) ([]park.Record, error) {
	_, read, err := s.handles()
	if err != nil {
		return nil, err
	}
	rows, err := read.QueryContext(ctx, `SELECT id, record FROM park WHERE account = ? ORDER BY parked DESC, id LIMIT ?`, s.account, limit)
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	defer rows.Close()
	var out []park.Record
	for rows.Next() {
		var id, data string
		var r park.Record
		if err := rows.Scan(&id, &data); err != nil {
			return nil, fmt.Errorf("read history: %w", err)
		}
		if json.Unmarshal([]byte(data), &r) != nil || r.ID != id {
			s.skip("park", id)
			continue
		}
		out = append(out, r)
	}
	return out, rows.Err()
}
