#!/bin/sh
set -eu
export DEBIAN_FRONTEND=noninteractive

# A service is not to be started where its image is made.
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
trap 'rm -f /usr/sbin/policy-rc.d' EXIT

apt-get update -q
apt-get install -y -q --no-install-recommends curl nginx-light
apt-get clean
rm -rf /var/lib/apt/lists/*
