source "null" "web" {
  communicator = "none
}

build {
  name    = "web-${packer.version"
  sources = ["null.web"]
}
