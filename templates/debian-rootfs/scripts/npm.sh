#!/bin/sh
set -eu
export PATH="/opt/venv/bin:$PATH"
mkdir -p /opt/app
cd /opt/app
npm install --no-audit --no-fund --cache /tmp/npm-cache cowsay
rm -rf /tmp/npm-cache
