source "file" "motd" {
  content = "Welcome."
  source  = "motd.txt"
  target  = "motd"
}

build {
  sources = ["file.motd"]

  provisioner "shell-local" {
    inline = ["true"]
    script = "setup.sh"
  }
}
