package session

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/plaintext"
)

// Direction of a call or message.
type Direction string

// Directions.
const (
	Inbound  Direction = "inbound"
	Outbound Direction = "outbound"
)

// Status of a message.
type Status string

// Message statuses. An inbound message is delivered.
const (
	Sending   Status = "sending"
	Sent      Status = "sent" // stored by the network for later (202)
	Delivered Status = "delivered"
	Displayed Status = "displayed"
	Failed    Status = "failed"
)

// Message is one instant message of a conversation.
type Message struct {
	Conversation string    `json:"conversation"`
	ID           string    `json:"message"` // Message-ID: the same for every transport and endpoint
	Direction    Direction `json:"direction"`
	Peer         Party     `json:"peer"` // the other party of the conversation
	From         Party     `json:"from"`
	Text         string    `json:"text"` // cleaned: safe for a terminal
	ContentType  string    `json:"content_type"`
	Status       Status    `json:"status"`
	Time         time.Time `json:"time"`
	Call         string    `json:"call,omitempty"`
	Toast        bool      `json:"toast,omitempty"`     // carried by an INVITE
	Partial      bool      `json:"partial,omitempty"`   // the beginning of a long text, which follows under the same id
	Waiting      bool      `json:"waiting,omitempty"`   // sending: it goes out when there is a connection to the server
	Missed       bool      `json:"missed,omitempty"`    // arrived and nobody opened it here
	Elsewhere    bool      `json:"elsewhere,omitempty"` // answered on another device
	Error        string    `json:"error,omitempty"`     // with failed
}

// Headers of our own and of OCS, whose names are not registered. Everybody else ignores them.
const (
	headerMessageID      = "Message-ID"
	headerConversationID = "Ms-Conversation-ID"
	headerTextFormat     = "Ms-Text-Format"
	headerIMFormat       = "Ms-IM-Format"
)

// tagTextFormat in the Supported header of a 2xx says that the INVITE's toast text was taken whole: it is not sent again.
const tagTextFormat = "ms-text-format"

// previewSuffix marks the Message-ID of a text that is the beginning of a longer one. The whole text follows under the id
// without it and takes the place of the beginning. A receiver that knows nothing of this sees two messages.
const previewSuffix = ".preview"

const (
	maxText      = 60 << 10 // bytes of a message, so that with its headers it stays under the 64 KiB of a SIP message
	maxToast     = 4 << 10  // bytes of a toast that are shown
	maxToastSent = 800      // bytes of a toast that is sent: the INVITE shall fit a datagram
	previewRunes = 300      // characters of a longer text that the toast carries
	maxMessageID = 128
	maxName      = 64
)

// newMessageID is unguessable, so that nobody can make a message look known by sending its id first.
func newMessageID() string { return rand.Text() }

// messageIDOf is the Message-ID of a request. Where the sender gives none it is made of what identifies the request.
func messageIDOf(req *sip.Request) string {
	if h := req.GetHeader(headerMessageID); h != nil {
		if id := plaintext.Line(h.Value(), maxMessageID); id != "" {
			return id
		}
	}
	hash := sha256.New()
	if id := req.CallID(); id != nil {
		hash.Write([]byte(id.Value()))
	}
	if seq := req.CSeq(); seq != nil {
		hash.Write([]byte("\n" + strconv.Itoa(int(seq.SeqNo)) + "\n"))
	}
	hash.Write(req.Body())
	return hex.EncodeToString(hash.Sum(nil)[:16])
}

// sentAt is when a message was written: its Date, if it was stored on its way, and now otherwise.
func sentAt(req *sip.Request, now time.Time) time.Time {
	h := req.GetHeader("Date")
	if h == nil {
		return now
	}
	at, err := time.Parse(time.RFC1123, h.Value()) // RFC 3261 §20.17
	if err != nil || at.After(now) || now.Sub(at) < 2*time.Second {
		return now // a Date has seconds only, and clocks differ
	}
	return at
}
