#!/bin/sh
# Works in any root file system with a POSIX shell.
set -eu
echo "$ROLE" >/etc/role
. /etc/os-release
echo "$PRETTY_NAME is now a $ROLE."
