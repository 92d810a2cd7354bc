package lab

import "context"

// fileScenarios are about unit files and what systemd makes of them.
func fileScenarios() []scenario {
	return []scenario{
		{name: "a trial precedes the installed unit", script: `
			service $etc/$u old; reload; systemctl start $u; where
			service $trial/$u new; where
			reload; where; words
			systemctl restart $u; words; state
			rm $trial/$u; where; reload; where; words`},
		{name: "search path", script: `
			for dir in /usr/lib/systemd/system /usr/local/lib/systemd/system $run $etc $trial /etc/systemd/system.control; do
				service $dir/$u x; reload; where
			done
			rm /etc/systemd/system.control/$u`},
		{name: "daemon-reload forgotten", script: `
			service $etc/$u old; reload; systemctl start $u
			service $etc/$u new; where; try systemctl restart $u; words
			reload; where; words; try systemctl restart $u; words`},
		{name: "a file that is gone", script: `
			service $etc/$u x; reload; systemctl start $u; rm $etc/$u; where; reload; where; state
			try systemctl restart $u; state; try systemctl stop $u; where; state`},
		{name: "unit not found", script: `
			where; state; for verb in start restart stop reset-failed is-active is-enabled; do try systemctl $verb $u; done
			try systemctl --no-block restart $u; try systemctl enable $u; try systemctl disable $u`},
		{name: "masked", script: `
			ln -s /dev/null $etc/$u; reload; where; p UnitFileState; state
			for verb in start restart stop is-active is-enabled; do try systemctl $verb $u; done`},
		{name: "masked while it runs", script: `
			service $etc/$u x; reload; systemctl start $u; mkdir -p $trial; ln -s /dev/null $trial/$u; reload; where; state
			try systemctl restart $u; state; try systemctl stop $u; state; rm $trial/$u`},
		{name: "bad setting", script: `
			mkdir -p $etc; printf '[Service]\nType=simple\n' >$etc/$u; reload; where; p UnitFileState
			try systemctl start $u; try systemctl --no-block restart $u; state`},
		{name: "bad setting while it runs", script: `
			service $etc/$u x; reload; systemctl start $u; mkdir -p $trial; printf '[Service]\nType=simple\n' >$trial/$u; reload; where
			state; try systemctl restart $u; state; words; rm $trial/$u; reload; where; try systemctl restart $u; state`},
		{name: "enable and disable", script: `
			service $etc/$u x; reload; links() { for l in $etc/*.wants/$u; do [ ! -L "$l" ] || echo "$l -> $(readlink "$l")"; done; }
			p UnitFileState; try systemctl is-enabled $u
			try systemctl --no-reload enable $u; links; p UnitFileState; try systemctl is-enabled $u
			service $trial/$u new; reload; where; p UnitFileState; links; rm $trial/$u; reload; p UnitFileState
			try systemctl --no-reload disable $u; links; p UnitFileState; try systemctl is-enabled $u
			try systemctl enable --now $u; state; try systemctl disable --now $u; state
			printf '[Service]\nExecStart=/usr/local/bin/app\n' >$etc/$u; reload; p UnitFileState; try systemctl is-enabled $u`},
		{name: "drop-ins", script: `
			service $etc/$u x; reload; systemctl start $u; p DropInPaths
			mkdir -p $etc/$u.d $run/$u.d; printf '[Service]\nRestart=no\n' >$etc/$u.d/30-c.conf; reload; where; p DropInPaths; rm $etc/$u.d/30-c.conf
			printf '[Service]\nRestart=always\n' >$etc/$u.d/20-b.conf; where; reload; where; p DropInPaths; p Restart
			printf '[Service]\nRestart=on-failure\n' >$etc/$u.d/20-b.conf; where
			printf '[Service]\nRestart=on-abort\n' >$run/$u.d/20-b.conf
			printf '[Service]\nExecStart=\nExecStart=/usr/local/bin/app y\n' >$run/$u.d/10-a.conf; reload; where; p DropInPaths; p Restart
			service $trial/$u z; reload; where; systemctl restart $u; words; rm $etc/$u.d/20-b.conf; where; rm $trial/$u
			reload; p DropInPaths; p Restart`},
		{name: "template", script: `
			service $etc/$n@.service 'x %i'; reload; u=$n@one.service; where; p UnitFileState; try systemctl start $u; words; state
			mkdir -p $etc/$n@.service.d $etc/$u.d; printf '[Service]\nRestart=always\n' >$etc/$n@.service.d/a.conf
			printf '[Service]\nRestartSec=7\n' >$etc/$u.d/b.conf; reload; p DropInPaths; p Restart; p RestartUSec
			p Restart $n@two.service; try systemctl --no-reload enable $u; p UnitFileState; readlink $etc/multi-user.target.wants/$u
			service $trial/$n@.service 'y %i'; reload; where; systemctl restart $u; words; rm $trial/$n@.service`},
		{name: "listening", script: `
			service $etc/$u '--listen=127.0.0.1:7101'; reload; systemctl start $u
			port() { grep -c ": 0100007F:1BBD 00000000:0000 0A" "/proc/$(p MainPID)/net/tcp"; }
			holds() { ls -l "/proc/$(p MainPID)/fd" | grep -c "socket:.$inode.\$"; }
			listens() { [ "$(port)" = 1 ]; }
			await listens; port
			inode=$(grep ': 0100007F:1BBD ' "/proc/$(p MainPID)/net/tcp" | while read -r _ _ _ _ _ _ _ _ _ i _; do echo "$i"; done); holds
			group=$(p ControlGroup); echo "$group"; for root in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
				[ ! -f "$root$group/cgroup.procs" ] || { grep -cx "$(p MainPID)" "$root$group/cgroup.procs"; break; }; done
			cat "/proc/$(p MainPID)/comm"
			systemctl stop $u; port=$(cat /proc/net/tcp | grep -c ':1BBD '); echo "$port"; p ControlGroup; p MainPID`},
		{name: "systemd-analyze verify", script: `
			mkdir -p /run/verify; cd /run/verify; service $PWD/$u x; try systemd-analyze --man=no verify $PWD/$u
			printf '[Service]\nType=simple\n' >$PWD/$u; try systemd-analyze --man=no verify $PWD/$u
			printf '[Service]\nExecStart=/nonexistent/app\n' >$PWD/$u; try systemd-analyze --man=no verify $PWD/$u
			printf 'hello\n' >$PWD/$u; try systemd-analyze --man=no verify $PWD/$u
			: >$PWD/$u; try systemd-analyze --man=no verify $PWD/$u
			printf '[Service]\nExecStart=/bin/true\nExecStart=/bin/true\n' >$PWD/$u; try systemd-analyze --man=no verify $PWD/$u
			printf '[Service]\nExecStart=/bin/true\nFoo=bar\nType=bogus\n[Wat]\n' >$PWD/$u; try systemd-analyze --man=no verify $PWD/$u`},
		{name: "a service of systemd-run", script: `
			guard() { systemd-run --quiet --collect --unit=$n-guard -p Restart=on-failure -p RestartSec=1 /bin/sh -c 'while :; do sleep 1; done' seatrial; }
			try guard; u=$n-guard.service; state; where; p UnitFileState; before=$(p InvocationID)$(p MainPID)
			reload; state; [ "$before" = "$(p InvocationID)$(p MainPID)" ] && echo "same process"
			try guard
			try systemctl stop $u; where; state; try guard; systemctl stop --no-block $u; await is inactive/dead; where`},
		{name: "kill sends a signal", script: `
			service $etc/$u x; reload; systemctl start $u; systemctl kill -s KILL $u; await is failed/failed; state; ended
			systemctl reset-failed $u; state; systemctl start $u; systemctl kill $u; await is inactive/dead; state; ended`},
	}
}

func rebootScenario() scenario {
	return scenario{name: "reboot", do: func(ctx context.Context, w *witness) (string, error) {
		before, err := w.sh(ctx, `service $etc/$u old; reload; systemctl --no-reload enable $u; service $trial/$u new; reload
			service $etc/$n-off.service x; systemctl start $n-off; systemctl restart $u; words; where; echo x >/run/mark
			cat /proc/sys/kernel/random/boot_id >/var/lib/boot`)
		if err != nil {
			return before, err
		}
		if err := w.reboot(); err != nil {
			return before, err
		}
		after, err := w.sh(ctx, `await is active/running; words; where; state; [ -e /run/mark ] || echo "mark is gone"
			[ -d $trial ] || echo "no trial"; [ "$(cat /var/lib/boot)" != "$(cat /proc/sys/kernel/random/boot_id)" ] && echo "another boot"
			p ActiveState $n-off.service; u=$n-off.service; where; read -r up _ </proc/uptime; systemctl is-system-running`)
		return before + "\n" + after, err
	}}
}
