source "nul" "web" {
  communicator = "none"
}

source "file" "motd" {
  content = "Welcome."
}

build {
  sources = ["nul.web", "file.motd"]

  provisioner "shell-locl" {
    inline = ["true"]
  }

  post-processor "manfest" {}
}
