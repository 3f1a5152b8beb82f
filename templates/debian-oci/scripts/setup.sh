#!/bin/sh
set -eu
install -d /etc/web /srv/web
install -m 644 /tmp/files/nginx.conf /etc/web/nginx.conf
install -m 644 /tmp/files/index.html /srv/web/index.html
rm -rf /tmp/files

/usr/sbin/nginx -c /etc/web/nginx.conf &
nginx=$!
curl -s --fail --retry 20 --retry-connrefused --retry-delay 1 --noproxy '*' http://127.0.0.1:8080/
kill -QUIT "$nginx"
wait "$nginx"
# What it made as it ran, and a container makes again.
rm -rf /tmp/web-*
