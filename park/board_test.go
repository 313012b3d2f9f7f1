package park

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"offhook/internal/body"
)

var (
	steven = Party{"sip:steven@example.test", "Steven"}
	ann    = Party{"sip:ann@example.test", "Ann"}
)

const (
	lot     = "sip:park-lot@example.test"
	own701  = "sip:701@example.test"
	aMinute = time.Minute
)

// lit is the dialog of an occupied orbit, as our service has it.
func lit(orbit string, caller, by Party, since time.Time) body.DialogState {
	return body.DialogState{
		ID: "p" + orbit, State: "confirmed", Local: body.Participant{URI: "sip:" + orbit + "@example.test"},
		Remote: body.Participant{URI: caller.URI, Display: caller.Display},
		Parked: &body.ParkedInfo{By: by.URI, ByDisplay: by.Display, Since: since, RingBack: since.Add(90 * time.Second), Note: "order 77"},
	}
}

func docOf(dialogs ...body.DialogState) body.DialogInfo {
	return body.DialogInfo{Full: true, Dialogs: dialogs}
}

func ownRecord(id, orbit string, caller Party, parked time.Time) Record {
	return Record{
		ID: id, Caller: caller, ParkedBy: bob,
		Orbit: CallParkOrbit{orbit, "sip:pk-secret@example.test", parked, parked.Add(90 * time.Second)},
	}
}

func orbitsOf(rows []Row) string {
	var out []string
	for _, r := range rows {
		out = append(out, r.Orbit)
	}
	return strings.Join(out, " ")
}

// step checks what a change says has changed, and which orbits are occupied afterwards.
func step(t *testing.T, b *Board, what string, changed []string, want string, rows string) {
	t.Helper()
	if got := strings.Join(changed, " "); got != want {
		t.Errorf("%s: changed %q, want %q", what, got, want)
	}
	if got := orbitsOf(b.Rows()); got != rows {
		t.Errorf("%s: occupied %q, want %q", what, got, rows)
	}
}

func row(t *testing.T, b *Board, orbit string, want Row) {
	t.Helper()
	got, ok := b.Row(orbit)
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Errorf("%s: %t %s", orbit, ok, diff)
	}
}

func TestBoardList(t *testing.T) {
	b := NewBoard(bob.URI)
	step(t, b, "two", b.Apply(lot, docOf(lit("702", mary, ann, noon), lit("701", steven, bob, noon.Add(aMinute))), true), "701 702", "702 701")
	row(t, b, "702", Row{
		Orbit: "702", State: RowParked, Caller: mary, ParkedBy: ann, Since: noon, RingBack: noon.Add(90 * time.Second), Note: "order 77",
	})
	if r, _ := b.Row("701"); !r.Mine {
		t.Error("parked by another device of the user, and not Mine")
	}
	step(t, b, "again", b.Apply(lot, docOf(lit("702", mary, ann, noon), lit("701", steven, bob, noon.Add(aMinute))), true), "", "702 701")
	step(t, b, "a part", b.Apply(lot, docOf(lit("710", mary, ann, noon)), false), "710", "702 710 701")
	recalling := lit("702", mary, ann, noon)
	recalling.Parked.Recalling, recalling.Parked.RingBack = true, time.Time{}
	step(t, b, "recalling", b.Apply(lot, docOf(recalling), false), "702", "710 701 702")
	if r, _ := b.Row("702"); r.State != RowRecalling {
		t.Errorf("state %s", r.State)
	}
	over := lit("710", mary, ann, noon)
	over.State, over.Parked = "terminated", nil
	step(t, b, "one is over", b.Apply(lot, docOf(over), false), "710", "701 702")
	step(t, b, "what is not named is over", b.Apply(lot, docOf(lit("702", mary, ann, noon)), true), "701 702", "702")
	step(t, b, "another entity says nothing of these", b.Apply("sip:711@example.test", docOf(), true), "", "702")
	step(t, b, "empty", b.Apply(lot, docOf(), true), "702", "")
	if _, ok := b.Row("702"); ok {
		t.Error("a row of a free orbit")
	}
}

func TestBoardSingleLamps(t *testing.T) {
	b := NewBoard(bob.URI)
	hint := body.DialogState{ID: "701", State: "confirmed"}
	step(t, b, "Asterisk", b.Apply(own701, docOf(hint), true), "701", "701")
	row(t, b, "701", Row{Orbit: "701", State: RowParked})
	if _, ok := b.Present("701"); ok {
		t.Error("a lamp without identity knows who is present")
	}
	hint.State = "terminated"
	step(t, b, "terminated", b.Apply(own701, docOf(hint), true), "701", "")
	step(t, b, "early, as FreeSWITCH", b.Apply(own701, docOf(body.DialogState{State: "early"}), true), "701", "701")
	step(t, b, "empty", b.Apply(own701, docOf(), true), "701", "")
	// A local identity that is something else does not light another lamp.
	odd := lit("799", mary, ann, noon)
	step(t, b, "foreign local identity", b.Apply(own701, docOf(odd), true), "701", "701")
	if who, ok := b.Present("701"); !ok || who != mary {
		t.Errorf("present: %v %t", who, ok)
	}
	step(t, b, "nobody tells any more", b.Dark(own701), "701", "")
	step(t, b, "no orbit", b.Apply("sip:example.test", docOf(hint), true), "", "")
	step(t, b, "a list without local identities", b.Apply(lot, docOf(body.DialogState{State: "confirmed"}), true), "", "")
}

func TestBoardAnnounced(t *testing.T) {
	b := NewBoard(bob.URI)
	call := Announcement{"701", mary, "order 77", aMinute}
	step(t, b, "announced", b.Announced(call, ann, noon), "701", "701")
	row(t, b, "701", Row{
		Orbit: "701", State: RowParked, Caller: mary, ParkedBy: ann, Since: noon, RingBack: noon.Add(aMinute), Note: "order 77",
		Estimated: true, AnnouncedBy: ann,
	})
	step(t, b, "an older one", b.Announced(Announcement{Orbit: "701", Caller: steven}, ann, noon.Add(-1)), "", "701")
	step(t, b, "taken, says somebody else", b.Taken(TakenNotice{Orbit: "701", Reason: Retrieved}, steven, noon.Add(1)), "", "701")
	step(t, b, "time passes", b.Expire(noon.Add(aMinute+margin)), "", "701")
	step(t, b, "over", b.Expire(noon.Add(aMinute+margin+1)), "701", "")
	if who, by, ok := b.Expected("701", noon.Add(memory)); !ok || who != mary || by != ann {
		t.Errorf("expected %v by %v %t", who, by, ok)
	}
	if _, _, ok := b.Expected("701", noon.Add(memory+1)); ok {
		t.Error("expected for ever")
	}
	step(t, b, "forgotten", b.Expire(noon.Add(memory+1)), "", "")
	if len(b.places) != 0 {
		t.Error("places are kept")
	}
	step(t, b, "announced again", b.Announced(call, ann, noon), "701", "701")
	step(t, b, "picked up", b.Taken(TakenNotice{Orbit: "701", Reason: Retrieved}, ann, noon.Add(1)), "701", "")
	if _, _, ok := b.Expected("701", noon.Add(1)); ok {
		t.Error("expected after somebody has told who has the call")
	}
	step(t, b, "without a time", b.Announced(Announcement{Orbit: "701"}, ann, noon), "701", "701")
	step(t, b, "stays", b.Expire(noon.Add(memory)), "", "701")
	step(t, b, "until it is old", b.Expire(noon.Add(memory+1)), "701", "")
	step(t, b, "no orbit", b.Announced(Announcement{}, ann, noon), "", "")
	step(t, b, "taken is not there", b.Taken(TakenNotice{Orbit: "799", Reason: Retrieved}, ann, noon), "", "")
}

// TestBoardLampsBeatAnnouncements: a lamp comes a little later than a message, and then it knows better.
func TestBoardLampsBeatAnnouncements(t *testing.T) {
	b := NewBoard(bob.URI)
	b.Apply(lot, docOf(), true)
	call := Announcement{"701", mary, "order 77", aMinute}
	step(t, b, "announced", b.Announced(call, ann, noon), "701", "701")
	step(t, b, "soon", b.Expire(noon.Add(lampLag)), "", "701")
	step(t, b, "the lamp", b.Apply(lot, docOf(lit("701", mary, ann, noon)), true), "701", "701")
	r, _ := b.Row("701")
	if r.Estimated || r.AnnouncedBy != ann || r.Announced != (Party{}) || r.RingBack != noon.Add(90*time.Second) {
		t.Errorf("%+v", r)
	}
	step(t, b, "another is there", b.Apply(lot, docOf(lit("701", steven, ann, noon)), true), "701", "701")
	if r, _ = b.Row("701"); r.Announced != mary || r.Caller != steven {
		t.Errorf("%+v", r)
	}
	step(t, b, "nobody is there", b.Apply(lot, docOf(), true), "701", "")
	step(t, b, "announced without a lamp", b.Announced(call, ann, noon.Add(aMinute)), "701", "701")
	step(t, b, "and no lamp comes", b.Expire(noon.Add(aMinute+lampLag+1)), "701", "")
	// A lamp without identity leaves it at what was written.
	b = NewBoard(bob.URI)
	b.Announced(call, ann, noon)
	b.Apply(own701, docOf(body.DialogState{State: "confirmed"}), true)
	if r, _ = b.Row("701"); !r.Estimated || r.Caller != mary || r.RingBack != noon.Add(aMinute) {
		t.Errorf("%+v", r)
	}
}

func TestBoardMine(t *testing.T) {
	b := NewBoard(bob.URI)
	rec := ownRecord("1", "701", mary, noon)
	step(t, b, "parked", b.Mine(rec), "701", "701")
	row(t, b, "701", Row{
		Orbit: "701", State: RowParked, Caller: mary, ParkedBy: bob, Since: noon, RingBack: noon.Add(90 * time.Second), Mine: true,
	})
	rec.Note = "wants the invoice"
	step(t, b, "another note", b.Mine(rec), "701", "701")
	step(t, b, "the lamp has the old note", b.Apply(own701, docOf(lit("701", mary, bob, noon)), true), "", "701")
	step(t, b, "the hint", b.Apply(own701, docOf(body.DialogState{State: "confirmed"}), true), "", "701")
	step(t, b, "the hint is dark, our record is not over", b.Apply(own701, docOf(), true), "", "701")
	step(t, b, "another caller", b.Apply(own701, docOf(lit("701", steven, ann, noon)), true), "701", "701")
	if r, _ := b.Row("701"); r.Mine || r.Caller != steven {
		t.Errorf("%+v", r)
	}
	step(t, b, "free", b.Apply(own701, docOf(), true), "701", "701")
	rec.Ended, rec.Reason = noon.Add(aMinute), Abandoned
	step(t, b, "she hung up", b.Mine(rec), "701", "")
	if b.places["701"].own.Orbit.SafeRetrieveURI != "" {
		t.Error("the board keeps a secret that it does not need")
	}
	step(t, b, "parked again", b.Mine(ownRecord("2", "701", steven, noon.Add(2*aMinute))), "701", "701")
	step(t, b, "late news of the first", b.Mine(rec), "", "701")
	rec = ownRecord("2", "701", steven, noon.Add(2*aMinute))
	rec.Ended, rec.Reason = noon.Add(3*aMinute), Retrieved
	step(t, b, "picked up", b.Mine(rec), "701", "")
	step(t, b, "without an orbit", b.Mine(ownRecord("3", "", mary, noon)), "", "")
}

// TestBoardStranger is the story of Mary, Bob and Steven: Bob parks Mary, she hangs up, Steven is parked on the same
// number. By number Bob would get Steven.
func TestBoardStranger(t *testing.T) {
	b := NewBoard(bob.URI)
	rec := ownRecord("1", "701", mary, noon)
	b.Mine(rec)
	b.Apply(lot, docOf(lit("701", mary, bob, noon)), true)
	rec.Ended, rec.Reason = noon.Add(aMinute), Abandoned
	b.Mine(rec)
	b.Apply(lot, docOf(lit("701", steven, ann, noon.Add(aMinute))), true)
	who, by, ok := b.Expected("701", noon.Add(2*aMinute))
	present, there := b.Present("701")
	if !ok || !there || who != mary || by != bob || SameParty(who, present) {
		t.Errorf("expected %v by %v %t, present %v %t", who, by, ok, present, there)
	}
	// Ann writes that it is Steven now: nobody is surprised any more.
	b.Announced(Announcement{Orbit: "701", Caller: steven}, ann, noon.Add(2*aMinute))
	if who, by, _ = b.Expected("701", noon.Add(2*aMinute)); who != steven || by != ann {
		t.Errorf("expected %v by %v", who, by)
	}
	if _, _, ok = b.Expected("702", noon); ok {
		t.Error("expected at an orbit that nobody has named")
	}
	b.Expire(noon.Add(aMinute + memory + 1))
	if b.places["701"].own != nil {
		t.Error("an ended record is kept for ever")
	}
}

func TestBoardIsCleanAndBounded(t *testing.T) {
	b := NewBoard(bob.URI)
	evil := Party{"sip:m\x1b[2Jary@example.test", "M\x1b[31mary\u202e\r\n" + strings.Repeat("x", 1000)}
	dialog := lit("701", evil, evil, noon)
	dialog.Parked.Note = "\x1b]52;c;aGk=\x07note"
	b.Apply(lot, docOf(dialog), true)
	b.Announced(Announcement{Orbit: "70\x1b[m2", Caller: evil, Note: "\x07hi"}, evil, noon)
	rec := ownRecord("1", "703", evil, noon)
	rec.Note = "a\x00b"
	b.Mine(rec)
	if got := orbitsOf(b.Rows()); got != "701 703 702" {
		t.Errorf("rows %q", got)
	}
	for _, r := range b.Rows() {
		checkClean(t, r.Orbit, r.Note, r.Caller)
		checkClean(t, r.Orbit, r.Note, r.ParkedBy)
		checkClean(t, r.Orbit, r.Note, r.AnnouncedBy)
		if r.Caller.URI != "" || len(r.Caller.Display) > maxNameText {
			t.Errorf("%+v", r.Caller)
		}
	}
	for n := range maxPlaces + 10 {
		b.Announced(Announcement{Orbit: fmt.Sprint(10_000 + n), Caller: mary}, ann, noon)
	}
	if n := len(b.Rows()); n != maxHearsay+2 {
		t.Errorf("%d rows", n)
	}
	var all []body.DialogState // whoever writes much leaves room for what is so
	for n := range maxPlaces + 10 {
		all = append(all, lit(fmt.Sprint(20_000+n), mary, ann, noon))
	}
	b.Mine(ownRecord("2", "704", mary, noon))
	if _, ok := b.Row("704"); !ok {
		t.Error("there is no room for one's own call")
	}
	b.Apply(lot, docOf(all...), false)
	if n := len(b.places); n != maxPlaces {
		t.Errorf("%d orbits", n)
	}
}

// TestBoardTellsEveryChange: whatever happens, the rows that change are those that a method names, and Rows is in order.
func TestBoardTellsEveryChange(t *testing.T) {
	parties := []Party{mary, steven, ann, bob, {}}
	rapid.Check(t, func(t *rapid.T) {
		b := NewBoard(bob.URI)
		now := noon
		known := map[string]Row{}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 200).Draw(t, "seconds")) * time.Second)
			orbit := rapid.SampledFrom([]string{"701", "702", "1001"}).Draw(t, "orbit")
			who, by := rapid.SampledFrom(parties).Draw(t, "who"), rapid.SampledFrom(parties).Draw(t, "by")
			var dialogs []body.DialogState
			if rapid.Bool().Draw(t, "lit") {
				dialogs = append(dialogs, lit(orbit, who, by, now))
			}
			var changed []string
			switch rapid.IntRange(0, 6).Draw(t, "what") {
			case 0:
				changed = b.Apply(lot, docOf(dialogs...), rapid.Bool().Draw(t, "full"))
			case 1:
				changed = b.Apply("sip:"+orbit+"@example.test", docOf(dialogs...), true)
			case 2:
				changed = b.Announced(Announcement{orbit, who, "", aMinute}, by, now)
			case 3:
				changed = b.Taken(TakenNotice{Orbit: orbit, Reason: Retrieved}, by, now)
			case 4:
				r := ownRecord(orbit, orbit, who, now)
				if rapid.Bool().Draw(t, "ended") {
					r.Ended, r.Reason = now, rapid.SampledFrom([]UnparkReason{Retrieved, Abandoned}).Draw(t, "reason")
				}
				changed = b.Mine(r)
			case 5:
				changed = b.Expire(now)
			case 6:
				changed = b.Dark(lot)
			}
			for _, o := range changed {
				if r, ok := b.Row(o); ok {
					known[o] = r
				} else {
					delete(known, o)
				}
			}
			rows := b.Rows()
			if len(rows) != len(known) {
				t.Fatalf("%d rows, %d are known", len(rows), len(known))
			}
			for _, r := range rows {
				if known[r.Orbit] != r {
					t.Fatalf("%s has changed without a word:\n%s", r.Orbit, cmp.Diff(known[r.Orbit], r))
				}
				if who, ok := b.Present(r.Orbit); ok && (r.Caller.URI != who.URI || r.Estimated) {
					t.Fatalf("the lamp says %v: %+v", who, r)
				}
			}
			if !slices.IsSortedFunc(rows, func(x, y Row) int {
				switch {
				case x.RingBack.IsZero() == y.RingBack.IsZero():
					return x.RingBack.Compare(y.RingBack)
				case x.RingBack.IsZero():
					return 1
				}
				return -1
			}) {
				t.Fatal("not in order")
			}
		}
	})
}
