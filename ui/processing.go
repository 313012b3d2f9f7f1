package ui

import (
	"slices"

	tea "charm.land/bubbletea/v2"

	"offhook/audio/echo"
)

// soundStage is something that is done to the sound of the microphone and can be switched.
type soundStage struct {
	key, word, name string // in the chooser; as it is typed; for people
	param           string // of audio.processing
	of              func(*echo.Config) *bool
}

// soundStages are in the order of the screen.
var soundStages = []soundStage{
	{"e", "echo", "Echo cancel", "echo_cancellation", func(c *echo.Config) *bool { return &c.Echo }},
	{"n", "noise", "Noise cut", "noise_suppression", func(c *echo.Config) *bool { return &c.Noise }},
	{"g", "gain", "Auto gain", "auto_gain", func(c *echo.Config) *bool { return &c.Gain }},
}

// stagesRoom is from which width on the names of the soundStages are written in full.
const stagesRoom = 60

// processingRow is the row of switches.
func (d *devices) processingRow(w int) string {
	text := ""
	d.stagesAt = d.stagesAt[:0]
	for _, s := range soundStages {
		state := "off"
		if *s.of(&d.processing) {
			state = "on"
		}
		if w < stagesRoom {
			text += " " + s.key + " " + s.word + " " + fit("["+state+"]", 5)
		} else {
			text += " " + s.key + " " + s.name + " " + fit("["+state+"]", 7)
		}
		d.stagesAt = append(d.stagesAt, width(text))
	}
	return fit(text, w)
}

// toggle switches a stage of the chooser's.
func (d *devices) toggle(m *model, i int) tea.Cmd {
	if i < 0 {
		return nil
	}
	on := soundStages[i].of(&d.processing)
	*on = !*on
	params := map[string]any{soundStages[i].param: *on}
	m.message = "until the program ends; the configuration says how it begins"
	return func() tea.Msg {
		if _, err := m.commands.Call(m.ctx, "audio.processing", params); err != nil {
			return devicesMsg{of: d, err: err}
		}
		return nil
	}
}

// deviceCommand is /device: the chooser, or one of the switches in it.
func (m *model) deviceCommand(w *window, word, to string) tea.Cmd {
	i := slices.IndexFunc(soundStages, func(s soundStage) bool { return s.word == word })
	if i < 0 {
		return m.openDevices()
	}
	params := map[string]any{}
	if to != "" {
		params[soundStages[i].param] = to == "on"
	}
	return m.call(w, "audio.processing", params)
}
