//! Changes to provisioners that are more than another name for an option.

use super::{FixError, Object, Tree};

/// An override for the builder that has got another name.
pub(super) fn virtualbox_override(provisioner: &mut Object) -> Result<(), FixError> {
    let wrong = |other: &Tree| FixError::Option {
        option: "override",
        expected: "an object",
        found: other.describe().to_owned(),
    };
    let mut overrides = match provisioner.get("override") {
        None | Some(Tree::Null) => return Ok(()),
        Some(Tree::Object(overrides)) => overrides.clone(),
        // A list of objects is taken for one object.
        Some(Tree::Array(list)) => {
            let mut merged = Object::new();
            for one in list {
                match one {
                    Tree::Object(overrides) => merged.extend(overrides.clone()),
                    other => return Err(wrong(other)),
                }
            }
            merged
        }
        Some(other) => return Err(wrong(other)),
    };
    if let Some(options) = overrides.remove("virtualbox") {
        overrides.insert("virtualbox-iso".to_owned(), options);
        provisioner.insert("override".to_owned(), Tree::Object(overrides));
    }
    Ok(())
}

/// What was escaped by hand is now escaped where it is used. Nothing is changed unless everything can be.
pub(super) fn powershell_escapes(provisioner: &mut Object) -> Result<(), FixError> {
    const VARIABLES: &str = "environment_vars";
    let mut changed = provisioner.clone();
    for option in ["elevated_user", "elevated_password"] {
        match changed.get_mut(option) {
            None => {}
            Some(Tree::String(text)) => *text = unescaped(text),
            Some(other) => {
                let found = other.describe().to_owned();
                let option = if option == "elevated_user" { "elevated_user" } else { "elevated_password" };
                return Err(FixError::Option { option, expected: "a string", found });
            }
        }
    }
    match changed.get_mut(VARIABLES) {
        None => {}
        Some(variables @ Tree::Null) => *variables = Tree::Array(Vec::new()),
        Some(Tree::Array(variables)) => {
            for variable in variables {
                match variable {
                    Tree::String(text) => *text = unescaped(text),
                    Tree::Null => *variable = Tree::String(String::new()),
                    _ => return Ok(()),
                }
            }
        }
        Some(_) => return Ok(()),
    }
    *provisioner = changed;
    Ok(())
}

fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let escaped = chars.next_if(|next| c == '`' && matches!(next, '$' | '"' | '`' | '\''));
        out.push(escaped.unwrap_or(c));
    }
    out
}
