#!/usr/bin/env bash
# The embedded server beside Kamailio, measured with SIPp: how many registrations, pager messages and forked INVITEs a
# second each carries, what processor time one of them costs, and how much memory the server then holds. All three run on this
# machine, one server after the other, with the same scenarios and the same number of requests in flight.
#
#   internal/interop/bench/run.sh [OFFHOOK-BINARY]     needs sipp and kamailio (Debian: sip-tester, kamailio)
set -u
here=$(cd "$(dirname "$0")" && pwd)
offhook=${1:-}
dir=$(mktemp -d "${TMPDIR:-/tmp}/offhook-bench.XXXXXX")
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; wait 2>/dev/null; [ -n "${KEEP:-}" ] || rm -rf "$dir"' EXIT
for tool in sipp kamailio; do
	command -v $tool >/dev/null || { echo "bench: $tool is not installed" >&2; exit 1; }
done
if [ -z "$offhook" ]; then
	offhook=$dir/offhook
	(cd "$here/../../.." && go build -o "$offhook" .) || exit 1
fi

users=1000 registers=20000 messages=20000 forks=5000 flight=40
hz=$(getconf CLK_TCK)

# Users user1…, all with the same password; three endpoints of the user "many" for the forks.
lines() { # CSV of $1 lines: user; credentials; $2
	echo RANDOM
	for i in $(seq "$1"); do echo "user$i;[authentication username=user$i password=secret];$2"; done
}
lines $users 5091 >"$dir/register.csv"
lines $users one >"$dir/message.csv"
lines $users many >"$dir/fork.csv"
bind() { printf 'SEQUENTIAL\n%s;[authentication username=%s password=secret];%s\n' "$1" "$1" "$2" >"$dir/bind.csv"; }

# The processor time of a process and its children, in seconds, and their resident memory, in MB.
family() { echo "$1"; for c in $(cat /proc/"$1"/task/*/children 2>/dev/null); do family "$c"; done; }
cpu() { local t=0; for p in $(family "$1"); do t=$((t + $(awk '{print $14+$15}' /proc/"$p"/stat))); done; echo $t; }
memory() { local m=0; for p in $(family "$1"); do m=$((m + $(awk '/^Pss:/{s+=$2} END{print s+0}' /proc/"$p"/smaps_rollup))); done; echo $((m / 1024)); }

listen() { # scenario, port: a SIPp that answers
	sipp -sf "$here/$1" -i 127.30.0.8 -p "$2" -nostdin -bg "$server" >"$dir/bg" 2>&1
	listeners+=("$(grep -o 'PID=\[[0-9]*\]' "$dir/bg" | tr -dc 0-9)")
}
load() { # scenario, CSV, count, request URI: prints requests a second and failures
	local began ended
	began=$(date +%s.%N)
	sipp -sf "$here/$1" -inf "$dir/$2" -i 127.30.0.8 -m "$3" -r 100000 -l $flight -nostdin -timeout 120s \
		-auth_uri "$4" -trace_stat -stf "$dir/stat.csv" -fd 1 "$server" >"$dir/$1.out" 2>&1
	ended=$(date +%s.%N)
	local failed
	failed=$(tail -1 "$dir/stat.csv" | cut -d';' -f18)
	echo "$(awk -v n="$3" -v a="$began" -v b="$ended" 'BEGIN{printf "%.0f", n/(b-a)}') $failed"
}
measure() { # name, scenario, CSV, count, request URI
	local before after rate failed
	before=$(cpu "$pid")
	read -r rate failed < <(load "$2" "$3" "$4" "$5")
	after=$(cpu "$pid")
	awk -v name="$1" -v rate="$rate" -v failed="${failed:-?}" -v us="$(((after - before) * 1000000 / hz))" -v n="$4" -v mb="$(memory "$pid")" \
		'BEGIN{printf "%-10s %8d /s  %7.0f us of processor time each  %5d MB  failed %s\n", name, rate, us/n, mb, failed}'
}
stories() {
	local listeners=()
	bind one 5092 && load register.xml bind.csv 1 bench.test >/dev/null
	for port in 5093 5094 5095; do bind many $port && load register.xml bind.csv 1 bench.test >/dev/null; done
	measure REGISTER register.xml register.csv $registers bench.test
	listen message_uas.xml 5092
	measure MESSAGE message.xml message.csv $messages one@bench.test
	listen fork_accept.xml 5093
	listen fork_lose.xml 5094
	listen fork_lose.xml 5095
	measure FORK fork.xml fork.csv $forks many@bench.test
	kill "${listeners[@]}" 2>/dev/null
}

echo "== kamailio $(kamailio -v | head -1 | grep -o '[0-9.]* ' | head -1)"
server=127.30.0.1:5060
sed -e "s#ADDRESS#$server#" "$here/kamailio.cfg" >"$dir/kamailio.cfg"
kamailio -f "$dir/kamailio.cfg" -P "$dir/kamailio.pid" -w "$dir" -Y "$dir" -m 512 -M 16 -E -DD >"$dir/kamailio.log" 2>&1 &
pids=($!)
pid=$!
sleep 2
stories | tee "$dir/kamailio.result"
kill "$pid"
wait "$pid" 2>/dev/null
pids=()

echo "== offhook"
server=127.30.0.2:5060
{
	for i in $(seq $users); do echo "user$i"; done
	echo one
	echo many
} | while read -r u; do
	ha1() { printf '%s' "$u:bench.test:secret" | "$1" | cut -d' ' -f1; }
	echo "$u:bench.test:$(ha1 md5sum)" # SIPp knows no SHA-256
done >"$dir/users"
chmod 600 "$dir/users"
"$offhook" server --listen $server --domain bench.test --users "$dir/users" --state-dir "$dir/state" >"$dir/offhook.log" 2>&1 &
pids=($!)
pid=$!
sleep 2
stories | tee "$dir/offhook.result"
kill "$pid"

echo "== offhook / kamailio"
paste "$dir/offhook.result" "$dir/kamailio.result" |
	awk '{printf "%-10s rate %.2f  processor time %.2f  memory %.2f\n", $1, $2/$15, $4/$17, $10/$23}'
