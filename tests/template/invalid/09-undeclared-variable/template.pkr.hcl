variable "image_name" {
  default = "web"
}

variable "suite" {
  type = string
}

locals {
  target = "${var.imge_name}.txt"
  other  = local.tagret
}

source "file" "motd" {
  content = "Welcome."
  target  = local.target
}

build {
  sources = ["file.motd"]
}
