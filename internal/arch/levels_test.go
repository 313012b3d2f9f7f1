package arch

import (
	"slices"
	"strings"
	"testing"
)

// levels is the order of the packages. Level 0 knows nothing of SIP accounts or screens; main joins everything.
var levels = map[string]int{
	"internal/body":      0, // bodies and headers that carry them
	"internal/sdp":       0,
	"internal/fsm":       0,
	"internal/monitor":   0,
	"internal/fanout":    0,
	"internal/vnet":      0,
	"internal/plaintext": 0,
	"audio/codec":        0,
	"audio/resample":     0,
	"audio/jitter":       0,
	"audio/echo":         0,

	"internal/media":    1, // what calls and sound say to each other
	"internal/sipua":    1, // user agent core
	"internal/config":   1,
	"internal/contacts": 1,
	"park/music":        1, // what a parked caller hears
	"toast":             1,

	"internal/event": 2,
	"audio/rtpconn":  2, // RTP, RTCP and SRTP on a socket
	"audio/device":   2,
	"park":           2, // orbits: the lot, the strategies, the board

	"audio":              3, // the engine that joins them
	"audio/device/malgo": 3, // sound cards

	"park/line": 3, // the media of a leg at the park service
	"session":   3,

	"park/service":     4, // the park service as a user agent
	"internal/command": 4,
	"internal/history": 4,

	"server":            5,
	"ui":                5,
	"internal/headless": 5,

	"internal/demo": 6,

	"main": 7,
}

// helpers are used by tests only and import anything below main, and so are the packages below them.
var helpers = []string{"internal/testkit", "internal/arch", "internal/interop"}

func isHelper(pkg string) bool {
	return slices.ContainsFunc(helpers, func(h string) bool { return within(pkg, h) })
}

// bans are imports that the levels allow and the design does not.
var bans = map[string]struct {
	imports []string
	reason  string
}{
	"session": {[]string{"ui", "toast", "internal/history"}, "front ends and history learn of the session by its events"},
	"audio":   {[]string{"internal/sipua"}, "sound knows what was agreed, not how"},
	"park":    {[]string{"audio", "session", "server"}, "orbits are a model: no sound, no sockets"},
	"server":  {[]string{"session"}, "the embedded server must not know the client it is tested with"},
	"ui":      {[]string{"server", "internal/sipua"}, "the UI sees a session, not SIP"},
}

// anywhere is the home of a vocabulary that all packages share.
var anywhere = []string{"*"}

// homes names the packages that may import a third-party module; a longer path has precedence. Test files follow the
// same rule, except that any test may use the modules of testModules.
var homes = map[string][]string{
	"github.com/emiago/sipgo":              {}, // the root package: its dialogs do not survive forking
	"github.com/emiago/sipgo/sip":          anywhere,
	"charm.land/bubbletea/v2":              {"ui"},
	"charm.land/lipgloss/v2":               {"ui"},
	"github.com/charmbracelet/x/ansi":      {"ui", "internal/testkit/screen"},
	"github.com/charmbracelet/x/vt":        {"internal/testkit/screen"},
	"github.com/charmbracelet/ultraviolet": {"internal/testkit/screen"},
	"github.com/google/uuid":               {"session"},
	"modernc.org/sqlite":                   {"internal/history"},
	"database/sql":                         {"internal/history"},
	"github.com/pelletier/go-toml/v2":      {"internal/config", "internal/contacts"},
	"github.com/pion/rtp":                  {"audio", "audio/rtpconn", "park/line"},
	"github.com/pion/rtcp":                 {"audio/rtpconn"},
	"github.com/pion/srtp/v3":              {"audio/rtpconn"},
	"github.com/pion/dtls/v3":              {"audio/rtpconn"},
	"github.com/pion/logging":              {"audio/rtpconn"},
	"github.com/pion/opus":                 {"audio/codec"},
	"github.com/pion/mediadevices":         {"audio/codec"},
	"github.com/gen2brain/malgo":           {"audio/device/malgo"},
	"github.com/zalando/go-keyring":        {"internal/config"},
	"github.com/adrg/xdg":                  {"internal/config", "main"},
	"github.com/alecthomas/kong":           {"main"},
}

// testModules may be imported by every test.
var testModules = []string{
	"pgregory.net/rapid",
	"github.com/google/go-cmp",
	"go.uber.org/goleak",
	"github.com/rogpeppe/go-internal",
	"github.com/charmbracelet/x/vt",
	"github.com/charmbracelet/ultraviolet",
}

func TestImportLevels(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range source(t).files {
		if isHelper(f.pkg) {
			continue
		}
		seen[f.pkg] = true
		level, known := levels[f.pkg]
		if !known {
			t.Errorf("%s: package %s has no level; give it one in internal/arch/levels_test.go", f.name, f.pkg)
			continue
		}
		for _, imported := range f.imports {
			own, ok := strings.CutPrefix(imported, module+"/")
			switch {
			case !ok:
			case f.test && f.ast.Name.Name == f.pkgName()+"_test": // joins packages from outside
			case isHelper(own):
				if !f.test {
					t.Errorf("%s imports %s, which is for tests", f.name, own)
				}
			case levels[own] >= level:
				t.Errorf("%s: %s (level %d) imports %s (level %d); a package imports only lower levels",
					f.name, f.pkg, level, own, levels[own])
			}
		}
	}
	for pkg := range levels {
		if !seen[pkg] {
			t.Errorf("levels names %s, which does not exist", pkg)
		}
	}
}

func TestBans(t *testing.T) {
	for _, f := range source(t).files {
		ban, ok := bans[f.pkg]
		if !ok || f.test {
			continue
		}
		for _, imported := range f.imports {
			if own, _ := strings.CutPrefix(imported, module+"/"); slices.Contains(ban.imports, own) {
				t.Errorf("%s imports %s: %s", f.name, own, ban.reason)
			}
		}
	}
}

func TestThirdPartyHomes(t *testing.T) {
	used := map[string]bool{}
	for _, f := range source(t).files {
		for _, imported := range f.imports {
			home, listed := homeOf(imported)
			if listed {
				used[home] = true
			}
			third := strings.Contains(strings.Split(imported, "/")[0], ".")
			switch {
			case f.pkg == "toast" && !f.test && third:
				t.Errorf("%s imports %s; toast needs the standard library only", f.name, imported)
			case f.test && slices.ContainsFunc(testModules, func(m string) bool { return within(imported, m) }):
			case listed && !slices.Contains(homes[home], f.pkg) && !slices.Equal(homes[home], anywhere):
				t.Errorf("%s imports %s, whose home is %v", f.name, imported, homes[home])
			case !listed && third:
				t.Errorf("%s imports %s, which has no home; a new dependency needs a line in "+
					"docs/adr/0008-dependencies.md and in homes", f.name, imported)
			}
		}
	}
	for home, pkgs := range homes {
		if len(pkgs) > 0 && !used[home] {
			t.Errorf("homes names %s, which nobody imports", home)
		}
	}
}

// homeOf finds the longest entry of homes that holds the imported path. The root package of sipgo is listed apart from
// the packages below it, for it alone is forbidden.
func homeOf(imported string) (string, bool) {
	best := ""
	for module := range homes {
		if within(imported, module) && len(module) > len(best) {
			best = module
		}
	}
	return best, best != ""
}

func within(imported, module string) bool {
	return imported == module || strings.HasPrefix(imported, module+"/")
}

// pkgName is the name that the package's own files carry.
func (f *file) pkgName() string { return f.pkg[strings.LastIndex(f.pkg, "/")+1:] }
