package park

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRecordJSON(t *testing.T) {
	rec := ownRecord("1", "701", mary, noon)
	rec.Sent = []Recipient{{URI: ann.URI, Status: "sent"}}
	b, err := json.Marshal(rec)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"id":"1","orbit":{"friendly_orbit":"701","safe_retrieve_uri":"sip:pk-secret@example.test",` +
		`"parked_at":"2026-03-02T12:00:00Z","ringback_at":"2026-03-02T12:01:30Z"},` +
		`"caller":{"uri":"sip:mary@example.test","display":"Mary"},"parked_by":{"uri":"sip:bob@example.test","display":"Bob"},` +
		`"sent":[{"uri":"sip:ann@example.test","status":"sent"}]}`
	if diff := cmp.Diff(want, string(b)); diff != "" {
		t.Error(diff)
	}
	var got Record
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(rec, got); diff != "" {
		t.Error(diff)
	}
}

// TestRecordKeepsItsSecret: neither logs nor prints show the safe URI.
func TestRecordKeepsItsSecret(t *testing.T) {
	rec := ownRecord("1", "701", mary, noon)
	var out bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("parked", "record", rec, "orbit", rec.Orbit)
	}
	fmt.Fprintf(&out, "%v %+v %#v %s", rec, rec, rec, rec.Orbit)
	if strings.Contains(out.String(), "secret") || !strings.Contains(out.String(), "701") {
		t.Errorf("%s", out.String())
	}
}
