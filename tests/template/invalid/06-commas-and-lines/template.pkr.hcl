variable "packages" {
  default = [
    "nginx"
    "curl"
  ]
}

source "null" "web" { communicator = "none" }

build {
  sources = ["null.web"]
  name = "web" description = "A web server"
}
