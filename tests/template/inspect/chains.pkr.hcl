source "null" "n" {
  communicator = "none"
}

build {
  sources = ["null.n"]

  provisioner "shell-local" {
    inline = ["true"]
  }

  provisioner "shell-local" {
    name   = "again"
    inline = ["true"]
  }

  post-processor "manifest" {}

  post-processors {
    post-processor "manifest" {
      name = "m"
    }
    post-processor "checksum" {}
  }

  post-processors {}
}
