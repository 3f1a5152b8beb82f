source "file" "motd" {
  target  = "motd"
  content = <<EOF
Welcome.
  EOF_
}

build {
  sources = ["file.motd"]
}
