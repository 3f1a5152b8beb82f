variable {
  default = "web"
}

source "null" {
  communicator = "none"
}

locals "names" {
  a = 1
}

build "web" {
  sources = ["null.web"]

  provisioner {
    inline = ["true"]
  }

  post-processor "manifest" "one" {}
}
