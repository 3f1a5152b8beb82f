//! Keys of the Proxy screen.

use super::{Binding, Command};

/// What they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Keep the last request in view, or not.
    Follow,
    /// Leave the list as it is while traffic goes on, or not.
    Freeze,
    /// Mark the request, or take the mark away.
    Mark,
    /// Go to the next mark.
    NextMark,
    /// Put requests together by host, build or step.
    Group,
    /// Show the body in the pager.
    View,
    /// Write the body to a file.
    Save,
    /// Write requests to a file.
    Har,
    /// Copy the request as a command.
    Curl,
    /// Remove the answer from the cache.
    Drop,
    /// Ask upstream for the URL again.
    Refetch,
    /// Change the proxy's mode.
    Mode,
}

const fn row(
    action: Action,
    name: &'static str,
    keys: &'static [&'static str],
    help: &'static str,
    hint: Option<&'static str>,
) -> Binding {
    Binding { command: Command::Proxy(action), name, keys, help, hint }
}

/// The table.
pub const BINDINGS: &[Binding] = &[
    row(Action::Follow, "proxy.follow", &["f"], "follow: keep the last request in view, or stop", Some("follow")),
    row(
        Action::Freeze,
        "proxy.freeze",
        &["p"],
        "freeze the list while traffic goes on, or let it go on",
        Some("freeze"),
    ),
    row(Action::Mark, "proxy.mark", &["m"], "mark the request, or take the mark away", None),
    row(Action::NextMark, "proxy.next-mark", &["'"], "go to the next mark", None),
    row(
        Action::Refetch,
        "proxy.refetch",
        &["r"],
        "ask upstream for this URL again, whatever is stored",
        Some("refetch"),
    ),
    row(Action::Drop, "proxy.drop", &["d"], "remove the answer (or all marked) from the cache; asks", Some("drop")),
    row(Action::View, "proxy.view", &["v"], "read the stored body in the pager", None),
    row(Action::Save, "proxy.save", &["b"], "write the stored body to a file in this directory", None),
    row(Action::Curl, "proxy.curl", &["u"], "copy the request as a curl command", None),
    row(Action::Har, "proxy.har", &["H"], "write what is marked, or shown, to a file as HAR", None),
    row(Action::Group, "proxy.group", &["o"], "put together by: none, host, build, step", None),
    row(Action::Mode, "proxy.mode", &["M"], "mode of the proxy: cache, offline; asks", Some("mode")),
];
