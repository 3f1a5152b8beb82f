# Java's trust store: made in a build, and used in one.

source "rootfs" "jre" {
  debian {}
  output = "jre"
}

build {
  sources = ["source.rootfs.jre"]

  provisioner "shell" {
    script = "install-jre.sh"
  }
}
