# Tools in a guest that know nothing of the proxy: in the step that installs them, where their stores are made with
# the proxy's CA in the system's, and in a step after it, where the CA was taken out and put in again.

source "rootfs" "used" {
  base   = "jre"
  output = "used"
}

build {
  sources = ["source.rootfs.used"]

  provisioner "file" {
    source      = "Fetch.java"
    destination = "/opt/"
  }

  provisioner "file" {
    destination = "/opt/use.sh"
    content     = <<-EOT
      set -eu
      url=https://origin.test/hello
      java /opt/Fetch.java "$url"
      node -e "fetch('$url').then(r => r.text()).then(t => console.log('node: ' + t.trim()))"
      python3 -c "import requests; print('requests:', requests.get('$url').text.strip())"
    EOT
  }

  provisioner "shell" {
    inline = [
      "apt-get update -q",
      "DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends default-jdk-headless nodejs python3-requests",
      "sh /opt/use.sh",
      "rm -rf /var/lib/apt/lists",
    ]
  }

  provisioner "shell" {
    inline = ["sh /opt/use.sh"]
  }
}
