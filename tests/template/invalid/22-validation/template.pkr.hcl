variable "suite" {
  default = "wheezy"

  validation {
    condition     = contains(["bookworm", "trixie"], var.suite)
    error_message = "The suite must be bookworm or trixie."
  }
}

variable "size" {
  type    = number
  default = 10

  validation {
    condition     = var.size > 20
    error_message = "too small"
  }
}

source "null" "web" {
  communicator = "none"
}

build {
  sources = ["null.web"]
}
