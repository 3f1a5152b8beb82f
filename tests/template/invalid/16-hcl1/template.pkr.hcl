variable "name" {
  type = "string"
  default = "web"
}

builders {
  type = "null"
  communicator = "none"
}

provisioners {
  type = "shell-local"
  inline = ["echo {{user `name`}}"]
}
