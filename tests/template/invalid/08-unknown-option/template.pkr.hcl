source "file" "motd" {
  target   = "motd"
  contents = "Welcome."
}

build {
  sources = ["file.motd"]

  provisioner "shell-local" {
    inlin = ["true"]
  }

  post-processor "checksum" {
    checksum_type = ["sha256"]
  }
}
