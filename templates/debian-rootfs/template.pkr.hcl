# A Debian (or Ubuntu) root file system with packages from apt, PyPI and npm: plain HTTP, intercepted HTTPS and
# HTTP/2, all through the proxy and all from the cache the second time.

packer {
  required_version = ">= 1.6.6"
}

variable "suite" {
  type        = string
  default     = ""
  description = "Suite to build, such as `bookworm`; empty for the host's own."
}

variable "variant" {
  type        = string
  default     = "minbase"
  description = "Which packages the root begins with: `essential`, `apt` or `minbase`."

  validation {
    condition     = contains(["essential", "apt", "minbase"], var.variant)
    error_message = "The variant is one of essential, apt and minbase."
  }
}

variable "output" {
  type        = string
  default     = "output-debian-rootfs/rootfs.tar.zst"
  description = "Where the image goes; the suffix (.tar, .tar.gz, .tar.zst, none for a directory) is its format."
}

source "rootfs" "debian" {
  debian {
    suite   = var.suite
    variant = var.variant
    include = ["ca-certificates"]
  }
  output = var.output
}

build {
  sources = ["source.rootfs.debian"]

  provisioner "shell" {
    name   = "apt"
    script = "${path.root}/scripts/apt.sh"
  }

  provisioner "shell" {
    name   = "pip"
    script = "${path.root}/scripts/pip.sh"
  }

  provisioner "shell" {
    name   = "npm"
    script = "${path.root}/scripts/npm.sh"
  }

  provisioner "file" {
    name        = "hello"
    source      = "${path.root}/scripts/hello.py"
    destination = "/opt/hello.py"
  }

  provisioner "shell" {
    name   = "check"
    inline = ["/opt/venv/bin/python /opt/hello.py"]
  }

  post-processors {
    post-processor "checksum" {
      checksum_types = ["sha256"]
      output         = "${var.output}.{{.ChecksumType}}"
    }
    post-processor "manifest" {
      output = "output-debian-rootfs/manifest.json"
    }
  }
}
