package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"offhook/session"
)

// hints is what the home window suggests, in lines that fit beside the lists of an 80-column screen.
var hints = []string{
	"You are Alice, signed in here and on LAB-PC. All others",
	"are robots. Carol will write soon: answer, or press F2.",
	"",
	"/msg bob hello",
	"    Bob answers, and you see him type.",
	"/msg carol ring me",
	"    Carol opens a new session to both of your devices.",
	"/call echo",
	"    It says what you say, a second later. F3 hangs up.",
	"/msg bob mary",
	"    A customer calls. F2 answers, F5 parks her.",
	"/broadcast carol",
	"    Carol gets her number and picks her up. Tell nobody,",
	"    and after 45 seconds she is back, on this device.",
	"/msg bob mary hangs up",
	"    Another call has her number: F6 gets you no stranger.",
	"/msg bob park one",
	"    Bob parks a call for you: F6, its number, Enter.",
	"/msg bob help",
	"    More, also about LAB-PC. F1 is this program's help.",
}

const help = "I am a robot. Anybody here understands:\n" +
	"ring me | ring me in 20 - carol opens a new IM session to all your devices\n" +
	"call me | call me in 20 - carol calls: they ring until you answer on one\n" +
	"mary - a customer calls you: F2 answers, F5 parks her\n" +
	"mary hangs up - once you have parked her; somebody else is parked on her number then\n" +
	"park one - bob parks a call for you and tells you its number\n" +
	"lab active | lab idle - your other device LAB-PC is in use, or is not\n" +
	"lab off | lab on - it signs out, or in\n" +
	"lab unplug | lab plug - its network cable\n" +
	"wake dave - dave signs in for two minutes and reads what was stored for him"

// phrase is something bob knows an answer to: the first whose word occurs.
type phrase struct{ word, answer string }

var phrases = []phrase{
	{"hello", "hello! Try \"ring me\" some time, or \"help\"."},
	{"hi", "hi! Ask me for help if you like."},
	{"how are you", "as well as a robot on loopback can be. And you?"},
	{"thanks", "you are welcome"},
	{"thank you", "you are welcome"},
	{"time", ""}, // answered with the clock
	{"name", "I am bob, a robot in your own machine. Your messages to me are real SIP over 127.0.0.1."},
	{"bye", "bye! My endpoint stays signed in, as robots do."},
}

// chat is bob: he has an answer to most things.
func chat(_ context.Context, _ *robot, m session.Message) string {
	text := strings.ToLower(m.Text)
	for _, p := range phrases {
		switch {
		case !hasWord(text, p.word):
		case p.word == "time":
			return "my clock says " + time.Now().Format("15:04:05")
		default:
			return p.answer
		}
	}
	switch {
	case strings.HasSuffix(strings.TrimSpace(text), "?"):
		return "good question. I only know what \"help\" lists."
	case len(m.Text) > 200:
		return fmt.Sprintf("that is long: %d bytes arrived, none missing I hope", len(m.Text))
	default:
		return "you said: " + m.Text
	}
}

// parrotTalk is echo: what it is told comes back, as in calls.
func parrotTalk(_ context.Context, _ *robot, m session.Message) string { return m.Text }

// hasWord reports whether the phrase stands in text as whole words.
func hasWord(text, phrase string) bool {
	letters := strings.FieldsFunc(text, func(r rune) bool { return !('a' <= r && r <= 'z' || '0' <= r && r <= '9') })
	return strings.Contains(" "+strings.Join(letters, " ")+" ", " "+phrase+" ")
}

// command carries out what every robot understands and returns the answer, or "" if it is none of these.
func (d *Demo) command(ctx context.Context, text string) string {
	words := strings.Fields(strings.ToLower(strings.Trim(text, " .!")))
	switch {
	case len(words) == 0:
		return ""
	case words[0] == "help":
		return help
	case slices.Contains(parkWords, strings.Join(words, " ")):
		return d.parkCommand(ctx, strings.Join(words, " "))
	case words[0] == "lab" && len(words) == 2:
		return d.labCommand(ctx, words[1])
	case len(words) == 2 && words[0] == "wake" && words[1] == "dave":
		return d.wakeDave(ctx)
	case (words[0] == "ring" || words[0] == "call") && len(words) > 1 && words[1] == "me":
		return d.ringCommand(ctx, words[0] == "call", words[2:])
	}
	return ""
}

func (d *Demo) labCommand(ctx context.Context, what string) string {
	switch what {
	case "active":
		d.lab.active()
		return "LAB-PC: somebody types on it now, and goes on until \"lab idle\". It is your most active device unless you type, too."
	case "idle":
		d.lab.idle()
		return "LAB-PC: nobody is there any more."
	case "off":
		d.lab.off(ctx)
		return "LAB-PC has signed out: you have one device, and messages are accepted at once."
	case "on":
		if err := d.lab.on(ctx, context.WithoutCancel(ctx)); err != nil {
			return "LAB-PC could not sign in: " + err.Error()
		}
		return "LAB-PC has signed in."
	case "unplug":
		d.lab.cable.cut(true)
		return "LAB-PC has lost its network. The server does not know; it will be offered messages and not answer."
	case "plug":
		d.lab.cable.cut(false)
		return "LAB-PC has its network again."
	}
	return "LAB-PC can be active, idle, off, on, unplug or plug."
}
