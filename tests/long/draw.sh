# Shared by the checks that draw screens. Sourced, not run. draw DIRECTORY SCREEN.ansi... draws each as a PNG.
drawing=$(mktemp -d)
draw() {
  if [ ! -x "$drawing/bin/python" ]; then
    if [ ! -e /usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf ]; then
      apt-get -o DPkg::Lock::Timeout=300 update -q >&2
      DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -q --no-install-recommends fonts-dejavu-core >&2
    fi
    python3 -m venv "$drawing"
    "$drawing/bin/pip" install -q --disable-pip-version-check 'pillow>=11,<13'
  fi
  "$drawing/bin/python" tests/long/pictures.py "$@"
}
