variable "name" {
  default = "web"
}

variable "image" {
  default = "${var.name}-image"
}

variable "stamp" {
  default = formatdate("YYYYMMDD", timestamp())
}

source "null" "web" {
  communicator = "none"
}

build {
  sources = ["null.web"]
}
