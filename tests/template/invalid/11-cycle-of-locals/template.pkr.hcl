locals {
  name    = "web-${local.version}"
  version = local.release == "" ? "1" : local.release
  release = trimprefix(local.name, "web-")
}

source "null" "web" {
  communicator = "none"
}

build {
  sources = ["null.web"]
}
