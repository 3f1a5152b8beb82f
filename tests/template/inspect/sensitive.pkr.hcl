variable "password" {
  default   = "hunter2"
  sensitive = true
}

locals {
  copied = "x-${var.password}-y"
  other  = "plain"
}
