variable "name" {
  type    = sting
  default = "web"
}

locals {
  upper = uppr(var.name)
}

source "file" "motd" {
  content = local.uper
  targt   = "motd"
}

build {
  sources = ["file.motd", "file.mtd"]

  provisioner "shell-local" {
    inline = ["true"]
    only   = ["file.mtod"]
  }
}
