//! The template engine, under the name it has had.

pub use crate::template::go::engine::{
    BuildValues, FunctionSet, InterpolateContext, InterpolateError, Rendered, is_template, render, render_noting,
    user_references,
};
pub use crate::template::go::time_layout;
