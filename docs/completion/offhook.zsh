#compdef offhook
# Generated from the definitions of the command line by 'make docs'.

_offhook_demo() {
	_arguments \
		'--help[Show context-sensitive help.]' \
		'--config=[Configuration file.]:FILE:_files' \
		'--profile=[Profile\: its own settings, state, history and control socket.]:NAME:' \
		'--state-dir=[Directory for history, instance id and control socket.]:DIR:_files -/' \
		'--log=[Log file; the log never goes to the terminal.]:FILE:_files' \
		'--log-level=[Least severe log entries\: debug, info, warn or error.]:LEVEL:(debug info warn error)' \
		'--sip-trace=[Write every SIP message to FILE, without credentials.]:FILE:_files'
}

_offhook_server() {
	_arguments \
		'--listen=[Address for UDP and TCP; port 0 picks one.]:HOST\:PORT:' \
		'--tls-listen=[Address for TLS; needs --tls-cert and --tls-key.]:HOST\:PORT:' \
		'--tls-cert=[PEM file with the server'\''s certificate.]:FILE:_files' \
		'--tls-key=[PEM file with the certificate'\''s key.]:FILE:_files' \
		'--domain=[The domain it serves; by default the host it listens on.]:DOMAIN:' \
		'--users=[File with the users.]:FILE:_files' \
		'--open[Anybody on loopback may register; refused on other addresses.]' \
		'--no-park[No call park.]' \
		'--orbits=[The numbers of call park, 701-720 by default.]:FIRST-LAST:' \
		'--park-timeout=[How long a call is parked before it rings back at who parked it\: 10s to 10m, 90s by default.]:DURATION:' \
		'--ring-for=[How long it rings back, 30s by default.]:DURATION:' \
		'--ringback-attempts=[How often it rings back, 2 by default.]:N:' \
		'--fallback=[User who has the call when nobody wanted it; without one the caller is told and hung up on.]:URI:' \
		'--quarantine=[How long a number rests before another call is parked on it, 30s by default; 0s for not at all.]:DURATION:' \
		'--moh=[Music on hold, a WAV file of at most five minutes; without one the program makes some.]:FILE:_files' \
		'--help[Show context-sensitive help.]' \
		'--config=[Configuration file.]:FILE:_files' \
		'--profile=[Profile\: its own settings, state, history and control socket.]:NAME:' \
		'--state-dir=[Directory for history, instance id and control socket.]:DIR:_files -/' \
		'--log=[Log file; the log never goes to the terminal.]:FILE:_files' \
		'--log-level=[Least severe log entries\: debug, info, warn or error.]:LEVEL:(debug info warn error)' \
		'--sip-trace=[Write every SIP message to FILE, without credentials.]:FILE:_files'
}

_offhook_headless() {
	_arguments \
		'--aor=[Address of record\: sip\:alice@example.org.]:URI:' \
		'--password-command=[Shell command that prints the password.]:CMD:' \
		'--password-file=[File with the password; only you may be able to read it.]:FILE:_files' \
		'--server=[Outbound proxy and registrar\: sip\:127.0.0.1\:5060;transport=udp (or tcp, tls).]:URI:' \
		'--listen=[Local address for SIP; port 0 picks one.]:HOST\:PORT:' \
		'--instance=[This endpoint'\''s instance id, urn\:uuid\:…; by default kept in the state directory.]:URN:' \
		'--device-name=[What the user'\''s other devices call this one.]:NAME:' \
		'--no-register[Place and accept calls without a registrar.]' \
		'--no-publish[Do not publish or use device state.]' \
		'--toast-timeout=[Accept window of a forked message.]:10s:' \
		'--mic=[What is sent\: device, silence, tone\:HZ, file\:PATH.wav (,loop appended repeats it), or a device'\''s name.]:DEVICE:' \
		'--speaker=[Where received audio goes\: device, discard, file\:PATH.wav, or a device'\''s name.]:DEVICE:' \
		'--media-listen=[Local address for RTP; port 0 picks one, FIRST-LAST is a range.]:HOST\:PORT:' \
		'--answer=[Audio calls wait (manual) or are answered at once (auto).]:HOW:(manual auto)' \
		'--codecs=[Codecs to offer and accept, best first\: opus,g722,pcmu,pcma.]:LIST,...:' \
		'--park-server=[Park service\: sip\:park@example.org, which is the default for that domain, or off.]:URI:' \
		'--park-strategy=[How to park\: rfc5359, asterisk or attended; auto finds out.]:HOW:(auto rfc5359 asterisk attended)' \
		'--srtp=[Encryption of media\: off, opportunistic or required.]:HOW:(off opportunistic required)' \
		'--help[Show context-sensitive help.]' \
		'--config=[Configuration file.]:FILE:_files' \
		'--profile=[Profile\: its own settings, state, history and control socket.]:NAME:' \
		'--state-dir=[Directory for history, instance id and control socket.]:DIR:_files -/' \
		'--log=[Log file; the log never goes to the terminal.]:FILE:_files' \
		'--log-level=[Least severe log entries\: debug, info, warn or error.]:LEVEL:(debug info warn error)' \
		'--sip-trace=[Write every SIP message to FILE, without credentials.]:FILE:_files'
}

_offhook_ctl() {
	_arguments \
		'--follow[Print events, one JSON object a line, until interrupted.]' \
		'--help[Show context-sensitive help.]' \
		'--config=[Configuration file.]:FILE:_files' \
		'--profile=[Profile\: its own settings, state, history and control socket.]:NAME:' \
		'--state-dir=[Directory for history, instance id and control socket.]:DIR:_files -/' \
		'--log=[Log file; the log never goes to the terminal.]:FILE:_files' \
		'--log-level=[Least severe log entries\: debug, info, warn or error.]:LEVEL:(debug info warn error)' \
		'--sip-trace=[Write every SIP message to FILE, without credentials.]:FILE:_files' \
		'1:method:(im.send im.compose conversation.list conversation.end conversation.can call.dial call.answer call.decline call.forward call.transfer call.hangup call.hold call.resume call.mute call.unmute call.dtmf call.conference call.leave call.stats call.record park.park park.retrieve park.list park.broadcast park.history park.service park.note audio.devices audio.select audio.processing audio.levels audio.test toast.list toast.accept toast.decline toast.dismiss presence.set presence.input presence.get presence.watch presence.unwatch contacts.list contacts.add contacts.remove contacts.import history.list history.search status quit)' \
		'*:parameter:'
}

_offhook_devices() {
	_arguments \
		'--json[One JSON array.]' \
		'--help[Show context-sensitive help.]' \
		'--config=[Configuration file.]:FILE:_files' \
		'--profile=[Profile\: its own settings, state, history and control socket.]:NAME:' \
		'--state-dir=[Directory for history, instance id and control socket.]:DIR:_files -/' \
		'--log=[Log file; the log never goes to the terminal.]:FILE:_files' \
		'--log-level=[Least severe log entries\: debug, info, warn or error.]:LEVEL:(debug info warn error)' \
		'--sip-trace=[Write every SIP message to FILE, without credentials.]:FILE:_files'
}

_offhook_config_check() {
	_arguments \
		'--help[Show context-sensitive help.]' \
		'--config=[Configuration file.]:FILE:_files' \
		'--profile=[Profile\: its own settings, state, history and control socket.]:NAME:' \
		'--state-dir=[Directory for history, instance id and control socket.]:DIR:_files -/' \
		'--log=[Log file; the log never goes to the terminal.]:FILE:_files' \
		'--log-level=[Least severe log entries\: debug, info, warn or error.]:LEVEL:(debug info warn error)' \
		'--sip-trace=[Write every SIP message to FILE, without credentials.]:FILE:_files' \
		'1:file:_files'
}

_offhook_config_init() {
	_arguments \
		'--help[Show context-sensitive help.]' \
		'--config=[Configuration file.]:FILE:_files' \
		'--profile=[Profile\: its own settings, state, history and control socket.]:NAME:' \
		'--state-dir=[Directory for history, instance id and control socket.]:DIR:_files -/' \
		'--log=[Log file; the log never goes to the terminal.]:FILE:_files' \
		'--log-level=[Least severe log entries\: debug, info, warn or error.]:LEVEL:(debug info warn error)' \
		'--sip-trace=[Write every SIP message to FILE, without credentials.]:FILE:_files'
}

_offhook_version() {
	_arguments \
		'--help[Show context-sensitive help.]' \
		'--config=[Configuration file.]:FILE:_files' \
		'--profile=[Profile\: its own settings, state, history and control socket.]:NAME:' \
		'--state-dir=[Directory for history, instance id and control socket.]:DIR:_files -/' \
		'--log=[Log file; the log never goes to the terminal.]:FILE:_files' \
		'--log-level=[Least severe log entries\: debug, info, warn or error.]:LEVEL:(debug info warn error)' \
		'--sip-trace=[Write every SIP message to FILE, without credentials.]:FILE:_files'
}

_offhook_config() {
	local state line
	_arguments -C \
		'--help[Show context-sensitive help.]' \
		'--config=[Configuration file.]:FILE:_files' \
		'--profile=[Profile\: its own settings, state, history and control socket.]:NAME:' \
		'--state-dir=[Directory for history, instance id and control socket.]:DIR:_files -/' \
		'--log=[Log file; the log never goes to the terminal.]:FILE:_files' \
		'--log-level=[Least severe log entries\: debug, info, warn or error.]:LEVEL:(debug info warn error)' \
		'--sip-trace=[Write every SIP message to FILE, without credentials.]:FILE:_files' \
		'1: :->command' '*:: :->rest'
	case $state in
	command)
		local -a commands=(
			'check:Validate a configuration\: file, line, what is wrong, what is accepted.'
			'init:Write a commented configuration where it belongs, never over an existing one.'
		)
		_describe command commands ;;
	rest)
		case $line[1] in
		check) _offhook_config_check ;;
		init) _offhook_config_init ;;
		esac ;;
	esac
}

_offhook() {
	local state line
	_arguments -C \
		'--help[Show context-sensitive help.]' \
		'--config=[Configuration file.]:FILE:_files' \
		'--profile=[Profile\: its own settings, state, history and control socket.]:NAME:' \
		'--state-dir=[Directory for history, instance id and control socket.]:DIR:_files -/' \
		'--log=[Log file; the log never goes to the terminal.]:FILE:_files' \
		'--log-level=[Least severe log entries\: debug, info, warn or error.]:LEVEL:(debug info warn error)' \
		'--sip-trace=[Write every SIP message to FILE, without credentials.]:FILE:_files' \
		'1: :->command' '*:: :->rest'
	case $state in
	command)
		local -a commands=(
			'demo:The UI with everything it needs on loopback\: a server, and robots to talk to.'
			'server:The embedded server alone\: registrar, forking proxy, presence, stored messages.'
			'headless:One endpoint without a UI\: JSON-RPC 2.0, one object a line, on stdin and stdout.'
			'ctl:Call a running instance over its control socket.'
			'devices:The audio devices, one a line.'
			'config:Check the configuration, or write a first one.'
			'version:Version, Go version, codecs and audio backends compiled in.'
		)
		_describe command commands ;;
	rest)
		case $line[1] in
		demo) _offhook_demo ;;
		server) _offhook_server ;;
		headless) _offhook_headless ;;
		ctl) _offhook_ctl ;;
		devices) _offhook_devices ;;
		config) _offhook_config ;;
		version) _offhook_version ;;
		esac ;;
	esac
}

_offhook "$@"
