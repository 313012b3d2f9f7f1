package config

import "time"

// Config is the settings of one profile. The tags are: toml, the key; doc, what it means; default, as it would be
// written; values, the accepted words; example, for the commented file.
type Config struct {
	Account  Account  `toml:"account" doc:"Who you are and where you sign in."`
	TLS      TLS      `toml:"tls" doc:"Whom to trust on encrypted connections."`
	IM       IM       `toml:"im" doc:"Instant messages."`
	Audio    Audio    `toml:"audio" doc:"Calls: devices, codecs, encryption and recordings. \"offhook devices\" lists the devices."`
	Park     Park     `toml:"park" doc:"Call park: putting a call aside at a number, an orbit, where anybody can pick it up."`
	Presence Presence `toml:"presence" doc:"What others, and your own other devices, learn of this device."`
	UI       UI       `toml:"ui" doc:"The terminal UI."`
	Log      Log      `toml:"log" doc:"The log; it never goes to the terminal."`

	// Path is the file this was read from, "" for none.
	Path string `toml:"-"`
}

// Account is the SIP account.
type Account struct {
	AOR             string `toml:"aor" doc:"Address of record." example:"sip:alice@example.org"`
	DisplayName     string `toml:"display_name" doc:"The name others see." example:"Alice"`
	User            string `toml:"user" doc:"Name for authentication, if it is not the user of aor." example:"alice"`
	PasswordCommand string `toml:"password_command" doc:"Shell command that prints the password." example:"pass show sip/alice"`
	PasswordFile    string `toml:"password_file" doc:"File with the password in its first line; nobody but you may be able to read it (chmod 600)." example:"~/.config/offhook/password"`
	Keyring         bool   `toml:"keyring" doc:"Take the password from the desktop's keyring: service offhook, user name the aor." default:"false"`
	Server          string `toml:"server" doc:"Registrar and outbound proxy; transport udp, tcp or tls. Without it the domain of aor is looked up in DNS." example:"sip:sip.example.org;transport=tls"`
	Listen          string `toml:"listen" doc:"Local address for SIP, host:port; port 0 picks one." example:"192.0.2.7:5060"`
	Register        bool   `toml:"register" doc:"Sign in at the registrar. Without it calls and messages go by address alone." default:"true"`
	Instance        string `toml:"instance" doc:"Id of this endpoint, urn:uuid:…; without it one is made and kept in the state directory." example:"urn:uuid:00000000-0000-4000-8000-00000000c0de"`
	DeviceName      string `toml:"device_name" doc:"What your other devices call this one; without it the host's name." example:"LAPTOP"`
}

// TLS settings.
type TLS struct {
	CAFiles []string `toml:"ca_files" doc:"PEM files with certificates that are trusted besides those of the system." example:"[\"/etc/ssl/company-ca.pem\"]"`
}

// IM settings.
type IM struct {
	ToastTimeout Duration `toml:"toast_timeout" doc:"How long a message that is offered to several of your devices waits for a click before the most active one accepts it." default:"\"10s\""`
}

// Audio settings.
type Audio struct {
	Capture      string   `toml:"capture" doc:"The microphone: default, a device's id or an unambiguous part of its name, silence, tone:HZ, or file:PATH.wav with ,loop appended to repeat it." default:"\"default\""`
	Playback     string   `toml:"playback" doc:"The speaker: default, a device's id or an unambiguous part of its name, discard, or file:PATH.wav to write what is heard." default:"\"default\""`
	Ringers      []string `toml:"ringers" doc:"The speakers that ring, named like playback; without it the speaker of the calls, \"discard\" for none." example:"[\"USB headset\", \"default\"]"`
	RingTone     string   `toml:"ring_tone" doc:"WAV file that is played when somebody calls; without it a ringing tone is made." example:"~/sounds/ring.wav"`
	Echo         bool     `toml:"echo_cancellation" doc:"Take the sound of the speaker out of the microphone's." default:"true"`
	Noise        bool     `toml:"noise_suppression" doc:"Take steady noise out of the microphone's sound." default:"true"`
	Gain         bool     `toml:"auto_gain" doc:"Bring the microphone to an even level." default:"true"`
	Limiter      bool     `toml:"limiter" doc:"Keep what is too loud from clipping." default:"true"`
	Codecs       []string `toml:"codecs" doc:"The codecs to offer and accept, best first." default:"[\"opus\", \"g722\", \"pcmu\", \"pcma\"]" values:"opus g722 pcmu pcma"`
	SRTP         string   `toml:"srtp" doc:"Whether media are encrypted: never, where the other side can, or always; a call that would not be is then refused." default:"\"opportunistic\"" values:"off opportunistic required"`
	MediaListen  string   `toml:"media_listen" doc:"Local address for RTP, host:port or host:first-last for a range of ports; port 0 picks any. Without it the address that SIP uses." example:"192.0.2.7:16384-16583"`
	Answer       string   `toml:"answer" doc:"Whether a call waits for you or is answered at once." default:"\"manual\"" values:"manual auto"`
	RecordingDir string   `toml:"recordings" doc:"Directory for recordings; without it recordings in the state directory." example:"~/recordings"`
}

// Park settings.
type Park struct {
	Server      string `toml:"server" doc:"The park service; without it park at the domain of aor, which is asked whether it is there. \"off\" for none." example:"sip:park@example.org"`
	Strategy    string `toml:"strategy" doc:"How to park: what RFC 5359 describes and \"offhook server\" speaks, the parking of Asterisk, or an attended transfer to a plain service. auto finds out." default:"\"auto\"" values:"auto rfc5359 asterisk attended"`
	Extension   string `toml:"extension" doc:"With asterisk or attended: what to call to park; {token} is filled in with a secret where the dial plan keeps one. Without it the user of server; 700 with asterisk." example:"park*{token}"`
	SlotURI     string `toml:"slot_uri" doc:"With asterisk: what to call to park at an orbit that is chosen here; {orbit} and {token} are filled in." example:"park-{orbit}*{token}"`
	RetrieveURI string `toml:"retrieve_uri" doc:"With asterisk or attended: what to call to take a call back; {orbit} and {token} are filled in. With {token} no other call can be got. Without it the number of the orbit is called." example:"get-{orbit}*{token}"`
	Orbits      string `toml:"orbits" doc:"The orbits, where the service does not tell them itself; their state is watched." example:"701-720"`
}

// Presence settings.
type Presence struct {
	Publish  bool `toml:"publish" doc:"Publish whether this device is in use, and take part in choosing the most active one." default:"true"`
	HideIdle bool `toml:"hide_idle" doc:"Do not publish since when this device is idle." default:"false"`
}

// UI settings.
type UI struct {
	Mouse         bool   `toml:"mouse" doc:"Use the mouse; hold Shift to select text." default:"true"`
	Notifications string `toml:"notifications" doc:"How to draw attention while the terminal is not in front." default:"\"auto\"" values:"auto none bell osc9 osc777 osc99"`
}

// Log settings.
type Log struct {
	File  string `toml:"file" doc:"Where the log is written; without it offhook.log in the state directory." example:"~/offhook.log"`
	Level string `toml:"level" doc:"The least severe entries that are written." default:"\"info\"" values:"debug info warn error"`
}

// Duration is a time.Duration that is written as text: "10s".
type Duration struct {
	time.Duration
	bad string // text that is no duration, for the message that names its line
}

// UnmarshalText reads "1m30s".
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		d.bad = string(text)
	}
	d.Duration = v
	return nil
}

// MarshalText writes it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// Default is a configuration with every default and no account.
func Default() Config {
	return Config{
		Account: Account{Register: true},
		IM:      IM{ToastTimeout: Duration{Duration: 10 * time.Second}},
		Audio: Audio{
			Capture: "default", Playback: "default", Echo: true, Noise: true, Gain: true, Limiter: true,
			Codecs: []string{"opus", "g722", "pcmu", "pcma"}, SRTP: "opportunistic", Answer: "manual",
		},
		Park:     Park{Strategy: "auto"},
		Presence: Presence{Publish: true},
		UI:       UI{Mouse: true, Notifications: "auto"},
		Log:      Log{Level: "info"},
	}
}
