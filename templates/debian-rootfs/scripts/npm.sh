#!/bin/sh
set -eu
export PATH="/opt/venv/bin:$PATH"
# Else npm leaves compiled code in /tmp, which is different each time.
export NODE_DISABLE_COMPILE_CACHE=1
mkdir -p /opt/app
cd /opt/app
npm install --no-audit --no-fund --cache /tmp/npm-cache cowsay
rm -rf /tmp/npm-cache
