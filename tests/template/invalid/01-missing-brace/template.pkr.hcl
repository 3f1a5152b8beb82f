source "null" "web" {
  communicator = "none"

build {
  sources = ["null.web"]

  provisioner "shell-local" {
    inline = ["true"]
  }
}
