//! The signed index of a suite: `InRelease`, or `Release` with `Release.gpg`.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::deb822::paragraphs;
use super::openpgp::Certificates;
use super::spec::DebianSpec;
use crate::download::{Algorithm, Checksum, DownloadError, Downloader};
use crate::error::{Error, Result};

/// Largest Release file read; Debian's are 150 KB.
const MAX_RELEASE: u64 = 32 * 1024 * 1024;
/// How far ahead of the clock `Date` may lie, as apt allows by default.
const MAX_AHEAD: SignedDuration = SignedDuration::from_secs(10);

/// A suite's index, checked.
#[derive(Clone, Debug, Default)]
pub(super) struct Release {
    pub(super) suite: Option<String>,
    pub(super) codename: Option<String>,
    pub(super) by_hash: bool,
    architectures: Vec<String>,
    components: Vec<String>,
    files: HashMap<String, Entry>,
}

/// A file the Release lists.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) sha256: Checksum,
    pub(super) size: u64,
}

impl Release {
    /// Fetches the suite's index, and checks its signature, its name and its age.
    pub(super) async fn fetch(spec: &DebianSpec, downloader: &Downloader, now: Timestamp) -> Result<Self> {
        let certificates = Certificates::read(&spec.keyrings)?;
        let base = format!("{}dists/{}/", spec.mirror, spec.suite);
        let url = format!("{base}InRelease");
        let text = match downloader.get_bytes(&url, MAX_RELEASE).await {
            Ok(fetched) => certificates.verify_clearsigned(&fetched.bytes, &url, now)?.0,
            Err(error) if is_absent(&error) => fetch_detached(&certificates, &base, spec, downloader, now).await?,
            Err(error) => return Err(unreachable(error, spec)),
        };
        let (release, date, valid_until) = parse(&text, &url)?;
        release.check_name(spec, &url)?;
        if spec.check_valid_until {
            check_age(&url, date, valid_until, now)?;
        }
        release.check_contents(spec)?;
        Ok(release)
    }

    /// The entry of a path below `dists/SUITE/`.
    pub(super) fn file(&self, path: &str) -> Option<&Entry> {
        self.files.get(path)
    }

    /// A mirror must not pass off one suite as another.
    fn check_name(&self, spec: &DebianSpec, url: &str) -> Result<()> {
        let names: Vec<&str> = self.suite.iter().chain(&self.codename).map(String::as_str).collect();
        // `bookworm/updates` and the like are announced by their first part too.
        let wanted = spec.suite.as_str();
        if names.contains(&wanted)
            || wanted.split('/').next().is_some_and(|first| wanted != first && names.contains(&first))
        {
            return Ok(());
        }
        Err(Error::new(format!("{url} is the index of `{}`, not of `{wanted}`", names.join("` or `")))
            .hint("the mirror is set up wrongly, or answers for another archive: check `mirror` and `suite`"))
    }

    fn check_contents(&self, spec: &DebianSpec) -> Result<()> {
        if !self.architectures.is_empty() && !self.architectures.contains(&spec.architecture) {
            return Err(Error::new(format!(
                "{} has no packages for the architecture {}",
                spec.suite, spec.architecture
            ))
            .hint(format!("it has {}", self.architectures.join(", "))));
        }
        let known = |component: &String| {
            self.components.is_empty()
                || self.components.iter().any(|c| c == component || c.rsplit('/').next() == Some(component))
        };
        match spec.components.iter().find(|component| !known(component)) {
            Some(component) => Err(Error::new(format!("{} has no component `{component}`", spec.suite))
                .hint(format!("it has {}", self.components.join(", ")))),
            None => Ok(()),
        }
    }
}

async fn fetch_detached(
    certificates: &Certificates,
    base: &str,
    spec: &DebianSpec,
    downloader: &Downloader,
    now: Timestamp,
) -> Result<String> {
    let url = format!("{base}Release");
    let document = match downloader.get_bytes(&url, MAX_RELEASE).await {
        Ok(fetched) => fetched.bytes,
        Err(error) if is_absent(&error) => return Err(no_suite(spec)),
        Err(error) => return Err(unreachable(error, spec)),
    };
    let signature = downloader.get_bytes(&format!("{url}.gpg"), MAX_RELEASE).await.map_err(|error| {
        Error::from(error).hint("the archive is not signed: Larder bootstraps from signed archives only")
    })?;
    certificates.verify_detached(&document, &signature.bytes, &url, now)?;
    String::from_utf8(document.to_vec()).map_err(|_| Error::new(format!("{url} is not text")))
}

fn is_absent(error: &DownloadError) -> bool {
    error.status().is_some_and(|status| matches!(status.as_u16(), 404 | 410))
}

fn no_suite(spec: &DebianSpec) -> Error {
    Error::new(format!("the archive {} has no suite `{}`", shown(spec), spec.suite))
        .hint("check the spelling of `suite`; old releases move to an archive of their own")
        .hint("check that `mirror` is what stands before `/dists/`")
}

fn unreachable(error: DownloadError, spec: &DebianSpec) -> Error {
    Error::from(error).hint(format!("set `mirror` to another archive if {} is down", shown(spec)))
}

/// The mirror without credentials.
fn shown(spec: &DebianSpec) -> String {
    let mut url = spec.mirror.clone();
    // Both fail only for URLs that cannot have a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

fn parse(text: &str, url: &str) -> Result<(Release, Option<Timestamp>, Option<Timestamp>)> {
    let malformed = |what: &str| Error::new(format!("{url} cannot be understood: {what}"));
    let fields = paragraphs(text).next().ok_or_else(|| malformed("it is empty"))?;
    let words = |name: &str| fields.get(name).unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    let time = |name: &str| match fields.get(name) {
        Some(value) => parse_time(value).map(Some).ok_or_else(|| malformed(&format!("`{name}: {value}` is no time"))),
        None => Ok(None),
    };
    let (date, valid_until) = (time("Date")?, time("Valid-Until")?);
    let mut release = Release {
        suite: fields.get("Suite").map(str::to_owned),
        codename: fields.get("Codename").map(str::to_owned),
        by_hash: fields.get("Acquire-By-Hash") == Some("yes"),
        architectures: words("Architectures"),
        components: words("Components"),
        files: HashMap::new(),
    };
    let list = fields.get("SHA256").ok_or_else(|| malformed("it lists no files by SHA-256"))?;
    for line in list.lines().filter(|line| !line.trim().is_empty()) {
        let mut words = line.split_whitespace();
        let (Some(digest), Some(size), Some(path)) = (words.next(), words.next(), words.next()) else {
            return Err(malformed(&format!("`{line}` is no digest, size and path")));
        };
        let sha256 = Checksum::new(Algorithm::Sha256, digest).map_err(|error| malformed(&error.to_string()))?;
        let size = size.parse().map_err(|_| malformed(&format!("`{size}` is no size")))?;
        release.files.insert(path.to_owned(), Entry { sha256, size });
    }
    Ok((release, date, valid_until))
}

/// Reads `Sat, 11 Jul 2026 10:16:37 UTC`.
fn parse_time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let zoned = text.strip_suffix("UTC").or_else(|| text.strip_suffix("GMT")).or_else(|| text.strip_suffix('Z'));
    let zoned = zoned.map_or_else(|| text.to_owned(), |rest| format!("{} +0000", rest.trim_end()));
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(&zoned).ok()
}

fn check_age(url: &str, date: Option<Timestamp>, valid_until: Option<Timestamp>, now: Timestamp) -> Result<()> {
    if let Some(date) = date.filter(|date| date.duration_since(now) > MAX_AHEAD) {
        return Err(Error::new(format!("{url} is dated {} in the future", span(date.duration_since(now))))
            .hint("check the host's clock, or set `check_valid_until = false`"));
    }
    match valid_until {
        Some(end) if end <= now => Err(Error::new(format!(
            "{url} expired {} ago ({}): the mirror is no longer updated, or an old state is being replayed",
            span(now.duration_since(end)),
            end.strftime("%Y-%m-%d %H:%M UTC")
        ))
        .hint("use another mirror, or check the host's clock")
        .hint("set `check_valid_until = false` if the old state is wanted, as for a snapshot")),
        _ => Ok(()),
    }
}

/// A length of time in its largest unit.
fn span(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    let (count, unit) = match seconds {
        172_800.. => (seconds / 86_400, "days"),
        7200.. => (seconds / 3600, "hours"),
        120.. => (seconds / 60, "minutes"),
        _ => (seconds, "seconds"),
    };
    format!("{count} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let want: Timestamp = "2026-07-11T10:16:37Z".parse().unwrap();
        assert_eq!(parse_time("Sat, 11 Jul 2026 10:16:37 UTC"), Some(want));
        assert_eq!(parse_time("Sat, 11 Jul 2026 10:16:37 +0000"), Some(want));
        assert!(parse_time("Wed,  1 Jul 2026 10:16:37 GMT").is_some());
        assert_eq!(parse_time("tomorrow"), None);
    }

    #[test]
    fn age() {
        let now: Timestamp = "2026-07-11T00:00:00Z".parse().unwrap();
        let at = |text: &str| Some(text.parse().unwrap());
        assert!(check_age("u", at("2026-07-10T00:00:00Z"), at("2026-07-12T00:00:00Z"), now).is_ok());
        assert!(check_age("u", None, None, now).is_ok());
        let late = check_age("u", None, at("2026-07-01T00:00:00Z"), now).unwrap_err();
        assert!(late.to_string().starts_with("u expired 10 days ago (2026-07-01 00:00 UTC)"), "{late}");
        let early = check_age("u", at("2026-07-11T03:00:00Z"), None, now).unwrap_err();
        assert_eq!(early.to_string(), "u is dated 3 hours in the future");
    }

    #[test]
    fn entries() {
        let digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let text = format!(
            "Suite: oldstable\nCodename: bookworm\nAcquire-By-Hash: yes\nSHA256:\n {digest}   12 main/a\n {digest} 0 b\n"
        );
        let (release, ..) = parse(&text, "u").unwrap();
        assert!(release.by_hash);
        assert_eq!(release.file("main/a").unwrap().size, 12);
        assert!(release.file("c").is_none());
        assert!(parse("Suite: x\nSHA256:\n zz 1 a\n", "u").is_err());
        assert!(parse("Suite: x\nMD5Sum:\n aa 1 a\n", "u").is_err());
    }
}
