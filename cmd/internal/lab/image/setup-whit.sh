# Runs inside a new image after the application's files are in place. /var/log/gunicorn is not made here:
# that is the first thing seatrial does on such a host.
set -eu
cd /var/www/whit/backend

mkdir -p venv/bin
ln -s /usr/bin/python3 venv/bin/python
ln -s /usr/bin/gunicorn venv/bin/gunicorn
printf 'WHIT_SECRET_KEY=%s\nWHIT_ALLOWED_HOSTS=127.0.0.1,localhost\n' "$(od -An -tx1 -N40 /dev/urandom | tr -d ' \n')" >.env
chmod 0640 .env
chown -R www-data:www-data /var/www/whit
setpriv --reuid=www-data --regid=www-data --init-groups ./venv/bin/python manage.py migrate --no-input
