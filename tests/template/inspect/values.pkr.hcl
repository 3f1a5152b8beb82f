variable "text" {
  default = "tab\tx é\u00a0 < \\ \"quoted\""
}

variable "multi" {
  default = "a\nb\"c"
}

variable "number" {
  default = 1.5
}

variable "large" {
  default = 12345678901234567890123
}

variable "flag" {
  default = true
}

variable "nothing" {
  type    = string
  default = null
}

variable "mixed" {
  default = [null, true, 1e20, "x", [], {}]
}

variable "map" {
  type    = map(string)
  default = { b = 2, a = "1", "c d" = "e" }
}

variable "set" {
  type    = set(number)
  default = [3, 1, 2, 1]
}

variable "object" {
  default = { b = 1, a = { c = ["x"] }, none = null }
}

locals {
  heredoc = <<EOT
two
lines ${var.number}
EOT
  joined  = join("-", var.set)
  sum     = var.number + 1
  nested  = { list = [1, 2], again = { deep = true } }
  path    = path.root
}
