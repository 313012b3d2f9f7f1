package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"offhook/session"
)

// Line is a message, or a notice: then only Peer, Time and Text are set.
type Line struct {
	session.Message
	ID     int64 // place in the file; Page takes it
	Notice bool
}

// Thread is what was said with one peer.
type Thread struct {
	Peer   session.Party
	Last   time.Time // of the newest line
	Unread int       // inbound messages since MarkRead that no other device has answered
}

// columns of a line, as scan reads them.
const columns = `line.id, line.kind, line.time, thread.peer, thread.display, coalesce(line.message_id, ''), line.direction,
	line.from_uri, line.from_display, line.text, line.content_type, line.status, line.call, line.toast, line.missed,
	line.elsewhere, line.error, line.partial`

// Threads returns the threads, latest first.
func (s *Store) Threads(ctx context.Context, limit int) ([]Thread, error) {
	_, read, err := s.handles()
	if err != nil {
		return nil, err
	}
	rows, err := read.QueryContext(ctx, `SELECT id, peer, display, last,
		(SELECT count(*) FROM line WHERE thread = thread.id AND id > thread.read
			AND direction = 'inbound' AND elsewhere = 0)
		FROM thread WHERE account = ? ORDER BY last DESC LIMIT ?`, s.account, limit)
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	defer rows.Close()
	var out []Thread
	for rows.Next() {
		var t Thread
		var id, last int64
		if rows.Scan(&id, &t.Peer.URI, &t.Peer.Display, &last, &t.Unread) != nil {
			s.skip("thread", strconv.FormatInt(id, 10))
			continue
		}
		t.Last = time.UnixMicro(last)
		out = append(out, t)
	}
	return out, rows.Err()
}

// Unread counts the inbound messages since MarkRead, by peer; peers without any are left out.
func (s *Store) Unread(ctx context.Context) (map[string]int, error) {
	_, read, err := s.handles()
	if err != nil {
		return nil, err
	}
	rows, err := read.QueryContext(ctx, `SELECT thread.peer, count(*) FROM thread JOIN line ON line.thread = thread.id
		WHERE thread.account = ? AND line.id > thread.read AND line.direction = 'inbound' AND line.elsewhere = 0
		GROUP BY thread.id`, s.account)
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	defer rows.Close()
	out := map[string]int{}
	for rows.Next() {
		var peer string
		var n int
		if err := rows.Scan(&peer, &n); err != nil {
			return nil, fmt.Errorf("read history: %w", err)
		}
		out[peer] = n
	}
	return out, rows.Err()
}

// Page returns up to limit lines of the thread with peer, oldest first: the newest, or those before the line with the id
// before.
func (s *Store) Page(ctx context.Context, peer string, before int64, limit int) ([]Line, error) {
	where, args := `thread.account = ? AND thread.peer = ?`, []any{s.account, key(peer)}
	if before != 0 {
		where += ` AND (line.time, line.id) < (SELECT time, id FROM line WHERE id = ?)`
		args = append(args, before)
	}
	return s.lines(ctx, `SELECT `+columns+` FROM thread JOIN line ON line.thread = thread.id
		WHERE `+where+` ORDER BY line.time DESC, line.id DESC LIMIT ?`, append(args, limit)...)
}

// Messages returns up to limit messages, oldest first: those with peer, or all with "". Only those before the message
// with the id before, unless it is "".
func (s *Store) Messages(ctx context.Context, peer, before string, limit int) ([]session.Message, error) {
	where, args := s.scope(peer)
	if before != "" {
		id, err := s.find(ctx, before)
		if err != nil {
			return nil, err
		}
		where += ` AND (line.time, line.id) < (SELECT time, id FROM line WHERE id = ?)`
		args = append(args, id)
	}
	lines, err := s.lines(ctx, `SELECT `+columns+` FROM thread JOIN line ON line.thread = thread.id
		WHERE line.kind = 'message' AND `+where+` ORDER BY line.time DESC, line.id DESC LIMIT ?`, append(args, limit)...)
	return messages(lines), err
}

// Search returns up to limit messages that contain every word of query, oldest first, the latest there are. peer and
// before are those of Messages. Upper and lower case make no difference, nor do accents in words of three characters.
// With a word under three characters only the latest scanLimit lines are searched, or as many before the message before.
func (s *Store) Search(ctx context.Context, query, peer, before string, limit int) ([]session.Message, error) {
	var conditions []string
	var args []any
	match, short := terms(query)
	if len(match) == 0 && len(short) == 0 {
		return []session.Message{}, nil
	}
	thread, last := int64(0), int64(math.MaxInt64)
	if peer != "" {
		var err error
		thread, err = s.threadOf(ctx, peer)
		if errors.Is(err, sql.ErrNoRows) {
			return []session.Message{}, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read history: %w", err)
		}
		conditions, args = append(conditions, `line.thread = ?`), append(args, thread)
		if len(match) > 0 {
			match = append(match, fmt.Sprintf(`thread : "<%d>"`, thread))
		}
	}
	from, order := `line`, `line.id`
	if len(match) > 0 {
		// The order is that of the index, so that it stops at the limit; it is the order of arrival.
		order = `words.rowid`
		from = `words CROSS JOIN line ON line.id = words.rowid`
		conditions, args = append(conditions, `words MATCH ?`), append(args, strings.Join(match, " AND "))
	}
	if before != "" {
		id, err := s.find(ctx, before)
		if err != nil {
			return nil, err
		}
		last = id
		conditions, args = append(conditions, order+` < ?`), append(args, id)
	}
	if len(short) > 0 {
		first, err := s.scanFrom(ctx, thread, last)
		if err != nil {
			return nil, fmt.Errorf("read history: %w", err)
		}
		conditions, args = append(conditions, order+` >= ?`), append(args, first)
	}
	for _, w := range short {
		conditions, args = append(conditions, `line.text LIKE ? ESCAPE '\'`), append(args, "%"+likeEscaper.Replace(w)+"%")
	}
	lines, err := s.lines(ctx, `SELECT `+columns+` FROM `+from+` CROSS JOIN thread ON thread.id = line.thread
		WHERE line.kind = 'message' AND thread.account = ? AND `+strings.Join(conditions, " AND ")+`
		ORDER BY `+order+` DESC LIMIT ?`, slices.Concat([]any{s.account}, args, []any{limit})...)
	slices.SortStableFunc(lines, func(a, b Line) int { return a.Time.Compare(b.Time) })
	return messages(lines), err
}

// scanLimit bounds how many lines are scanned for words that are too short for the index, so that a search takes some ten
// milliseconds however long the history is.
const scanLimit = 40_000

// scanFrom returns the first of the scanLimit lines before the line with the id last: of a thread, or with 0 of all.
func (s *Store) scanFrom(ctx context.Context, thread, last int64) (first int64, err error) {
	_, read, err := s.handles()
	if err != nil {
		return 0, err
	}
	query, args := `SELECT id FROM line WHERE id < ? ORDER BY id DESC LIMIT 1 OFFSET ?`, []any{last, scanLimit - 1}
	if thread != 0 {
		query = `SELECT id FROM line WHERE thread = ? AND id < ? ORDER BY time DESC, id DESC LIMIT 1 OFFSET ?`
		args = append([]any{thread}, args...)
	}
	err = read.QueryRowContext(ctx, query, args...).Scan(&first)
	if errors.Is(err, sql.ErrNoRows) { // there are not that many
		return 0, nil
	}
	return first, err
}

// threadOf returns the id of the thread with peer, or sql.ErrNoRows.
func (s *Store) threadOf(ctx context.Context, peer string) (id int64, err error) {
	_, read, err := s.handles()
	if err != nil {
		return 0, err
	}
	err = read.QueryRowContext(ctx, `SELECT id FROM thread WHERE account = ? AND peer = ?`, s.account, key(peer)).Scan(&id)
	return id, err
}

var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// terms makes FTS5 expressions of the words that have a trigram; the others are returned as they are.
func terms(query string) (match, short []string) {
	for _, w := range strings.Fields(strings.ToValidUTF8(query, " ")) {
		w = strings.ReplaceAll(w, "\x00", "")
		switch n := utf8.RuneCountInString(w); {
		case n >= 3:
			match = append(match, `text : "`+strings.ReplaceAll(w, `"`, `""`)+`"`)
		case n > 0:
			short = append(short, w)
		}
	}
	return match, short
}

func (s *Store) scope(peer string) (where string, args []any) {
	if peer == "" {
		return `thread.account = ?`, []any{s.account}
	}
	return `thread.account = ? AND thread.peer = ?`, []any{s.account, key(peer)}
}

// find returns the line of a message.
func (s *Store) find(ctx context.Context, messageID string) (id int64, err error) {
	_, read, err := s.handles()
	if err != nil {
		return 0, err
	}
	err = read.QueryRowContext(ctx, `SELECT line.id FROM line JOIN thread ON thread.id = line.thread
		WHERE line.message_id = ? AND thread.account = ? ORDER BY line.id LIMIT 1`, messageID, s.account).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, noMessage(messageID)
	}
	return id, err
}

// noMessage is the id of a message that is not in the history.
type noMessage string

func (id noMessage) Error() string { return fmt.Sprintf("there is no message %.80q", string(id)) }

// NotFound tells it from a history that cannot be read.
func (noMessage) NotFound() bool { return true }

// lines runs a query of columns, newest first, and returns the lines oldest first.
func (s *Store) lines(ctx context.Context, query string, args ...any) ([]Line, error) {
	_, read, err := s.handles()
	if err != nil {
		return nil, err
	}
	rows, err := read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	defer rows.Close()
	var out []Line
	for rows.Next() {
		line, err := scan(rows)
		if err != nil {
			s.skip("line", strconv.FormatInt(line.ID, 10))
			continue
		}
		out = append(out, line)
	}
	slices.Reverse(out)
	return out, rows.Err()
}

func scan(rows *sql.Rows) (Line, error) {
	var l Line
	var kind string
	var at int64
	err := rows.Scan(&l.ID, &kind, &at, &l.Peer.URI, &l.Peer.Display, &l.Message.ID, &l.Direction, &l.From.URI,
		&l.From.Display, &l.Text, &l.ContentType, &l.Status, &l.Call, &l.Toast, &l.Missed, &l.Elsewhere, &l.Error,
		&l.Partial)
	l.Time, l.Notice = time.UnixMicro(at), kind == kindNotice
	return l, err
}

func messages(lines []Line) []session.Message {
	out := make([]session.Message, len(lines))
	for i, l := range lines {
		out[i] = l.Message
	}
	return out
}
