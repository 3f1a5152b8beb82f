//! Subordinate ids: whether the user has any, and whether the programs that map them can.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::cause::Cause;

/// Ids a build needs: those of a Debian system, `nobody` (65534) among them.
pub const NEEDED: u32 = 65_536;

/// A range of subordinate ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first.
    pub first: u32,
    /// How many.
    pub count: u32,
}

impl Range {
    fn end(self) -> u64 {
        u64::from(self.first) + u64::from(self.count)
    }

    fn has(self, id: u32) -> bool {
        id >= self.first && u64::from(id) < self.end()
    }

    fn overlaps(self, other: Self) -> bool {
        u64::from(self.first) < other.end() && u64::from(other.first) < self.end()
    }
}

/// Most ranges that are joined; a kernel takes 340 lines in a map, the user's own among them.
const MOST_RANGES: usize = 300;

/// The ranges to map, by the text of `/etc/subuid` or `/etc/subgid` (subuid(5)), of a user known by name or id: the first
/// that is long enough by itself, else as many as are long enough together, or all there are.
pub fn ranges(text: &str, name: &str, uid: u32) -> Vec<Range> {
    let own = || lines(text).filter(|(owner, _)| *owner == name || owner.parse() == Ok(uid)).map(|(_, range)| range);
    if let Some(range) = own().find(|range| range.count >= NEEDED) {
        return vec![range];
    }
    let mut joined: Vec<Range> = Vec::new();
    for range in own().filter(|range| range.count > 0).take(MOST_RANGES) {
        if total(&joined) >= NEEDED {
            break;
        }
        // An id is mapped once.
        if !range.has(uid) && !joined.iter().any(|other| other.overlaps(range)) {
            joined.push(range);
        }
    }
    joined
}

/// How many ids there are in ranges.
pub fn total(ranges: &[Range]) -> u32 {
    ranges.iter().fold(0, |total, range| total.saturating_add(range.count))
}

/// The first id above every range, from 100000 on.
pub fn free(text: &str) -> u32 {
    lines(text).map(|(_, range)| range.first.saturating_add(range.count)).fold(100_000, u32::max)
}

fn lines(text: &str) -> impl Iterator<Item = (&str, Range)> {
    text.lines().filter_map(|line| {
        let mut parts = line.trim().split(':');
        let owner = parts.next().filter(|owner| !owner.is_empty() && !owner.starts_with('#'))?;
        let (first, count) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some((owner, Range { first, count }))
    })
}

/// Why the user cannot map subordinate ids, or the ranges (of user and group ids) it can map. `path` is the value of
/// the variable `PATH`.
pub fn look(uid: u32, path: &str) -> Result<(Vec<Range>, Vec<Range>), Cause> {
    let user = nix::unistd::User::from_uid(uid.into()).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name);
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let (users, groups) = (read("/etc/subuid"), read("/etc/subgid"));
    let free = free(&users).max(free(&groups));
    let of = |text: &str, file, map: &'static str| {
        let ranges = ranges(text, &user, uid);
        if ranges.is_empty() {
            return Err(Cause::NoSubordinateIds { user: user.clone(), file, free });
        }
        let count = total(&ranges);
        if count < NEEDED {
            return Err(Cause::TooFewSubordinateIds { user: user.clone(), file, count, free });
        }
        let own = read(map);
        match ranges.iter().find_map(|range| missing(&own, *range)) {
            Some(lacks) => Err(Cause::OwnMapTooSmall { file: map, lacks }),
            None => Ok(ranges),
        }
    };
    let found = (of(&users, "/etc/subuid", UID_MAP)?, of(&groups, "/etc/subgid", GID_MAP)?);
    for name in ["newuidmap", "newgidmap"] {
        let program = find(name, path).ok_or(Cause::NoNewuidmap)?;
        if rustix::thread::no_new_privs().unwrap_or(false) {
            return Err(Cause::NoNewPrivileges);
        }
        if !may_map(&program) {
            return Err(Cause::NewuidmapNotPrivileged { program: program.with_file_name("newuidmap") });
        }
    }
    Ok(found)
}

/// The map of user ids of the namespace this process is in; see user_namespaces(7).
const UID_MAP: &str = "/proc/self/uid_map";
/// The map of its group ids.
const GID_MAP: &str = "/proc/self/gid_map";

/// Why root cannot build here: the user namespace it is root of, such as a container's, has too few ids.
pub fn look_as_root() -> Result<(), Cause> {
    for file in [UID_MAP, GID_MAP] {
        let map = std::fs::read_to_string(file).unwrap_or_default();
        if let Some(lacks) = missing(&map, Range { first: 0, count: NEEDED }) {
            return Err(Cause::OwnMapTooSmall { file, lacks });
        }
    }
    Ok(())
}

/// The first id of a range that a user namespace with this map does not have.
fn missing(map: &str, range: Range) -> Option<u32> {
    let mut lines: Vec<(u64, u64)> = map
        .lines()
        .filter_map(|line| {
            let mut numbers = line.split_whitespace().map(|number| number.parse::<u64>().ok());
            let (first, _, count) = (numbers.next()??, numbers.next()??, numbers.next()??);
            Some((first, first + count))
        })
        .collect();
    lines.sort_unstable();
    let reached =
        lines.iter().fold(
            u64::from(range.first),
            |reached, (first, after)| {
                if *first <= reached { reached.max(*after) } else { reached }
            },
        );
    (reached < range.end()).then(|| u32::try_from(reached).unwrap_or(u32::MAX))
}

/// A program of this name in one of the directories of `path`.
pub fn find(name: &str, path: &str) -> Option<PathBuf> {
    let directories = path.split(':').filter(|directory| !directory.is_empty());
    directories.map(|directory| Path::new(directory).join(name)).find(|program| {
        program.metadata().is_ok_and(|status| status.is_file() && status.permissions().mode() & 0o111 != 0)
    })
}

/// Set-user-id root, or a file capability (which only its presence is asked of), on a mount that heeds them.
fn may_map(program: &Path) -> bool {
    let flags = rustix::fs::statvfs(program).map(|status| status.f_flag);
    if flags.is_ok_and(|flags| flags.contains(rustix::fs::StatVfsMountFlags::NOSUID)) {
        return false;
    }
    let Ok(status) = program.metadata() else { return false };
    let by_mode = status.uid() == 0 && status.mode() & 0o4000 != 0;
    by_mode || rustix::fs::getxattr_query(program, "security.capability").is_ok_and(|length| length > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn range(first: u32, count: u32) -> Range {
        Range { first, count }
    }

    #[test]
    fn a_range_is_found_by_name_or_id_and_is_long_enough() {
        let text = "# comment\nbob:100000:65536\n1001:165536:65536\nann:300000:1000\nann:400000:70000\nbroken:x:1\n";
        assert_eq!(ranges(text, "bob", 1000), [range(100_000, 65_536)]);
        assert_eq!(ranges(text, "eve", 1001), [range(165_536, 65_536)]);
        assert_eq!(ranges(text, "ann", 1002), [range(400_000, 70_000)]);
        assert_eq!(ranges("ann:300000:1000\nann:1:2\n", "ann", 9), [range(300_000, 1000), range(1, 2)]);
        assert_eq!(ranges(text, "broken", 1003), []);
        assert_eq!(free(text), 470_000);
        assert_eq!(free(""), 100_000);
    }

    #[test]
    fn ranges_too_short_alone_are_joined_as_far_as_needed_and_each_id_once() {
        let halves = "ann:100000:32768\nbob:1:9\n7:200000:32768\nann:300000:1000\n";
        assert_eq!(ranges(halves, "ann", 7), [range(100_000, 32_768), range(200_000, 32_768)]);
        let same = "ann:100000:40000\nann:139999:40000\nann:0:40000\nann:140000:30000\nann:5:0\n";
        // The second shares an id with the first, the third holds the user itself.
        assert_eq!(ranges(same, "ann", 1000), [range(100_000, 40_000), range(140_000, 30_000)]);
    }

    #[test]
    fn ids_that_a_namespace_lacks_are_named() {
        let whole = "         0          0 4294967295\n";
        assert_eq!(missing(whole, range(0, NEEDED)), None);
        assert_eq!(missing("0 1000 1\n", range(0, NEEDED)), Some(1));
        assert_eq!(missing("0 1000 1\n1 100000 65536\n", range(0, NEEDED)), None);
        assert_eq!(missing("1 100000 65536\n0 1000 1\n", range(100_000, NEEDED)), Some(100_000));
        assert_eq!(missing("", range(0, 1)), Some(0));
    }

    #[test]
    fn a_program_is_found_where_it_can_be_run() {
        let place = tempfile::tempdir().unwrap();
        let program = place.path().join("newuidmap");
        std::fs::write(&program, "").unwrap();
        let path = format!("/nowhere::{}", place.path().display());
        assert_eq!(find("newuidmap", &path), None);
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find("newuidmap", &path), Some(program.clone()));
        assert!(!may_map(&program));
    }
}
