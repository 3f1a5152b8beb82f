variable "given" {
  default = "x"
}

variable "missing" {
  type = string
}

variable "missing_list" {
  type = list(string)
}

locals {
  uses_missing = "a-${var.missing}"
  fine         = [1, 2]
}
