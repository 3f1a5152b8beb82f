//! Whose signature a bundle has to have, and how it is told.

use std::path::Path;

use serde_json::{Value, json};

use crate::bundle::archive;
use crate::bundle::signature::{Signer, Trusted, beside};
use crate::cli::args::BundleSignatureArgs;
use crate::cli::console::Console;
use crate::cli::settings::Settings;
use crate::error::{Error, Result};

/// What the arguments and the settings ask for; keys of the arguments go before those of the settings.
pub(super) fn trusted(args: &BundleSignatureArgs, settings: &Settings) -> Result<Option<Trusted>> {
    let setting = &settings.bundle_public_keys;
    let keys = if args.public_key.is_empty() { &setting.value } else { &args.public_key };
    if !keys.is_empty() {
        return Trusted::of(keys, args.signature.clone()).map(Some);
    }
    let asked = if args.require_signature { Some("--require-signature") } else { None };
    let asked = asked.or(args.signature.as_ref().map(|_| "--signature"));
    match asked {
        Some(option) => Err(Error::new(format!("{option} is given, and no public key to check a signature against"))
            .hint("give the key of who made the bundle by --public-key, or set bundle.public_keys")),
        None => Ok(None),
    }
}

pub(super) fn as_json(signer: Option<&Signer>) -> Value {
    signer.map_or(Value::Null, |signer| json!({ "key": signer.key.to_string(), "comment": signer.comment }))
}

/// Says who signed it. Where a signature lies there that nobody asked to check, it says that, too.
pub(super) fn tell(signer: Option<&Signer>, file: &Path, console: &Console) {
    if let Some(signer) = signer {
        console.note(&format!("Signed: {signer}"));
        return;
    }
    let places = [beside(file), beside(&file.join(archive::INDEX))];
    if let Some(place) = places.iter().find(|place| place.exists()) {
        console.note(&format!("{} was not checked: no public key is given or set.", place.display()));
    }
}
