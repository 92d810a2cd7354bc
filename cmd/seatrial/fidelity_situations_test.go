package main

// A situation is what a host is like when somebody plans a release for it. In all texts $n is the service's name; in
// prepare $u is its unit, and `old` installs and starts an older release by hand.
type situation struct {
	name    string
	prepare string
	change  string // the same, after the earlier release
	unit    string // of the release
	twin    string // that of a second service in the same situation; none when empty
	more    string // TOML of the service
	checks  bool   // plan --checks
	earlier string // a release that is deployed before
	locked  string // the reason of a maintenance lock
	ends    string // refused by the plan, or how the deploy ends; deployed when empty
	verb    string // what is planned, with --dry-run, and done; deploy when empty
	alone   bool   // a daemon-reload of another situation would change it
}

const (
	goodUnit = "[Unit]\nDescription=$n\n[Service]\nExecStart=$app --listen=127.0.0.1:$port --version=2\n[Install]\nWantedBy=multi-user.target\n"
	logged   = "[services.$n.logs]\ndirectory = \"/var/log/$n\"\nowner = \"daemon\"\nmode = \"0750\"\nlogrotate = \"rotate.conf\"\n"
)

const prelude = `
n=$1 port=$2 app=$3 u=$1.service etc=/etc/systemd/system
unit() { printf '[Unit]\nDescription=%s\n[Service]\nExecStart=%s --listen=127.0.0.1:%s --version=1\n[Install]\nWantedBy=multi-user.target\n' "$n" "$app" "$port"; }
old() { unit >$etc/$u; chmod 644 $etc/$u; systemctl daemon-reload; systemctl enable $u 2>/dev/null; systemctl start $u; }
same() { printf '[Unit]\nDescription=%s\n[Service]\nExecStart=%s --listen=127.0.0.1:%s --version=2\n[Install]\nWantedBy=multi-user.target\n' "$n" "$app" "$port"; }
new() { same >$etc/$u; chmod 644 $etc/$u; systemctl daemon-reload; systemctl enable $u 2>/dev/null; systemctl start $u; }
`

var situations = []situation{
	{name: "first install", unit: goodUnit},
	{name: "update of a unit made by hand", prepare: "old", unit: goodUnit},
	{name: "the same already", ends: "unchanged", prepare: "new", unit: goodUnit},
	{name: "another mode", prepare: "new; chmod 600 $etc/$u", unit: goodUnit},
	{name: "another owner", prepare: "new; chown daemon $etc/$u", unit: goodUnit},
	{name: "another mode and another content", prepare: "old; chmod 640 $etc/$u", unit: goodUnit},
	{name: "disabled", prepare: "old; systemctl disable $u 2>/dev/null", unit: goodUnit},
	{name: "stopped", prepare: "old; systemctl stop $u", unit: goodUnit},
	{name: "no [Install]", unit: "[Service]\nExecStart=$app --listen=127.0.0.1:$port --version=2\n"},
	{name: "drop-in", prepare: "mkdir -p $etc/$u.d; printf '[Service]\\nRestartSec=3\\n' >$etc/$u.d/a.conf; old", unit: goodUnit},
	{name: "drop-in that systemd has not read", alone: true, prepare: "old; mkdir -p $etc/$u.d; printf '[Service]\\nRestartSec=3\\n' >$etc/$u.d/a.conf", unit: goodUnit},
	{name: "drop-in that changes ExecStart", prepare: "mkdir -p $etc/$u.d; printf '[Service]\\nExecStart=\\nExecStart=%s --listen=127.0.0.1:%s --version=3\\n' $app $port >$etc/$u.d/a.conf; old", unit: goodUnit},
	{name: "only the distribution has it", prepare: "unit >/usr/lib/systemd/system/$u; systemctl daemon-reload; systemctl start $u", unit: goodUnit},
	{name: "log directory and logrotate file, new", prepare: "old", unit: goodUnit, more: logged},
	{name: "log directory of another mode", prepare: "old; mkdir -p /var/log/$n; chmod 700 /var/log/$n; chown daemon:daemon /var/log/$n; printf 'x\\n' >/etc/logrotate.d/$n; chmod 644 /etc/logrotate.d/$n", unit: goodUnit, more: logged},
	{name: "log directory in order", prepare: "old; mkdir -p /var/log/$n; chmod 750 /var/log/$n; chown daemon:root /var/log/$n", unit: goodUnit, more: logged},
	{name: "a unit that dies", ends: "rolled-back", prepare: "old", unit: "[Service]\nExecStart=/bin/sh -c 'exit 3'\n"},
	{name: "a first unit that dies", ends: "rolled-back", unit: "[Service]\nExecStart=/bin/sh -c 'exit 3'\n[Install]\nWantedBy=multi-user.target\n"},
	{name: "a unit that lint refuses", ends: "refused", prepare: "old", unit: "[Service]\nExecStart=/nonexistent/program\n"},
	{name: "a unit that lint warns of", prepare: "old", unit: goodUnit + "[Service]\nBogus=1\n"},
	{name: "masked", ends: "refused", prepare: "ln -s /dev/null $etc/$u; systemctl daemon-reload", unit: goodUnit},
	{name: "symlinked", ends: "refused", prepare: "unit >/usr/local/$u; ln -s /usr/local/$u $etc/$u; systemctl daemon-reload; systemctl start $u", unit: goodUnit},
	{name: "a foreign file at the place of the trial", ends: "refused", prepare: "old; mkdir -p /run/systemd/system.control; unit >/run/systemd/system.control/$u; systemctl daemon-reload", unit: goodUnit},
	{name: "a user that is missing", ends: "refused", prepare: "old", unit: goodUnit, more: "[services.$n.logs]\ndirectory = \"/var/log/$n\"\nowner = \"nobody-at-all\"\n"},
	{name: "the log directory is a file", ends: "refused", prepare: "old; : >/var/log/$n", unit: goodUnit, more: logged},
	{name: "an [Install] that wants nothing", unit: "[Service]\nExecStart=$app --listen=127.0.0.1:$port --version=2\n[Install]\n"},
	{name: "a check that fails", ends: "refused", prepare: "old", unit: goodUnit, checks: true, more: "[[services.$n.checks]]\nname = \"a directory\"\ndirectory = \"/nonexistent\"\n"},
	{name: "a check that passes", prepare: "old", unit: goodUnit, checks: true, more: "[[services.$n.checks]]\nname = \"a directory\"\ndirectory = \"/etc\"\n"},
	{name: "edited since it was deployed", earlier: goodUnit, change: "printf '# by hand\\n' >>$etc/$u; systemctl daemon-reload", unit: goodUnit},
	{name: "deployed before", ends: "unchanged", earlier: goodUnit, unit: goodUnit},
	{name: "rollback to what was made by hand", prepare: "old; chmod 640 $etc/$u; chown 4242:adm $etc/$u", earlier: goodUnit, unit: goodUnit, verb: "rollback"},
	{name: "rollback to nothing", ends: "refused", earlier: goodUnit, unit: goodUnit, verb: "rollback"},
	{name: "restart", ends: "unchanged", prepare: "new", unit: goodUnit, verb: "restart"},
	{name: "restart of nothing", ends: "refused", unit: goodUnit, verb: "restart"},
	{name: "two services", prepare: "old", unit: goodUnit, twin: goodUnit},
	{name: "two services, one of them dies", ends: "rolled-back", prepare: "old", unit: goodUnit, twin: "[Service]\nExecStart=/bin/sh -c 'exit 3'\n"},
	{name: "edited, where that is refused", ends: "refused", earlier: goodUnit, change: "printf '# by hand\\n' >>$etc/$u; systemctl daemon-reload", unit: goodUnit, more: "refuse_drift = true"},
	{name: "under maintenance", ends: "refused", prepare: "old", unit: goodUnit, locked: "new disks"},
	{name: "an instance of a template", prepare: "mkdir -p $etc", unit: "[Service]\nExecStart=$app --listen=127.0.0.1:$port --version=%i\n", more: "instances = [\"1\"]"},
}
