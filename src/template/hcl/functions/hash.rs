//! Hashes and identifiers.

use bcrypt::Version;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use uuid::Uuid;

use super::{Call, Function, Outcome, STRING};
use super::{function, number, text, variadic};

/// Cost of `bcrypt` if none is given.
const DEFAULT_COST: i64 = 10;

pub(super) const FUNCTIONS: &[Function] = &[
    function("md5", &[text("str")], STRING, |c| Ok(hex::encode(Md5::digest(c.text(0))).into())),
    function("sha1", &[text("str")], STRING, |c| Ok(hex::encode(Sha1::digest(c.text(0))).into())),
    function("sha256", &[text("str")], STRING, |c| Ok(hex::encode(Sha256::digest(c.text(0))).into())),
    function("sha512", &[text("str")], STRING, |c| Ok(hex::encode(Sha512::digest(c.text(0))).into())),
    variadic("bcrypt", &[text("str")], number("cost"), STRING, bcrypt),
    function("uuidv4", &[], STRING, |_| Ok(Uuid::new_v4().to_string().into())),
    function("uuidv5", &[text("namespace"), text("name")], STRING, |c| {
        let namespace = match c.text(0) {
            "dns" => Uuid::NAMESPACE_DNS,
            "url" => Uuid::NAMESPACE_URL,
            "oid" => Uuid::NAMESPACE_OID,
            "x500" => Uuid::NAMESPACE_X500,
            other => {
                Uuid::parse_str(other).map_err(|_| c.wrong(0, "the namespace must be dns, url, oid, x500 or a UUID"))?
            }
        };
        Ok(Uuid::new_v5(&namespace, c.text(1).as_bytes()).to_string().into())
    }),
];

/// How much work a password's hash of this cost is, as the evaluator counts it.
pub(super) fn bcrypt_effort(cost: Option<i64>) -> usize {
    let cost = u32::try_from(cost.unwrap_or(DEFAULT_COST)).unwrap_or(0);
    4_usize.saturating_mul(1_usize.checked_shl(cost).unwrap_or(usize::MAX))
}

fn bcrypt(c: &Call<'_>) -> Outcome {
    if c.len() > 2 {
        return Err(c.wrong(2, "it takes at most 2 arguments"));
    }
    let cost = if c.len() == 2 { c.int(1)? } else { DEFAULT_COST };
    // What is less than the least is taken for none.
    let cost = if cost < 4 { DEFAULT_COST } else { cost };
    let cost =
        u32::try_from(cost).ok().filter(|cost| *cost <= 31).ok_or_else(|| c.wrong(1, "the cost must be 4 to 31"))?;
    let hashed = bcrypt::hash_with_result(c.text(0), cost).map_err(|error| error.to_string())?;
    Ok(hashed.format_for_version(Version::TwoA).into())
}
