#!/bin/sh
# What both builds do, with and without interception.
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -y -q --no-install-recommends ca-certificates default-jre-headless
