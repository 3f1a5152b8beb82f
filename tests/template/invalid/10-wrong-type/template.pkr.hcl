variable "retries" {
  type    = number
  default = "three"
}

variable "hosts" {
  type    = list(string)
  default = { a = "b" }
}

variable "delay" {
  default = "soon"
}

source "null" "web" {
  communicator = "none"
}

build {
  sources = ["null.web"]

  provisioner "shell-local" {
    inline       = "true"
    pause_before = var.delay
    max_retries  = "many"
  }
}
