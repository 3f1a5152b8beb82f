//! Changes to post-processors that are more than another name for an option.

use super::{FixError, Object, Tree};

/// Providers that vagrant had options for.
pub(super) const PROVIDERS: &[&str] = &["aws", "digitalocean", "virtualbox", "vmware"];

pub(super) fn vagrant_override(post_processor: &mut Object) {
    let mut overrides = Object::new();
    for provider in PROVIDERS {
        overrides.extend(post_processor.remove_entry(*provider));
    }
    if !overrides.is_empty() {
        post_processor.insert("override".to_owned(), Tree::Object(overrides));
    }
}

/// `tag` and `tags`, each a list or a text with commas, become one list.
pub(super) fn docker_tags(post_processor: &mut Object) -> Result<(), FixError> {
    let mut all: Vec<Tree> = Vec::new();
    for option in ["tag", "tags"] {
        let given = match post_processor.get(option) {
            Some(Tree::String(text)) => text.split(',').map(|tag| Tree::String(tag.trim().to_owned())).collect(),
            Some(Tree::Array(tags)) => tags.clone(),
            _ => Vec::new(),
        };
        for tag in given {
            if tag.as_str().is_none() {
                let found = tag.describe().to_owned();
                return Err(FixError::Option { option, expected: "a list of strings", found });
            }
            if !all.contains(&tag) {
                all.push(tag);
            }
        }
    }
    post_processor.remove("tag");
    post_processor.insert("tags".to_owned(), Tree::Array(all));
    Ok(())
}
