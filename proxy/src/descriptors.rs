//! File descriptors: how many are left, so that new connections do not take those that what is under way needs for its
//! way upstream and for the cache.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd as _};
use std::time::Duration;

use rustix::process::{Resource, getrlimit};

/// The part of all descriptors that is kept for what is under way, and its bounds.
const RESERVE: u64 = 8;
const LEAST: u64 = 16;
const MOST: u64 = 1024;

/// How often it is looked whether there are enough again.
const PAUSE: Duration = Duration::from_millis(20);

/// What is left for new connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    Enough,
    /// Only what is kept for others; enough to say so.
    Little,
    /// Hardly that.
    None,
}

/// What is left, by a descriptor that was made just now: the system gives the lowest number that is free, so all below
/// it are in use.
pub(crate) fn room(newest: &impl AsFd) -> Room {
    let number = u64::try_from(newest.as_fd().as_raw_fd()).unwrap_or(0);
    room_at(number, getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX))
}

/// How many a part of the program may hold only in case they are of use again: `most`, or less where there are few.
pub(crate) fn share(most: NonZeroUsize) -> NonZeroUsize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let share = usize::try_from(limit / RESERVE).unwrap_or(usize::MAX);
    NonZeroUsize::new(share).map_or(NonZeroUsize::MIN, |share| share.min(most))
}

fn room_at(number: u64, limit: u64) -> Room {
    let reserve = (limit / RESERVE).clamp(LEAST, MOST);
    if number < limit.saturating_sub(reserve) {
        Room::Enough
    } else if number < limit.saturating_sub(reserve / 2) {
        Room::Little
    } else {
        Room::None
    }
}

/// Waits until there are enough again.
pub(crate) async fn enough(any: &impl AsFd) {
    // A second one of any descriptor shows the lowest free number.
    while rustix::io::fcntl_dupfd_cloexec(any, 0).map_or(Room::None, |newest| room(&newest)) != Room::Enough {
        tokio::time::sleep(PAUSE).await;
    }
}

/// Tells of a shortage once, and once that it is over.
#[derive(Debug, Default)]
pub(crate) struct Shortage {
    told: bool,
}

impl Shortage {
    /// Notes how it stands with a connection that was accepted.
    pub(crate) fn see(&mut self, room: Room) {
        let short = room != Room::Enough;
        if short && !self.told {
            let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
            tracing::warn!(
                limit,
                "file descriptors are short: new connections are refused or wait, and what is under way goes on (hint: \
                 raise the limit: LimitNOFILE in a systemd unit, or ulimit -n)"
            );
        } else if !short && self.told {
            tracing::info!("there are file descriptors enough again");
        }
        self.told = short;
    }

    /// Notes that none was accepted.
    pub(crate) fn failed(&mut self, error: &io::Error) {
        if std::mem::replace(&mut self.told, true) {
            tracing::debug!(%error, "cannot accept connections for now");
        } else {
            tracing::warn!(%error, "cannot accept connections for now");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_are_kept_whatever_the_limit() {
        for (number, limit, expected) in [
            (10, 1024, Room::Enough),
            (895, 1024, Room::Enough),
            (896, 1024, Room::Little),
            (960, 1024, Room::None),
            (47, 64, Room::Enough),
            (48, 64, Room::Little),
            (56, 64, Room::None),
            (1_000_000, u64::MAX, Room::Enough),
            (1_047_551, 1_048_576, Room::Enough),
            (1_047_552, 1_048_576, Room::Little),
            (3, 8, Room::None),
        ] {
            assert_eq!(room_at(number, limit), expected, "{number} of {limit}");
        }
    }
}
