build {
  name        = "idle"
  description = ""

  provisioner "file" {
    source      = "x"
    destination = "y"
  }
}
