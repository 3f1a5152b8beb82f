//! What templates ask others for.

use crate::template::DataSources;
use crate::template::body::{ConfigBody, DecodeEnv};
use crate::template::config::{Config, Content, Decoded, Entry};
use crate::template::diagnostic::{Diagnostic, Diagnostics, did_you_mean};
use crate::template::hcl::value::{Type, Value};

crate::config! {
    /// Gives what it is given.
    pub struct NullOptions {
        /// What to give, as `output`.
        #[required]
        input: String,
    }
}

crate::config! {
    /// Asks a web server.
    pub struct HttpOptions {
        /// Where to ask.
        #[required]
        url: String,
        /// How to ask.
        method: String = "GET".to_owned(),
        /// Headers of the request.
        request_headers: std::collections::BTreeMap<String, String>,
        /// Body of the request.
        request_body: String,
    }
}

/// Kinds there are.
const KINDS: [&str; 2] = ["http", "null"];

/// The data sources that Larder has.
#[derive(Clone, Copy, Debug)]
pub struct Native;

impl DataSources for Native {
    fn check(&self, kind: &str, body: &ConfigBody, found: &mut Diagnostics) -> Option<Type> {
        let text = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), Type::String)).collect::<Vec<_>>();
        match kind {
            "null" => {
                decoded::<NullOptions>(body, found);
                Some(Type::object(text(&["output"])))
            }
            "http" => {
                decoded::<HttpOptions>(body, found);
                let headers = ("request_headers".to_owned(), Type::map(Type::String));
                Some(Type::object(text(&["body", "url"]).into_iter().chain([headers])))
            }
            other => {
                let warning = Diagnostic::warning(format!("Larder does not have the data source `{other}`"))
                    .at(body.header())
                    .detail("what it gives is not known");
                found.push(match did_you_mean(other, KINDS) {
                    Some(near) => warning.hint(format!("did you mean `{near}`?")),
                    None => warning.hint("to build, give what it would give as a variable"),
                });
                None
            }
        }
    }

    fn read(&self, kind: &str, body: &ConfigBody) -> Result<Value, Box<Diagnostic>> {
        if kind != "null" {
            let error = Diagnostic::error(format!("the data source `{kind}` cannot be read yet")).at(body.header());
            return Err(Box::new(error.hint("give what it would give as a variable: -var 'name=…'")));
        }
        // What is wrong with the options has been told by the check.
        let options = decoded::<NullOptions>(body, &mut Diagnostics::default());
        let (given, _) = body.evaluate(&DecodeEnv::default());
        let sensitive =
            |entry: &Entry| matches!(&entry.item.content, Content::Value(value) if value.contains_sensitive());
        let output = if options.is_unknown("input") {
            Value::unknown(Type::String)
        } else {
            Value::string(options.config.input)
        };
        let output = output.mark(given.entries.iter().any(sensitive));
        Ok(Value::object([("output".to_owned(), output)].into()))
    }
}

fn decoded<T: Config>(body: &ConfigBody, found: &mut Diagnostics) -> Decoded<T> {
    let (decoded, diagnostics) = body.decode::<T>(&DecodeEnv::default());
    found.extend(diagnostics);
    decoded
}
