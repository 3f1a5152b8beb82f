varable "name" {
  default = "web"
}

source "null" "web" {
  communicator = "none"
}

build {
  sources = ["null.web"]

  provisoner "shell-local" {
    inline = ["true"]
  }
}
