//! The file of users: lines `NAME:HASH`, as `htpasswd -B` writes them.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};

use super::LONGEST;

/// What [`line`] makes: some tens of milliseconds for a check.
pub(super) const USUAL_COST: u32 = 10;
/// A check beyond this takes seconds, in which the processor does nothing else.
const HIGHEST_COST: u32 = 14;

/// Why a file of users cannot be used. Hashes are not repeated.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UsersError {
    /// A line that is none.
    #[error("line {line}: {reason}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody could log in.
    #[error("it names no user")]
    Empty,
    /// A new user's name or password cannot be used.
    #[error("{0}")]
    Unusable(&'static str),
}

/// Reads the whole file.
pub(super) fn parse(text: &str) -> Result<HashMap<Arc<str>, String>, UsersError> {
    let mut hashes = HashMap::new();
    for (number, line) in text.lines().enumerate() {
        let wrong = |reason: String| UsersError::Line { line: number + 1, reason };
        let Some((user, hash)) = parse_line(line).map_err(wrong)? else { continue };
        if hashes.insert(Arc::from(user), hash.to_owned()).is_some() {
            return Err(wrong(format!("{user} is there twice")));
        }
    }
    if hashes.is_empty() { Err(UsersError::Empty) } else { Ok(hashes) }
}

/// User and hash of one line; nothing for a comment.
pub fn parse_line(line: &str) -> Result<Option<(&str, &str)>, String> {
    let line = line.trim_end();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (user, hash) = line.split_once(':').ok_or("it is not of the form NAME:HASH")?;
    if user.is_empty() {
        return Err("the name is missing".to_owned());
    }
    match cost(hash) {
        Some(cost) if cost <= HIGHEST_COST => Ok(Some((user, hash))),
        Some(cost) => Err(format!(
            "the password of {user} is hashed with cost {cost}, which takes too long for a proxy: {HIGHEST_COST} at most"
        )),
        None => Err(format!(
            "the password of {user} is not hashed with bcrypt, which alone is taken: \
             set it anew with `larder proxy passwd` or `htpasswd -B`"
        )),
    }
}

/// The cost of a bcrypt hash, if it is one.
pub(super) fn cost(hash: &str) -> Option<u32> {
    let rest = ["$2y$", "$2b$", "$2a$"].iter().find_map(|prefix| hash.strip_prefix(prefix))?;
    let (cost, rest) = rest.split_once('$')?;
    let letters = rest.len() == 53 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"./".contains(&byte));
    cost.parse().ok().filter(|cost| letters && (4..=31).contains(cost))
}

/// The line for a user.
pub fn line(user: &str, password: &str) -> Result<String, UsersError> {
    if user.is_empty() || user.starts_with('#') || user.contains(|letter: char| letter == ':' || letter.is_control()) {
        return Err(UsersError::Unusable(
            "a user's name is not empty, and has no colon, no control letter and no # first",
        ));
    }
    if password.is_empty() || password.contains(char::is_control) {
        return Err(UsersError::Unusable("a password is not empty, and has no control letters"));
    }
    if password.len() > LONGEST {
        return Err(UsersError::Unusable("bcrypt takes a password of 72 bytes at most"));
    }
    let hash = hash(password, USUAL_COST).ok_or(UsersError::Unusable("the system has no random numbers"))?;
    Ok(format!("{user}:{hash}"))
}

fn hash(password: &str, cost: u32) -> Option<String> {
    let mut salt = [0; 16];
    SystemRandom::new().fill(&mut salt).ok()?;
    Some(bcrypt::hash_with_salt(password, cost, salt).ok()?.format_for_version(bcrypt::Version::TwoY))
}

/// A hash that no password has, but by chance.
pub(super) fn decoy(cost: u32) -> String {
    format!("$2y${cost:02}${}", ".".repeat(53))
}
