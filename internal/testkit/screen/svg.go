package screen

import (
	"encoding/xml"
	"fmt"
	"image/color"
	"strings"

	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"
)

// Measures of the picture, in pixels: a cell, the frame and the bar above the screen.
const (
	cellWidth  = 8.43
	cellHeight = 18.0
	margin     = 12.0
	titleBar   = 30.0
	fontSize   = 14
)

// Colours of the picture where the program uses the terminal's own: a dark theme whose sixteen colours all have enough
// contrast on its background to be read.
const (
	background = "#16181d"
	foreground = "#d5d8df"
)

var palette = [16]string{
	"#2b2f38", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#d5d8df",
	"#7f8694", "#ef8a92", "#b5d99c", "#f0d399", "#8cc6f5", "#d9a0ea", "#82cdd6", "#ffffff",
}

// FromANSI shows a captured screen, e.g. of `tmux capture-pane -e -p`, on a terminal of that size.
func FromANSI(capture string, columns, rows int) *Terminal {
	t := New(columns, rows)
	_, _ = t.Write([]byte("\x1b[?7l" + strings.TrimSuffix(capture, "\n"))) // long lines are cut, not wrapped
	return t
}

// SVG draws the screen with a title bar.
func (t *Terminal) SVG(title string) []byte {
	t.cells.RLock()
	defer t.cells.RUnlock()
	columns, rows := t.emulator.Width(), t.emulator.Height()
	width := float64(columns)*cellWidth + 2*margin
	height := float64(rows)*cellHeight + titleBar + margin
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.1f %.1f" width="%.0f" role="img">`+"\n", width, height, width)
	fmt.Fprintf(&b, "<title>%s</title>\n", escape(title))
	fmt.Fprintf(&b, `<rect width="%.1f" height="%.1f" rx="8" fill="%s"/>`+"\n", width, height, background)
	fmt.Fprintf(&b, `<g fill="%s"><circle cx="18" cy="15" r="5"/><circle cx="36" cy="15" r="5"/><circle cx="54" cy="15" r="5"/></g>`+"\n", palette[8])
	fmt.Fprintf(&b, `<g font-family="ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace" font-size="%d" fill="%s" xml:space="preserve">`+"\n", fontSize, foreground)
	fmt.Fprintf(&b, `<text x="%.1f" y="20" text-anchor="middle" fill="%s">%s</text>`+"\n", width/2, palette[8], escape(title))
	for y := range rows {
		for _, r := range t.runs(y, columns) {
			r.draw(&b, y)
		}
	}
	b.WriteString("</g>\n</svg>\n")
	return []byte(b.String())
}

// run is a stretch of cells with one style.
type run struct {
	at, width int
	text      string
	style     uv.Style
}

func (t *Terminal) runs(y, columns int) []run {
	var all []run
	for x := 0; x < columns; {
		c := t.emulator.CellAt(x, y)
		if c == nil {
			c = &uv.EmptyCell
		}
		width, content := max(1, c.Width), c.Content
		if content == "" {
			content = " "
		}
		if n := len(all); n > 0 && all[n-1].style.Equal(&c.Style) {
			all[n-1].text += content
			all[n-1].width += width
		} else {
			all = append(all, run{x, width, content, c.Style})
		}
		x += width
	}
	return all
}

func (r run) draw(b *strings.Builder, y int) {
	fg, bg := hex(r.style.Fg, foreground), hex(r.style.Bg, "")
	if r.style.Attrs&uv.AttrReverse != 0 {
		if bg == "" {
			bg = background
		}
		fg, bg = bg, fg
	}
	left, top := margin+float64(r.at)*cellWidth, titleBar+float64(y)*cellHeight
	if bg != "" {
		fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`+"\n", left, top, float64(r.width)*cellWidth, cellHeight, bg)
	}
	text := strings.TrimRight(r.text, " ")
	lead := len(text) - len(strings.TrimLeft(text, " "))
	text = text[lead:]
	if text == "" {
		return
	}
	cells := ansi.StringWidth(text)
	attrs := fmt.Sprintf(`x="%.1f" y="%.1f" textLength="%.1f"`, left+float64(lead)*cellWidth, top+cellHeight-5, float64(cells)*cellWidth)
	if fg != foreground {
		attrs += fmt.Sprintf(` fill="%s"`, fg)
	}
	if r.style.Attrs&uv.AttrBold != 0 {
		attrs += ` font-weight="bold"`
	}
	if r.style.Attrs&uv.AttrItalic != 0 {
		attrs += ` font-style="italic"`
	}
	if r.style.Attrs&uv.AttrFaint != 0 {
		attrs += ` opacity="0.6"`
	}
	if r.style.Underline != uv.UnderlineNone {
		attrs += ` text-decoration="underline"`
	}
	fmt.Fprintf(b, "<text %s>%s</text>\n", attrs, escape(text))
}

// hex is a colour as SVG names it; the terminal's own colours come from the palette.
func hex(c color.Color, otherwise string) string {
	switch c := c.(type) {
	case nil:
		return otherwise
	case ansi.BasicColor:
		return palette[c&15]
	case ansi.IndexedColor:
		if c < 16 {
			return palette[c]
		}
	}
	r, g, b, _ := c.RGBA()
	return fmt.Sprintf("#%02x%02x%02x", r>>8, g>>8, b>>8)
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a strings.Builder does not fail
	return b.String()
}
