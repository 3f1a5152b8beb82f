variable "name" {
  default = "web"
}

variable "list" {
  default = ["a", "b"]
}

variable "password" {
  default   = "hunter2"
  sensitive = true
}

locals {
  unknown  = uper(var.name)
  argument = substr(var.name, "first", 2)
  missing  = replace(var.name, "e")
  element  = var.list[5]
  number   = var.name + 1
  secret   = parseint(var.password, 10)
  division = 10 / (length(var.list) - 2)
  foreign  = lookup(var.list, "a")
}

source "null" "web" {
  communicator = "none"
}

build {
  sources = ["null.web"]
}
