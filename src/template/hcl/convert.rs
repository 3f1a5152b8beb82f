//! Conversion and unification of values, as `cty` does them.
