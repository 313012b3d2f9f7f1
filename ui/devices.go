package ui

import (
	"context"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"offhook/audio/echo"
	"offhook/internal/media"
)

// levelsEvery is how often the meters of the device chooser move, the only thing here that moves by itself that fast.
const levelsEvery = 80 * time.Millisecond

// devices is the chooser of microphone, speaker and ringers, and of what is done to the microphone's sound. While it is
// open the devices are, too, for the meters, and somebody looks for those that are plugged in and out.
type devices struct {
	line     editor
	choice   choice
	all      []media.Device
	selected media.Selection
	rows     []deviceRow // what can be chosen, in the order of the screen
	rowsAt   []int       // index into rows of each drawn row; -1: none
	levels   media.Levels
	trouble  string
	loaded   bool
	from     int
	changed  chan struct{}      // capacity 1; the list is to be read again
	stop     context.CancelFunc // of meters and watch

	processing echo.Config
	stagesRow  int   // where their switches are drawn
	stagesAt   []int // the column after each
}

// deviceRow is one device for one purpose.
type deviceRow struct {
	purpose string // capture, playback, ringers
	device  media.Device
}

// The headings, in the order of the screen.
var purposes = []struct{ name, heading string }{{"capture", "MICROPHONE"}, {"playback", "SPEAKER"}, {"ringers", "RINGER"}}

// devicesMsg is the devices and which are chosen; outcome is set for an action.
type devicesMsg struct {
	of       *devices
	all      []media.Device
	selected media.Selection
	err      error
}

// levelsMsg is what moves by itself: the meters, and what others have switched and plugged in.
type levelsMsg struct {
	of         *devices
	levels     media.Levels
	processing echo.Config
	changed    bool
}

func (m *model) openDevices() tea.Cmd {
	if why := m.soundWhy(); why != "" {
		m.message = why
		return nil
	}
	ctx, stop := context.WithCancel(m.ctx)
	d := &devices{
		stop: stop, changed: make(chan struct{}, 1),
		levels: media.Levels{Capture: silence, Playback: silence}, processing: m.sound.Processing(),
	}
	m.overlay = d
	meter := func() tea.Msg {
		if err := m.sound.Meter(ctx); err != nil && ctx.Err() == nil {
			return devicesMsg{of: d, err: err}
		}
		return nil
	}
	watch := func() tea.Msg {
		m.sound.Watch(ctx, d.changed)
		return nil
	}
	return tea.Batch(m.askDevices(d), m.askLevels(d), meter, watch)
}

// askDevices lists the devices.
func (m *model) askDevices(d *devices) tea.Cmd {
	return func() tea.Msg {
		msg := devicesMsg{of: d}
		var r any
		if r, msg.err = m.commands.Call(m.ctx, "audio.devices", nil); msg.err == nil {
			msg.all, _ = r.([]media.Device)
			r, msg.err = m.commands.Call(m.ctx, "audio.select", nil)
			msg.selected, _ = r.(media.Selection)
		}
		return msg
	}
}

// wait waits and reports whether the program still runs.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func (m *model) onDevices(msg devicesMsg) {
	d := msg.of
	if m.overlay != d {
		return
	}
	d.trouble = ""
	if msg.err != nil {
		d.trouble = problem(msg.err)
	} else if msg.all != nil {
		d.set(msg.all, msg.selected)
	}
}

// set takes a list over; the highlighted device stays highlighted though others come and go.
func (d *devices) set(all []media.Device, selected media.Selection) {
	var at deviceRow
	if d.choice.at < len(d.rows) {
		at = d.rows[d.choice.at]
	}
	d.all, d.selected, d.rows = all, selected, nil
	for _, p := range purposes {
		d.rows = append(d.rows, deviceRow{p.name, media.Device{ID: defaultDevice, Name: "as the system says", Capture: p.name == "capture"}})
		for _, device := range all {
			if device.Capture == (p.name == "capture") {
				d.rows = append(d.rows, deviceRow{p.name, device})
			}
		}
	}
	same := func(r deviceRow) bool { return r.purpose == at.purpose && r.device.ID == at.device.ID }
	if i := slices.IndexFunc(d.rows, same); i >= 0 {
		d.choice.at = i
	} else if !d.loaded {
		d.choice.at = max(0, slices.IndexFunc(d.rows, d.chosen))
	}
	d.choice.at = min(d.choice.at, len(d.rows)-1)
	d.loaded = true
}

// defaultDevice is the choice that follows the system.
const defaultDevice = "default"

// chosen reports whether a row is what is selected.
func (d *devices) chosen(r deviceRow) bool {
	is := func(name string) bool {
		if name == "" {
			name = defaultDevice
		}
		return name == r.device.ID || name == r.device.Name
	}
	switch r.purpose {
	case "capture":
		return is(d.selected.Capture)
	case "playback":
		return is(d.selected.Playback)
	}
	if d.selected.Ringers == nil { // they ring where the calls are
		return is(d.selected.Playback)
	}
	return slices.ContainsFunc(d.selected.Ringers, is)
}

func (m *model) askLevels(d *devices) tea.Cmd {
	return func() tea.Msg {
		if !m.sleep(m.ctx, levelsEvery) {
			return nil
		}
		msg := levelsMsg{of: d, levels: m.sound.Levels(), processing: m.sound.Processing()}
		select {
		case <-d.changed:
			msg.changed = true
		default:
		}
		return msg
	}
}

// onLevels also notices that the chooser is closed, in whatever way that was done.
func (m *model) onLevels(msg levelsMsg) tea.Cmd {
	d := msg.of
	if m.overlay != d {
		d.stop()
		return nil
	}
	d.levels, d.processing = msg.levels, msg.processing
	if msg.changed {
		return tea.Batch(m.askLevels(d), m.askDevices(d))
	}
	return m.askLevels(d)
}

func (d *devices) prompt() (string, *editor) { return "[audio] ", &d.line }
func (d *devices) edited(*model)             { d.line.clear() }
func (d *devices) hint() string {
	return " Up/Down  Enter choose  Tab next part  t test tone  Esc close"
}

func (d *devices) scroll(rows int) {
	d.choice.at = max(0, min(d.choice.at+rows, len(d.rows)-1))
}

func (d *devices) key(m *model, name string) (tea.Cmd, bool) {
	if d.choice.key(name, len(d.rows)) {
		return nil, true
	}
	switch name {
	case "k", "j":
		d.choice.key(map[string]string{"k": "up", "j": "down"}[name], len(d.rows))
	case "tab":
		d.nextPart()
	case "enter", "space":
		return d.choose(m, d.choice.at), true
	case "t":
		return d.test(m), true
	case soundStages[0].key, soundStages[1].key, soundStages[2].key:
		return d.toggle(m, slices.IndexFunc(soundStages, func(s soundStage) bool { return s.key == name })), true
	case "esc", "ctrl+c", "q":
		d.stop()
		m.overlay = nil
	}
	return nil, true
}

// nextPart goes to the first device for the next purpose.
func (d *devices) nextPart() {
	if len(d.rows) == 0 {
		return
	}
	purpose := d.rows[d.choice.at].purpose
	for i := range d.rows {
		at := (d.choice.at + i) % len(d.rows)
		if d.rows[at].purpose != purpose {
			d.choice.at = at
			return
		}
	}
}

// choose selects a device; of the ringers each is switched on or off.
func (d *devices) choose(m *model, at int) tea.Cmd {
	if at < 0 || at >= len(d.rows) {
		return nil
	}
	d.choice.at = at
	r := d.rows[at]
	params := map[string]any{r.purpose: r.device.ID}
	if r.purpose == "ringers" {
		ringers := []string{}
		for _, o := range d.rows {
			if o.purpose == "ringers" && d.chosen(o) != (o.device.ID == r.device.ID) {
				ringers = append(ringers, o.device.ID)
			}
		}
		params["ringers"] = ringers
	}
	return func() tea.Msg {
		if _, err := m.commands.Call(m.ctx, "audio.select", params); err != nil {
			return devicesMsg{of: d, err: err}
		}
		return m.askDevices(d)()
	}
}

// test plays a tone on the highlighted speaker, on that of the calls if it is a microphone.
func (d *devices) test(m *model) tea.Cmd {
	params := map[string]any{}
	if d.choice.at < len(d.rows) && d.rows[d.choice.at].purpose != "capture" {
		params["playback"] = d.rows[d.choice.at].device.ID
	}
	m.message = "a test tone is played"
	return func() tea.Msg {
		if _, err := m.commands.Call(m.ctx, "audio.test", params); err != nil {
			return devicesMsg{of: d, err: err}
		}
		return nil
	}
}

func (d *devices) click(m *model, x, row int) tea.Cmd {
	if row == d.stagesRow && row > 0 {
		i := slices.IndexFunc(d.stagesAt, func(end int) bool { return x < end })
		return d.toggle(m, i)
	}
	if row < 0 || row >= len(d.rowsAt) || d.rowsAt[row] < 0 {
		return nil
	}
	return d.choose(m, d.rowsAt[row])
}
