# A container image with a web server, as an OCI archive: a layer for Debian, and one for each provisioner. With
# SOURCE_DATE_EPOCH and what is in the cache (--net offline), every build of it has one digest.

packer {
  required_version = ">= 1.6.6"
}

variable "suite" {
  type        = string
  default     = ""
  description = "Suite to build, such as `bookworm`; empty for the host's own."
}

variable "tag" {
  type        = string
  default     = "web:1.0"
  description = "Name of the image in the archive."
}

variable "output" {
  type        = string
  default     = "output-debian-oci/web.oci.tar"
  description = "Where the image goes: `.oci.tar` is an archive, `.oci` a directory with the image layout."
}

source "rootfs" "web" {
  debian {
    suite   = var.suite
    variant = "apt"
  }
  output = var.output

  oci {
    tag           = var.tag
    entrypoint    = ["/usr/sbin/nginx", "-c", "/etc/web/nginx.conf"]
    user          = "www-data"
    workdir       = "/srv/web"
    exposed_ports = ["8080"]
    stop_signal   = "SIGQUIT"
    labels = {
      "org.opencontainers.image.title" = "A page, served by nginx"
    }
  }
}

build {
  sources = ["source.rootfs.web"]

  provisioner "shell" {
    name   = "nginx"
    script = "${path.root}/scripts/nginx.sh"
  }

  provisioner "file" {
    name        = "site"
    source      = "${path.root}/files/"
    destination = "/tmp/files"
  }

  # Puts the files where they belong and asks for the page once: what cannot serve it is no image.
  provisioner "shell" {
    name   = "setup"
    script = "${path.root}/scripts/setup.sh"
  }

  post-processor "checksum" {
    checksum_types = ["sha256"]
    output         = "${var.output}.{{.ChecksumType}}"
  }
}
