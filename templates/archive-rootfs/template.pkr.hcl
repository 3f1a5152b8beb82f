# A root file system that begins with an archive instead of a bootstrap: one made by another template, by mmdebstrap, or
# by whoever publishes root file systems. What is built on top can be built again in a second.

packer {
  required_version = ">= 1.6.6"
}

variable "base" {
  type        = string
  default     = "output-debian-rootfs/rootfs.tar.zst"
  description = "Archive to begin with: a path or a URL; tar, tar.gz, tar.xz or tar.zst."
}

variable "checksum" {
  type        = string
  default     = ""
  description = "Checksum of the archive, `sha256:HEX` or `file:URL`; empty for the file `.sha256` beside it."
}

variable "output" {
  type        = string
  default     = "output-archive-rootfs/rootfs.tar.zst"
  description = "Where the image goes; the suffix is its format."
}

source "rootfs" "archive" {
  base          = var.base
  base_checksum = var.checksum != "" ? var.checksum : "file:${var.base}.sha256"
  output        = var.output
}

build {
  sources = ["source.rootfs.archive"]

  provisioner "shell" {
    name   = "setup"
    script = "${path.root}/scripts/setup.sh"
    env = {
      ROLE = "worker"
    }
  }
}
