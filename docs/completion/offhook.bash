# bash completion for offhook, generated from the definitions of the command line by 'make docs'.
_offhook() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} path= method= words= flags= i
	[[ $prev == = ]] && prev=${COMP_WORDS[COMP_CWORD-2]}
	[[ $cur == = ]] && cur=
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--config|--profile|--state-dir|--log|--log-level|--sip-trace|--listen|--tls-listen|--tls-cert|--tls-key|--domain|--users|--orbits|--park-timeout|--ring-for|--ringback-attempts|--fallback|--quarantine|--moh|--aor|--password-command|--password-file|--server|--instance|--device-name|--toast-timeout|--mic|--speaker|--media-listen|--answer|--codecs|--park-server|--park-strategy|--srtp)
			[[ ${COMP_WORDS[i+1]} == = ]] && ((i++))
			((i++)) ;;
		-*) ;;
		*)
			case "$path ${COMP_WORDS[i]}" in
			" demo"|" server"|" headless"|" ctl"|" devices"|" config"|" version"|" config check"|" config init") path+=" ${COMP_WORDS[i]}" ;;
			*) [[ -z $method ]] && method=${COMP_WORDS[i]} ;;
			esac ;;
		esac
	done
	case $prev in
	--log-level) COMPREPLY=($(compgen -W 'debug info warn error' -- "$cur")); return ;;
	--answer) COMPREPLY=($(compgen -W 'manual auto' -- "$cur")); return ;;
	--park-strategy) COMPREPLY=($(compgen -W 'auto rfc5359 asterisk attended' -- "$cur")); return ;;
	--srtp) COMPREPLY=($(compgen -W 'off opportunistic required' -- "$cur")); return ;;
	--config|--log|--sip-trace|--tls-cert|--tls-key|--users|--moh|--password-file) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	--state-dir) COMPREPLY=($(compgen -d -- "$cur")); return ;;
	--config|--profile|--state-dir|--log|--log-level|--sip-trace|--listen|--tls-listen|--tls-cert|--tls-key|--domain|--users|--orbits|--park-timeout|--ring-for|--ringback-attempts|--fallback|--quarantine|--moh|--aor|--password-command|--password-file|--server|--instance|--device-name|--toast-timeout|--mic|--speaker|--media-listen|--answer|--codecs|--park-server|--park-strategy|--srtp) return ;;
	esac
	case $path in
	"") words='demo server headless ctl devices config version' flags='--help --config --profile --state-dir --log --log-level --sip-trace' ;;
	" config") words='check init' flags='--help --config --profile --state-dir --log --log-level --sip-trace' ;;
	" demo") flags='--help --config --profile --state-dir --log --log-level --sip-trace' ;;
	" server") flags='--listen --tls-listen --tls-cert --tls-key --domain --users --open --no-park --orbits --park-timeout --ring-for --ringback-attempts --fallback --quarantine --moh --help --config --profile --state-dir --log --log-level --sip-trace' ;;
	" headless") flags='--aor --password-command --password-file --server --listen --instance --device-name --no-register --no-publish --toast-timeout --mic --speaker --media-listen --answer --codecs --park-server --park-strategy --srtp --help --config --profile --state-dir --log --log-level --sip-trace' ;;
	" ctl") flags='--follow --help --config --profile --state-dir --log --log-level --sip-trace' ;;
	" devices") flags='--json --help --config --profile --state-dir --log --log-level --sip-trace' ;;
	" config check") flags='--help --config --profile --state-dir --log --log-level --sip-trace' ;;
	" config init") flags='--help --config --profile --state-dir --log --log-level --sip-trace' ;;
	" version") flags='--help --config --profile --state-dir --log --log-level --sip-trace' ;;
	esac
	if [[ $path == ' ctl' ]]; then
		case $method in
		im.send) words='to= conversation= text= wait='; compopt -o nospace 2>/dev/null ;;
		im.compose) words='conversation= active='; compopt -o nospace 2>/dev/null ;;
		conversation.end) words='conversation= wait='; compopt -o nospace 2>/dev/null ;;
		conversation.can) words='conversation= action='; compopt -o nospace 2>/dev/null ;;
		call.dial) words='to= conversation= wait='; compopt -o nospace 2>/dev/null ;;
		call.answer) words='call= wait='; compopt -o nospace 2>/dev/null ;;
		call.decline) words='call= everywhere= message= wait='; compopt -o nospace 2>/dev/null ;;
		call.forward) words='call= to= wait='; compopt -o nospace 2>/dev/null ;;
		call.transfer) words='call= to= replaces= wait='; compopt -o nospace 2>/dev/null ;;
		call.hangup) words='call= wait='; compopt -o nospace 2>/dev/null ;;
		call.hold) words='call= wait='; compopt -o nospace 2>/dev/null ;;
		call.resume) words='call= wait='; compopt -o nospace 2>/dev/null ;;
		call.mute) words='call='; compopt -o nospace 2>/dev/null ;;
		call.unmute) words='call='; compopt -o nospace 2>/dev/null ;;
		call.dtmf) words='call= digits= wait='; compopt -o nospace 2>/dev/null ;;
		call.conference) words='calls= wait='; compopt -o nospace 2>/dev/null ;;
		call.leave) words='call= wait='; compopt -o nospace 2>/dev/null ;;
		call.stats) words='call='; compopt -o nospace 2>/dev/null ;;
		call.record) words='call= file= stop='; compopt -o nospace 2>/dev/null ;;
		park.park) words='call= conversation= orbit= note= wait='; compopt -o nospace 2>/dev/null ;;
		park.retrieve) words='orbit= safe_retrieve_uri= anyway= wait='; compopt -o nospace 2>/dev/null ;;
		park.broadcast) words='orbit= to= text= wait='; compopt -o nospace 2>/dev/null ;;
		park.history) words='limit='; compopt -o nospace 2>/dev/null ;;
		park.note) words='orbit= note='; compopt -o nospace 2>/dev/null ;;
		audio.select) words='capture= playback= ringers='; compopt -o nospace 2>/dev/null ;;
		audio.processing) words='echo_cancellation= noise_suppression= auto_gain='; compopt -o nospace 2>/dev/null ;;
		audio.test) words='playback='; compopt -o nospace 2>/dev/null ;;
		toast.accept) words='toast= wait='; compopt -o nospace 2>/dev/null ;;
		toast.decline) words='toast= everywhere= wait='; compopt -o nospace 2>/dev/null ;;
		toast.dismiss) words='toast='; compopt -o nospace 2>/dev/null ;;
		presence.set) words='availability= note= wait='; compopt -o nospace 2>/dev/null ;;
		presence.input) words='at='; compopt -o nospace 2>/dev/null ;;
		presence.get) words='uri='; compopt -o nospace 2>/dev/null ;;
		presence.watch) words='uri='; compopt -o nospace 2>/dev/null ;;
		presence.unwatch) words='uri='; compopt -o nospace 2>/dev/null ;;
		contacts.add) words='uri= name= groups='; compopt -o nospace 2>/dev/null ;;
		contacts.remove) words='uri='; compopt -o nospace 2>/dev/null ;;
		contacts.import) words='file='; compopt -o nospace 2>/dev/null ;;
		history.list) words='conversation= limit= before='; compopt -o nospace 2>/dev/null ;;
		history.search) words='query= conversation= limit= before='; compopt -o nospace 2>/dev/null ;;
		"") words='im.send im.compose conversation.list conversation.end conversation.can call.dial call.answer call.decline call.forward call.transfer call.hangup call.hold call.resume call.mute call.unmute call.dtmf call.conference call.leave call.stats call.record park.park park.retrieve park.list park.broadcast park.history park.service park.note audio.devices audio.select audio.processing audio.levels audio.test toast.list toast.accept toast.decline toast.dismiss presence.set presence.input presence.get presence.watch presence.unwatch contacts.list contacts.add contacts.remove contacts.import history.list history.search status quit' ;;
		esac
	fi
	[[ $cur == -* || -z $words ]] && words+=" $flags"
	COMPREPLY=($(compgen -W "$words" -- "$cur"))
	if [[ $path == ' config check' && $cur != -* ]]; then
		COMPREPLY=($(compgen -f -- "$cur"))
	fi
}
complete -o filenames -F _offhook offhook
