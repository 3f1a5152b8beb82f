variable "name" {
  default = "web"
}

variable "name" {
  default = "db"
}

source "null" "web" {
  communicator = "none"
}

source "null" "web" {
  communicator = "none"
}

build {
  sources = ["null.web", "null.wbe"]
}
