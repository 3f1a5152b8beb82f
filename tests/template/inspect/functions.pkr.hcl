locals {
  upper  = upper("é ß")
  split  = split(",", "a,b")
  merged = merge({ a = 1 }, { b = "x" })
  json   = jsonencode({ a = [1, 2], b = null })
  lists  = flatten([[1], [2, [3]]])
  for    = { for x in ["a", "b"] : x => length(x) }
  when   = true ? "yes" : "no"
}
