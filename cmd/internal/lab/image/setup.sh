# Runs inside a new image, as root: the people who may come in, and nothing that two hosts must not share.
set -eu

user() {
    useradd --create-home --shell /bin/bash "$1"
    install -d -m 0700 -o "$1" -g "$1" "/home/$1/.ssh"
}

user deploy
user locked
install -d -m 0700 /root/.ssh
echo 'locked:locked' | chpasswd
echo 'deploy ALL=(ALL) NOPASSWD:ALL' >/etc/sudoers.d/deploy
echo 'locked ALL=(ALL) ALL' >/etc/sudoers.d/locked
chmod 0440 /etc/sudoers.d/deploy /etc/sudoers.d/locked

rm -f /etc/ssh/ssh_host_* /etc/hostname
: >/etc/resolv.conf
rm -rf /var/cache/apt/archives/*.deb /var/lib/apt/lists/*
# Time of day belongs to the machine underneath, and no clean-up may run in the middle of a test.
systemctl mask systemd-timesyncd.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer
# Each daemon-reload runs all generators, and each login starts a user manager: neither has to do with what is tested here,
# and both cost more than the rest of a reload or a login.
mkdir -p /etc/systemd/system-generators
for generator in /usr/lib/systemd/system-generators/* /lib/systemd/system-generators/*; do
    ln -sf /dev/null "/etc/systemd/system-generators/${generator##*/}"
done
systemctl mask user@.service
