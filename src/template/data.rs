//! Data sources: what a template asks others for.

use std::fmt::Debug;
use std::sync::Arc;

use super::body::{ConfigBody, TemplateScope};
use super::diagnostic::{Diagnostic, Diagnostics};
use super::dynamic::Iteration;
use super::hcl::syntax::ast::Block;
use super::hcl::value::{Type, Value};
use super::load::Loading;

/// What knows kinds of data sources.
pub trait DataSources: Debug {
    /// The type of what a kind gives, once its options have been checked; none if the kind is not known.
    fn check(&self, kind: &str, body: &ConfigBody, found: &mut Diagnostics) -> Option<Type>;

    /// What a data source gives.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    fn read(&self, kind: &str, body: &ConfigBody) -> Result<Value, Box<Diagnostic>>;
}

/// What is done with the data sources of a template.
#[derive(Clone, Copy, Debug, Default)]
pub enum Data<'a> {
    /// Nothing: what they give is not known.
    #[default]
    Unknown,
    /// Their options are checked; what they give is not known, but for its type.
    Checked(&'a dyn DataSources),
    /// They are read.
    Read(&'a dyn DataSources),
}

/// A `data` block.
#[derive(Clone, Debug)]
pub(crate) struct DataBlock {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) block: Block,
}

impl DataBlock {
    /// What expressions call it.
    pub(crate) fn reference(&self) -> String {
        format!("data.{}.{}", self.kind, self.name)
    }
}

impl Loading<'_> {
    /// Declares a `data` block.
    pub(crate) fn declare_data(&mut self, block: &Block) {
        let [kind, name] = block.labels.as_slice() else {
            let error = Diagnostic::error("a data source needs a type and a name").at(block.header);
            return self.report(error.hint("write data \"type\" \"name\" { … }"));
        };
        let found = DataBlock { kind: kind.text.to_string(), name: name.text.to_string(), block: block.clone() };
        let id = (found.kind.clone(), found.name.clone());
        if let Some(first) = self.data_index.get(&id) {
            let error = Diagnostic::error(format!("the data source `{}` is declared twice", found.reference()));
            let error = error.at(block.header).see(*first, "first declared here");
            return self.report(error.hint("rename one of them"));
        }
        self.data_index.insert(id, block.header);
        self.data.push(found);
    }

    /// What a data source gives, once all that it uses is known.
    pub(crate) fn data_value(&mut self, data: &DataBlock, scope: TemplateScope) -> Value {
        let owner = format!("the {} data source", data.kind);
        let body = ConfigBody::new(&owner, &data.block, &Iteration::default(), &Arc::new(scope), &[]);
        let mut found = Diagnostics::default();
        let value = match self.sources_of_data {
            Data::Unknown => None,
            Data::Checked(kinds) => kinds.check(&data.kind, &body, &mut found).map(Value::unknown),
            Data::Read(kinds) => {
                let ty = kinds.check(&data.kind, &body, &mut found);
                match kinds.read(&data.kind, &body) {
                    _ if found.has_errors() => ty.map(Value::unknown),
                    Ok(value) => Some(value),
                    Err(error) => {
                        found.push(error.or_at(data.block.header));
                        ty.map(Value::unknown)
                    }
                }
            }
        };
        self.diagnostics.extend(found);
        value.unwrap_or_else(|| Value::unknown(Type::Dynamic))
    }
}
