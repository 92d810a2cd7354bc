package lab

// lifeScenarios are about what becomes of a unit's processes. They wait in reality.
func lifeScenarios() []scenario {
	return []scenario{
		{name: "restart is a job first", slow: true, script: `
			service $etc/$u '--slow-start=4' Type=notify; reload; systemctl start $u; state; p Job
			before=$(p InvocationID); systemctl --no-block restart $u; await is activating/start
			[ -n "$(p Job)" ] && echo "a job"; [ "$(p InvocationID)" != "$before" ] && echo "another invocation"
			await is active/running; p Job; p NRestarts
			try systemctl stop $u; state; ended`},
		{name: "crash loop", slow: true, script: `
			service $etc/$u '--crash-after=5' 'Restart=always\nRestartSec=10\n[Unit]\nStartLimitIntervalSec=0'; reload
			systemctl start $u; state; first=$(p InvocationID)
			await is activating/auto-restart; seen; echo "pid $MainPID"; [ "$InvocationID" = "$first" ] && echo "same invocation"
			await is active/running; [ "$NRestarts" -gt 0 ] && echo "counted"; [ "$InvocationID" = "$first" ] || echo "another invocation"
			await is activating/auto-restart; systemctl reset-failed $u; state; p NRestarts
			try systemctl is-active $u; try systemctl is-failed $u
			try systemctl stop $u; state; p NRestarts`},
		{name: "restart in a crash loop", slow: true, script: `
			service $etc/$u '--exit=3' 'Restart=always\nRestartSec=1\n[Unit]\nStartLimitIntervalSec=0'; reload
			systemctl start $u; restarted() { look; [ "$NRestarts" -ge 1 ]; }; await restarted
			service $etc/$u '--exit=3' 'Restart=always\nRestartSec=100\n[Unit]\nStartLimitIntervalSec=0'; reload
			await is activating/auto-restart; sleep 3; await is activating/auto-restart; before=$NRestarts
			service $etc/$u x RestartSec=100; reload; systemctl restart $u; state; [ "$NRestarts" = "$before" ] && echo "the counter goes on"
			systemctl reset-failed $u; p NRestarts`},
		{name: "start limit", script: `
			service $etc/$u '--exit=3' 'Restart=always\n[Unit]\nStartLimitIntervalSec=1000'; reload; try systemctl start $u
			await is failed/failed; state; ended; p NRestarts
			try systemctl start $u; state; systemctl reset-failed $u; state; p NRestarts; try systemctl is-failed $u`},
		{name: "clean exit", slow: true, script: `
			service $etc/$u '--exit=0'; reload; try systemctl start $u; await is inactive/dead; state; ended; p NRestarts
			service $etc/$u '--exit=0' Restart=on-failure; reload; try systemctl start $u; await is inactive/dead; state`},
		{name: "exit with a status", slow: true, script: `
			service $etc/$u '--exit=3'; reload; try systemctl start $u; await is failed/failed; state; ended; p MainPID; try systemctl is-active $u
			try systemctl stop $u; state; systemctl reset-failed $u; state; ended`},
		{name: "missing program", slow: true, script: `
			service $etc/$u x; printf '[Service]\nExecStart=/nonexistent/app\n' >$etc/$u; reload
			try systemctl start $u; await is failed/failed; state; ended; p NRestarts`},
		{name: "missing program, Type=exec", slow: true, script: `
			mkdir -p $etc; printf '[Service]\nExecStart=/nonexistent/app\nType=exec\n' >$etc/$u; reload
			try systemctl start $u; state; ended`},
		{name: "never ready", slow: true, script: `
			service $etc/$u '--never-ready' 'Type=notify\nTimeoutStartSec=4'; reload; systemctl --no-block start $u; await is activating/start
			state; [ -n "$(p Job)" ] && echo "a job"; p ActiveEnterTimestampMonotonic; await is failed/failed; state; ended; p Job
			try systemctl start $u; state`},
		{name: "never ready, Restart=always", slow: true, script: `
			service $etc/$u '--never-ready' 'Type=notify\nTimeoutStartSec=6\nRestart=always\nRestartSec=6'; reload; systemctl --no-block start $u
			await is activating/auto-restart; seen; await is activating/start; state; systemctl stop $u; state`},
		{name: "slow start", slow: true, script: `
			service $etc/$u '--slow-start=4 --listen=127.0.0.1:7102' Type=notify; reload; systemctl --no-block start $u; await is activating/start
			state; grep -c ':1BBE ' /proc/net/tcp; await is active/running; state; grep -c ':1BBE .* 0A ' /proc/net/tcp
			systemctl restart $u; state; systemctl stop $u; state`},
		{name: "stopped while it starts", slow: true, script: `
			service $etc/$u '--slow-start=60' Type=notify; reload; systemctl --no-block start $u; await is activating/start
			try systemctl stop $u; state; ended; p Job`},
		{name: "dies before it is ready", slow: true, script: `
			service $etc/$u '--slow-start=60 --crash-after=2' Type=notify; reload; try systemctl start $u; state; ended`},
		{name: "oneshot", slow: true, script: `
			service $etc/$u '--exit=0 --slow-start=4' Type=oneshot; reload; systemctl --no-block start $u; await is activating/start; state
			await is inactive/dead; state; ended
			service $etc/$u '--exit=0' 'Type=oneshot\nRemainAfterExit=yes'; reload; try systemctl start $u; state; try systemctl restart $u; state
			service $etc/$u '--exit=4' Type=oneshot; reload; systemctl stop $u; try systemctl start $u; state; ended`},
		{name: "journal by invocation", slow: true, script: `
			service $etc/$u '--crash-after=3'; reload; systemctl start $u; one=$(p InvocationID); await is failed/failed
			systemctl start $u; two=$(p InvocationID); await is failed/failed
			lines() { journalctl -q --no-pager -o cat "_SYSTEMD_INVOCATION_ID=$1" + "INVOCATION_ID=$1"; }
			complete() { [ "$(lines $two | wc -l)" -ge 5 ]; }; await complete; lines $one; echo --; lines $two | head -n 2
			journalctl -q --no-pager -o cat _SYSTEMD_INVOCATION_ID=$one; echo --
			journalctl -q --no-pager -o cat -n 1 -u $u; try journalctl -q --no-pager -o cat _SYSTEMD_INVOCATION_ID=00000000000000000000000000000000
			cursor=$(journalctl -q -n 1 --show-cursor -u $u | grep cursor:); case $cursor in '-- cursor: '*) echo "a cursor" ;; esac
			systemctl start $u; more() { journalctl -q -o cat -u $u --after-cursor="${cursor#-- cursor: }"; }; some() { [ "$(more | grep -c Started)" = 1 ]; }; await some`},
	}
}
