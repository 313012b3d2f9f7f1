// Package toast decides what is shown to a person who was not looking, for how long, and what a click on it means.
//
// An instant message that forks to all of a user's devices is offered on each of them before any of them has accepted
// it. The offer is a toast: who, the text the INVITE carried, and a countdown to the moment at which one device accepts
// by itself. The Queue holds the offers. It is pure: time is an argument, and nothing here reads a clock, draws or
// writes. Three rules make it bearable to live with:
//
//   - A toast never takes the keyboard. It says which key would accept it; whether that key was pressed is the front
//     end's business.
//   - A toast never just disappears. When the offer is over one line says for three seconds what became of it: taken by
//     which device, accepted here and why, or given up by the sender.
//   - The most urgent is on top: a ringing call before a message with a countdown, the earlier deadline before the later.
//
// A Notifier carries a toast to a person who does not see the program at all. Terminals offer the bell and three
// incompatible escape sequences: OSC 9 (iTerm2), OSC 777 (urxvt; also foot, Ghostty and WezTerm) and OSC 99 (kitty). tmux
// and GNU screen swallow them unless they are wrapped. Detect reads from the environment what the terminal understands.
// Whatever came from the network is stripped of control characters once more before it enters a sequence.
package toast
