"""Shows that what the three package managers installed is there and works."""

import subprocess

import flask
import requests

cow = subprocess.run(
    ["/opt/venv/bin/node", "/opt/app/node_modules/cowsay/cli.js", f"requests {requests.__version__}"],
    capture_output=True,
    check=True,
    text=True,
    env={"PATH": "/opt/venv/bin:/usr/bin:/bin"},
)
print(cow.stdout)
print("flask", flask.Flask(__name__).name, "is ready")
