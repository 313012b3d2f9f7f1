# Generated from the definitions of the command line by 'make docs'.
complete -c offhook -f
complete -c offhook -l help -d 'Show context-sensitive help.'
complete -c offhook -l config -d 'Configuration file.' -r -F
complete -c offhook -l profile -d 'Profile: its own settings, state, history and control socket.' -x
complete -c offhook -l state-dir -d 'Directory for history, instance id and control socket.' -r -F
complete -c offhook -l log -d 'Log file; the log never goes to the terminal.' -r -F
complete -c offhook -l log-level -d 'Least severe log entries: debug, info, warn or error.' -x -a 'debug info warn error'
complete -c offhook -l sip-trace -d 'Write every SIP message to FILE, without credentials.' -r -F
complete -c offhook -n '__fish_use_subcommand' -a demo -d 'The UI with everything it needs on loopback: a server, and robots to talk to.'
complete -c offhook -n '__fish_use_subcommand' -a server -d 'The embedded server alone: registrar, forking proxy, presence, stored messages.'
complete -c offhook -n '__fish_use_subcommand' -a headless -d 'One endpoint without a UI: JSON-RPC 2.0, one object a line, on stdin and stdout.'
complete -c offhook -n '__fish_use_subcommand' -a ctl -d 'Call a running instance over its control socket.'
complete -c offhook -n '__fish_use_subcommand' -a devices -d 'The audio devices, one a line.'
complete -c offhook -n '__fish_use_subcommand' -a config -d 'Check the configuration, or write a first one.'
complete -c offhook -n '__fish_use_subcommand' -a version -d 'Version, Go version, codecs and audio backends compiled in.'
complete -c offhook -n '__fish_seen_subcommand_from config; and not __fish_seen_subcommand_from check init' -a check -d 'Validate a configuration: file, line, what is wrong, what is accepted.'
complete -c offhook -n '__fish_seen_subcommand_from config; and not __fish_seen_subcommand_from check init' -a init -d 'Write a commented configuration where it belongs, never over an existing one.'
complete -c offhook -n '__fish_seen_subcommand_from server' -l listen -d 'Address for UDP and TCP; port 0 picks one.' -x
complete -c offhook -n '__fish_seen_subcommand_from server' -l tls-listen -d 'Address for TLS; needs --tls-cert and --tls-key.' -x
complete -c offhook -n '__fish_seen_subcommand_from server' -l tls-cert -d 'PEM file with the server\'s certificate.' -r -F
complete -c offhook -n '__fish_seen_subcommand_from server' -l tls-key -d 'PEM file with the certificate\'s key.' -r -F
complete -c offhook -n '__fish_seen_subcommand_from server' -l domain -d 'The domain it serves; by default the host it listens on.' -x
complete -c offhook -n '__fish_seen_subcommand_from server' -l users -d 'File with the users.' -r -F
complete -c offhook -n '__fish_seen_subcommand_from server' -l open -d 'Anybody on loopback may register; refused on other addresses.'
complete -c offhook -n '__fish_seen_subcommand_from server' -l no-park -d 'No call park.'
complete -c offhook -n '__fish_seen_subcommand_from server' -l orbits -d 'The numbers of call park, 701-720 by default.' -x
complete -c offhook -n '__fish_seen_subcommand_from server' -l park-timeout -d 'How long a call is parked before it rings back at who parked it: 10s to 10m, 90s by default.' -x
complete -c offhook -n '__fish_seen_subcommand_from server' -l ring-for -d 'How long it rings back, 30s by default.' -x
complete -c offhook -n '__fish_seen_subcommand_from server' -l ringback-attempts -d 'How often it rings back, 2 by default.' -x
complete -c offhook -n '__fish_seen_subcommand_from server' -l fallback -d 'User who has the call when nobody wanted it; without one the caller is told and hung up on.' -x
complete -c offhook -n '__fish_seen_subcommand_from server' -l quarantine -d 'How long a number rests before another call is parked on it, 30s by default; 0s for not at all.' -x
complete -c offhook -n '__fish_seen_subcommand_from server' -l moh -d 'Music on hold, a WAV file of at most five minutes; without one the program makes some.' -r -F
complete -c offhook -n '__fish_seen_subcommand_from headless' -l aor -d 'Address of record: sip:alice@example.org.' -x
complete -c offhook -n '__fish_seen_subcommand_from headless' -l password-command -d 'Shell command that prints the password.' -x
complete -c offhook -n '__fish_seen_subcommand_from headless' -l password-file -d 'File with the password; only you may be able to read it.' -r -F
complete -c offhook -n '__fish_seen_subcommand_from headless' -l server -d 'Outbound proxy and registrar: sip:127.0.0.1:5060;transport=udp (or tcp, tls).' -x
complete -c offhook -n '__fish_seen_subcommand_from headless' -l listen -d 'Local address for SIP; port 0 picks one.' -x
complete -c offhook -n '__fish_seen_subcommand_from headless' -l instance -d 'This endpoint\'s instance id, urn:uuid:…; by default kept in the state directory.' -x
complete -c offhook -n '__fish_seen_subcommand_from headless' -l device-name -d 'What the user\'s other devices call this one.' -x
complete -c offhook -n '__fish_seen_subcommand_from headless' -l no-register -d 'Place and accept calls without a registrar.'
complete -c offhook -n '__fish_seen_subcommand_from headless' -l no-publish -d 'Do not publish or use device state.'
complete -c offhook -n '__fish_seen_subcommand_from headless' -l toast-timeout -d 'Accept window of a forked message.' -x
complete -c offhook -n '__fish_seen_subcommand_from headless' -l mic -d 'What is sent: device, silence, tone:HZ, file:PATH.wav (,loop appended repeats it), or a device\'s name.' -x
complete -c offhook -n '__fish_seen_subcommand_from headless' -l speaker -d 'Where received audio goes: device, discard, file:PATH.wav, or a device\'s name.' -x
complete -c offhook -n '__fish_seen_subcommand_from headless' -l media-listen -d 'Local address for RTP; port 0 picks one, FIRST-LAST is a range.' -x
complete -c offhook -n '__fish_seen_subcommand_from headless' -l answer -d 'Audio calls wait (manual) or are answered at once (auto).' -x -a 'manual auto'
complete -c offhook -n '__fish_seen_subcommand_from headless' -l codecs -d 'Codecs to offer and accept, best first: opus,g722,pcmu,pcma.' -x
complete -c offhook -n '__fish_seen_subcommand_from headless' -l park-server -d 'Park service: sip:park@example.org, which is the default for that domain, or off.' -x
complete -c offhook -n '__fish_seen_subcommand_from headless' -l park-strategy -d 'How to park: rfc5359, asterisk or attended; auto finds out.' -x -a 'auto rfc5359 asterisk attended'
complete -c offhook -n '__fish_seen_subcommand_from headless' -l srtp -d 'Encryption of media: off, opportunistic or required.' -x -a 'off opportunistic required'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -l follow -d 'Print events, one JSON object a line, until interrupted.'
complete -c offhook -n '__fish_seen_subcommand_from devices' -l json -d 'One JSON array.'
complete -c offhook -n '__fish_seen_subcommand_from check' -F
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a im.send -d 'send a message'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a im.compose -d 'tell the peer that you type, or stopped'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a conversation.list -d 'the conversations and their state'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a conversation.end -d 'end a conversation and its calls'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a conversation.can -d 'whether an action is possible now, and if not why'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a call.dial -d 'call somebody'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a call.answer -d 'accept an incoming call here'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a call.decline -d 'refuse an incoming call here; other devices go on'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a call.forward -d 'send an incoming call on to somebody else'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a call.transfer -d 'refer the peer to somebody else, or to the peer of another call, and leave'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a call.hangup -d 'end a call'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a call.hold -d 'put a call on hold'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a call.resume -d 'take a call off hold; the one going on is held'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a call.mute -d 'send silence in place of the microphone'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a call.unmute -d 'send the microphone again'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a call.dtmf -d 'press keys: 0-9 * # A-D, and a comma for a pause of a second'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a call.conference -d 'let everybody in these calls hear each other; without calls in all'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a call.leave -d 'take a call out of its conference and put it on hold'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a call.stats -d 'codec, encryption, loss, jitter, delay, quality and levels of a call'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a call.record -d 'record a call to a WAV file, or stop'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a park.park -d 'park a call: it waits with music, and whoever dials its number has it'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a park.retrieve -d 'pick up a parked call; somebody else than was announced only with anyway'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a park.list -d 'the board: which calls are parked where, by whom and for how long'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a park.broadcast -d 'tell others the number of a parked call'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a park.history -d 'the calls that you have parked, latest first, and what became of them'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a park.service -d 'whether there is a park service, and how it parks'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a park.note -d 'change the note of a call that you have parked'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a audio.devices -d 'microphones and speakers'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a audio.select -d 'choose microphone, speaker and ringers; without parameters tell which they are'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a audio.processing -d 'what is done to the sound of the microphone; what is given is changed, until the program ends'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a audio.levels -d 'levels of microphone and speaker, in dB below full scale'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a audio.test -d 'play a test tone'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a toast.list -d 'what is offered at the moment'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a toast.accept -d 'accept what a toast offers'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a toast.decline -d 'refuse what a toast offers; other devices go on'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a toast.dismiss -d 'close a toast without an answer; the election goes on'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a presence.set -d 'say whether you are available'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a presence.input -d 'report user input on this device'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a presence.get -d 'ask for somebody\'s presence'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a presence.watch -d 'follow somebody\'s presence'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a presence.unwatch -d 'stop to follow somebody\'s presence'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a contacts.list -d 'the contacts with their presence'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a contacts.add -d 'add a contact, or change its name and groups'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a contacts.remove -d 'remove a contact'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a contacts.import -d 'add the contacts of a vCard file'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a history.list -d 'the messages of a conversation, oldest first'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a history.search -d 'find messages'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a status -d 'account, calls and health'
complete -c offhook -n '__fish_seen_subcommand_from ctl' -a quit -d 'end calls, sign out and end the program'
