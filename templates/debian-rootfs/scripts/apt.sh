#!/bin/sh
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y --no-install-recommends python3-venv curl
apt-get clean
rm -rf /var/lib/apt/lists/*
