//! `larder proxy passwd`: the file of users.

use std::fs::{self, File, Permissions};
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use larder_proxy::login;

use crate::cli::args::ProxyPasswdArgs;
use crate::cli::console::Console;
use crate::cli::unseen::Unseen;
use crate::error::{Context as _, Error, Result};

/// For the proxy's group to read, and nobody else.
const MODE: u32 = 0o640;

pub(in crate::cli) fn run(args: &ProxyPasswdArgs, console: &Console) -> Result<()> {
    let what = || format!("cannot change the users in {}", args.file.display());
    let before = match fs::read_to_string(&args.file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).context(what),
    };
    let line = if args.delete { None } else { Some(login::line(&args.user, &password(console)?).context(what)?) };
    let (text, was_there) = changed(&before, &args.user, line.as_deref());
    if args.delete && !was_there {
        return Err(Error::new(format!("{} has no user {}", args.file.display(), args.user)));
    }
    replace(&args.file, &text).context(what)?;
    console.note(match (args.delete, was_there) {
        (true, _) => "Taken out. A proxy at work heeds it after SIGHUP.",
        (false, true) => "The password is set anew. A proxy at work heeds it after SIGHUP.",
        (false, false) => "Added. A proxy at work heeds it after SIGHUP.",
    });
    Ok(())
}

/// The text with another line for the user, or none; and whether there was one.
fn changed(before: &str, user: &str, line: Option<&str>) -> (String, bool) {
    let is_theirs = |line: &&str| line.split_once(':').is_some_and(|(name, _)| name == user);
    let mut was_there = false;
    let mut lines: Vec<&str> = Vec::new();
    for old in before.lines() {
        if !is_theirs(&old) {
            lines.push(old);
        } else if !was_there {
            was_there = true;
            lines.extend(line);
        }
    }
    if !was_there {
        lines.extend(line);
    }
    let text = lines.join("\n");
    (if text.is_empty() { text } else { text + "\n" }, was_there)
}

/// Puts the file in place as a whole, with the owner and mode that it had.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(text.as_bytes())?;
    let mut mode = MODE;
    if let Ok(old) = fs::metadata(path) {
        std::os::unix::fs::fchown(file.as_file(), Some(old.uid()), Some(old.gid()))?;
        mode = old.mode() & 0o777;
    }
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(directory)?.sync_all()
}

/// Asks for a password on the terminal, twice and unseen, or reads a line.
fn password(console: &Console) -> Result<String> {
    let input = io::stdin();
    let what = || "cannot read the password".to_owned();
    let read = || {
        let mut line = String::new();
        input.read_line(&mut line).context(what)?;
        Ok::<_, Error>(line.trim_end_matches(['\n', '\r']).to_owned())
    };
    if !input.is_terminal() {
        return read();
    }
    let _unseen = Unseen::begin(&input);
    console.note("Password:");
    let first = read()?;
    console.note("The same again:");
    if first == read()? { Ok(first) } else { Err(Error::new("the passwords are not the same")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_changes_and_the_rest_stays() {
        let before = "# fleet\nci:old\ncia:x\nci:older\n";
        assert_eq!(changed(before, "ci", Some("ci:new")), ("# fleet\nci:new\ncia:x\n".to_owned(), true));
        assert_eq!(changed(before, "ci", None), ("# fleet\ncia:x\n".to_owned(), true));
        assert_eq!(changed("", "ci", Some("ci:new")), ("ci:new\n".to_owned(), false));
        assert_eq!(changed("a:x", "ci", Some("ci:new")), ("a:x\nci:new\n".to_owned(), false));
    }

    #[test]
    fn the_file_keeps_its_mode() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("users");
        replace(&path, "a:x\n").unwrap();
        let mode = || fs::metadata(&path).unwrap().mode() & 0o777;
        assert_eq!(mode(), 0o640);
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        replace(&path, "b:x\n").unwrap();
        assert_eq!((mode(), fs::read_to_string(&path).unwrap()), (0o600, "b:x\n".to_owned()));
    }
}
