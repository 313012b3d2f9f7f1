//go:build deps

// The modules that the packages to come are built on, so that go.mod names them from the start.
package main

import (
	_ "charm.land/bubbletea/v2"
	_ "charm.land/lipgloss/v2"
	_ "github.com/adrg/xdg"
	_ "github.com/alecthomas/kong"
	_ "github.com/charmbracelet/x/ansi"
	_ "github.com/charmbracelet/x/vt"
	_ "github.com/emiago/sipgo/sip"
	_ "github.com/google/go-cmp/cmp"
	_ "github.com/icholy/digest"
	_ "github.com/pelletier/go-toml/v2"
	_ "github.com/pion/sdp/v3"
	_ "github.com/rogpeppe/go-internal/testscript"
	_ "github.com/zalando/go-keyring"
	_ "go.uber.org/goleak"
	_ "modernc.org/sqlite"
	_ "pgregory.net/rapid"
)
