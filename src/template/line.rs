//! Lines of the console: an expression of HCL2, or in a legacy template a text with Go templates.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::body::TemplateScope;
use super::diagnostic::{Diagnostic, Diagnostics};
use super::files::FileLoader;
use super::go::engine::{self, InterpolateContext};
use super::hcl::eval::{Evaluator, Work};
use super::hcl::scope::Scope;
use super::hcl::syntax::parser::parse_expression;
use super::hcl::syntax::scanner::scan;
use super::hcl::syntax::token::TokenKind;
use super::hcl::value::{Type, Value};
use super::load::{Language, Template};
use super::remote::Answers;
use super::secrets::Secrets;
use super::source_map::{FileId, Span};

/// What there is known only when a build runs.
const LATER: [&str; 2] = ["build", "source"];

/// What [`evaluate_line`](Template::evaluate_line) tells of a line.
pub type Evaluated = Result<Value, Diagnostics>;

impl Template {
    /// An HCL2 template with nothing in it.
    pub fn empty(files: Arc<dyn FileLoader>, cwd: PathBuf, now: Timestamp, packer_version: String) -> Self {
        let text = |text: &str| Value::string(text);
        let object = |entries: Vec<(&str, Value)>| {
            Value::object(entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
        };
        let path = object(vec![("root", text(".")), ("cwd", text(&cwd.display().to_string()))]);
        let packer = object(vec![("version", text(&packer_version))]);
        let nothing = || object(Vec::new());
        let names = [("var", nothing()), ("local", nothing()), ("path", path), ("packer", packer)];
        let scope = TemplateScope {
            names: names.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            user: None,
            files,
            template_dir: cwd.clone(),
            cwd: cwd.clone(),
            now,
            packer_version,
            secrets: Secrets::default(),
            work: TemplateScope::new_work(),
            answers: Answers::new(None, Secrets::default()),
        };
        Self {
            language: Language::Hcl2,
            variables: BTreeMap::new(),
            locals: BTreeMap::new(),
            sources: Vec::new(),
            builds: Vec::new(),
            required_plugins: Vec::new(),
            directory: cwd,
            scope: Arc::new(scope),
        }
    }

    /// The value of a line, all of whose text is that of `file`, with what the template declares.
    pub fn evaluate_line(&self, file: FileId, text: &str) -> Evaluated {
        match self.language {
            Language::Hcl2 => self.expression_line(file, text),
            Language::LegacyJson => self.go_line(file, text),
        }
    }

    /// The names that a line can use.
    pub fn line_names(&self) -> BTreeMap<String, Value> {
        let mut names = self.scope.names.clone();
        names.extend(LATER.map(|name| (name.to_owned(), Value::unknown(Type::Dynamic))));
        names
    }

    fn expression_line(&self, file: FileId, text: &str) -> Evaluated {
        let mut diagnostics = Diagnostics::default();
        let Some(expression) = parse_expression(file, text, &mut diagnostics).filter(|_| !diagnostics.has_errors())
        else {
            return Err(diagnostics);
        };
        let functions = self.scope.functions();
        let evaluator = Evaluator { env: &functions, work: &Work::default() };
        let value = evaluator.eval(&expression, &Scope::new(self.line_names()), &mut diagnostics);
        if diagnostics.has_errors() { Err(diagnostics) } else { Ok(value) }
    }

    fn go_line(&self, file: FileId, text: &str) -> Evaluated {
        let scope = &self.scope;
        let context = InterpolateContext {
            template_dir: scope.template_dir.display().to_string(),
            cwd: scope.cwd.display().to_string(),
            packer_version: scope.packer_version.clone(),
            now: scope.now,
            user: scope.user.clone(),
            ..InterpolateContext::default()
        };
        engine::render(text, &context).map(Value::string).map_err(|error| {
            let at = text.char_indices().nth(error.error().at).map_or(text.len(), |(at, _)| at);
            let end = text[at..].find([' ', '}', '\n']).map_or(text.len(), |length| at + length.max(1));
            let mut diagnostics = Diagnostics::default();
            diagnostics.push(
                Diagnostic::error("this cannot be rendered")
                    .at(Span::new(file, at..end.min(text.len())))
                    .detail(error.to_string())
                    .hint(error.hint()),
            );
            diagnostics
        })
    }
}

/// Whether what a text has begun goes on in the next line: a bracket, a heredoc, `${`.
pub fn is_open(language: Language, text: &str) -> bool {
    if language == Language::LegacyJson {
        return false;
    }
    let (mut depth, mut heredocs) = (0, 0);
    // A heredoc begins with the end of its line.
    for token in scan(&format!("{text}\n")) {
        depth += token.kind.nesting();
        heredocs += match token.kind {
            TokenKind::OpenHeredoc => 1,
            TokenKind::CloseHeredoc => -1,
            _ => 0,
        };
    }
    depth > 0 || heredocs > 0
}

/// Whether a line can end what lines before it have begun.
pub fn may_close(line: &str) -> bool {
    let marker = line.trim();
    line.contains(['}', ']', ')'])
        || (!marker.is_empty() && marker.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-')))
}

/// Whether nothing but blanks and comments is in a text.
pub fn is_blank(language: Language, text: &str) -> bool {
    match language {
        Language::LegacyJson => text.trim().is_empty(),
        Language::Hcl2 => scan(text)
            .iter()
            .all(|token| matches!(token.kind, TokenKind::Comment | TokenKind::Newline | TokenKind::End)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_goes_on_while_something_is_open() {
        let open = |text| is_open(Language::Hcl2, text);
        for text in ["[1,", "f(", "{ a =", "\"${upper(", "<<EOT", "<<EOT\na", "(1 +", "[for x in y :", "\"%{ if true"] {
            assert!(open(text), "{text}");
        }
        for text in ["1 +", "[1]", ")", "\"abc", "<<EOT\na\nEOT", "# (", "\"(\"", "]["] {
            assert!(!open(text), "{text}");
        }
        assert!(!is_open(Language::LegacyJson, "{{upper ("));
        assert!(may_close("  ], # end") && may_close("  EOT\r") && !may_close("a, b") && !may_close(""));
    }
}
