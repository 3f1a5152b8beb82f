# Two root file systems at the same time: a web server's and a database's. They share a bootstrap and a script, and one
# cache: a package that both need is fetched by the one that asks first, and streamed to both.

packer {
  required_version = ">= 1.6.6"
}

variable "directory" {
  type        = string
  default     = "output-two-builds"
  description = "Where the images go."
}

variable "suite" {
  type        = string
  default     = ""
  description = "Suite to build, such as `bookworm`; empty for the host's own."
}

source "rootfs" "web" {
  debian {
    suite   = var.suite
    variant = "apt"
  }
  output = "${var.directory}/web.tar.zst"
}

source "rootfs" "database" {
  debian {
    suite   = var.suite
    variant = "apt"
  }
  output = "${var.directory}/database.tar.zst"
}

build {
  sources = ["source.rootfs.web", "source.rootfs.database"]

  # What both are given.
  provisioner "shell" {
    name   = "common"
    script = "${path.root}/scripts/install.sh"
    env = {
      PACKAGES = "ca-certificates curl"
    }
  }

  # What only one is given. `only` and `except` name builds as -only does.
  provisioner "shell" {
    name   = "web"
    only   = ["rootfs.web"]
    script = "${path.root}/scripts/install.sh"
    env = {
      PACKAGES = "nginx-light"
    }
  }

  provisioner "shell" {
    name   = "database"
    only   = ["rootfs.database"]
    script = "${path.root}/scripts/install.sh"
    env = {
      PACKAGES = "sqlite3"
    }
  }

  # `source.name` is the build that this runs in.
  provisioner "shell" {
    name   = "role"
    inline = ["echo ${source.name} >/etc/role", "dpkg-query --show >/etc/packages"]
  }

  post-processor "manifest" {
    output = "${var.directory}/manifest.json"
  }
}
