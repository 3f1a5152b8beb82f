//! YAML, in the form that Packer reads and writes it.

use super::{Function, Returns, STRING, Type};
use super::{any, function, text};

mod block;
mod decode;
mod encode;
mod flow;
mod scalar;

pub(super) const FUNCTIONS: &[Function] = &[
    function("yamlencode", &[any("value").or_null()], STRING, |c| Ok(encode::encode(c.value(0))?.into())),
    function("yamldecode", &[text("src")], Returns::Of(|_| Ok(Type::Dynamic)), |c| {
        decode::decode(c.text(0)).map_err(|error| c.wrong(0, error))
    }),
];
