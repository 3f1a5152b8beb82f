# The job of the comparison: a minbase root, a compiler and Python from apt, four wheels from PyPI.

variable "output" {
  type = string
}

source "rootfs" "job" {
  debian {
    variant = "minbase"
  }
  output = var.output
}

build {
  sources = ["source.rootfs.job"]

  provisioner "shell" {
    name   = "apt"
    inline = [
      "export DEBIAN_FRONTEND=noninteractive",
      "apt-get update -q",
      "apt-get install -y -q --no-install-recommends python3-venv python3-pip ca-certificates build-essential",
    ]
  }

  provisioner "shell" {
    name   = "pip"
    inline = [
      "python3 -m venv /opt/venv",
      "/opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check numpy pandas requests flask",
    ]
  }
}
