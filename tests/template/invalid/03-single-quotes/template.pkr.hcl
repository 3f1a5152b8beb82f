source "null" "web" {
  communicator = 'none'
}

build {
  sources = ["null.web"]
}
