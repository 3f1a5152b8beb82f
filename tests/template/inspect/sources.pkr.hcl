source "null" "one" {
  communicator = "none"
}

source "null" "two" {
  communicator = "none"
}

source "file" "three" {
  target = "x"
}

build {
  sources = ["null.one", "source.null.two"]
}

build {
  name        = "named"
  description = "What it is for,\nin two lines."

  source "source.file.three" {
    name = "renamed"
  }

  source "source.null.one" {}
}

build {
  sources = ["source.file.three"]
}
