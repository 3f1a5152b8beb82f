variable "name" {
  default = "web"
}

variable "list" {
  type    = list(string)
  default = ["a", "b", "c"]
}

variable "numbers" {
  type    = set(number)
  default = [3, 1, 2, 1]
}

variable "map" {
  type    = map(string)
  default = { b = "2", a = "1" }
}

variable "none" {
  type    = string
  default = null
}

variable "nothing" {
  type    = list(string)
  default = null
}

variable "flag" {
  type    = bool
  default = true
}

locals {
  pair    = ["x", 1]
  objects = [{ id = 1, tags = ["a", "b"] }, { id = 2, tags = [] }]
  nested  = { a = { b = { c = "deep" } }, list = [[1, 2], [3]] }
  empty   = {}
}

source "null" "n" {
  communicator = "none"
}

build {
  sources = ["null.n"]
}
