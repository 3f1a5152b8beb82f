//! The block `oci` of a template: what a container image says of itself, and how it is packed.

use std::collections::BTreeMap;

use super::document::{Execution, Platform};
use crate::builder::rootfs::config::Problem;
use crate::pack::Codec;
use crate::template::config::{Content, Decoder, FromConfig, Item};
use crate::template::diagnostic::{Diagnostic, did_you_mean};
use crate::template::schema::OptionType;

crate::config! {
    /// What a container image says of itself, for the formats `oci` and `oci-archive`.
    pub struct OciConfig {
        /// Name of the image in the layout: a tag, or a whole name such as `registry.example.org/app:1.0`.
        tag: String = "latest".to_owned(),
        /// Program to run and its arguments; arguments of `entrypoint` if that is set.
        cmd: Vec<String>,
        /// Program that is always run, with its arguments.
        entrypoint: Vec<String>,
        /// Environment: a map, or a list of `NAME=value`.
        env: Environment,
        /// Directory to run in.
        workdir: Option<String>,
        /// User to run as: `name`, `uid`, `name:group` or `uid:gid`.
        user: Option<String>,
        /// Labels, such as `org.opencontainers.image.source`.
        labels: BTreeMap<String, String>,
        /// Ports the program listens on: `80`, `53/udp`.
        exposed_ports: Vec<String>,
        /// Directories that hold data of a container.
        volumes: Vec<String>,
        /// Signal that asks the program to end, such as `SIGQUIT`.
        stop_signal: Option<String>,
        /// Who made the image.
        author: Option<String>,
        /// What the image runs on, such as `linux/arm64`; by default what its programs are for.
        platform: Option<String>,
        /// What layers are packed with: `gzip`, `zstd` or `none`.
        compression: String = "gzip".to_owned(),
        /// How hard to try: 1 to 9, or 19 for zstd.
        compression_level: Option<u32>,
        /// One layer for all, in place of one for the base and one for each provisioner.
        squash: bool,
    }
}

/// Names and values, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment(Vec<(String, String)>);

impl FromConfig for Environment {
    fn option_type() -> OptionType {
        let texts = || Box::new(OptionType::String);
        OptionType::Either(Box::new(OptionType::Map(texts())), Box::new(OptionType::List(texts())))
    }

    fn from_config(item: &Item, decoder: &mut Decoder<'_>) -> Option<Self> {
        if let Content::Value(value) = &item.content
            && value.entries().is_some()
        {
            return BTreeMap::from_config(item, decoder).map(|map| Self(map.into_iter().collect()));
        }
        let mut variables: Vec<(String, String)> = Vec::new();
        for text in Vec::<String>::from_config(item, decoder)? {
            let Some((name, value)) = text.split_once('=') else {
                let name = decoder.option();
                decoder.report(
                    Diagnostic::error(format!("wrong value for `{name}`"))
                        .at(item.span)
                        .detail(format!("{text:?} has no `=`"))
                        .hint("write each as \"NAME=value\", or give a map"),
                );
                return None;
            };
            variables.retain(|(known, _)| known != name);
            variables.push((name.to_owned(), value.to_owned()));
        }
        Some(Self(variables))
    }
}

/// Signals by name, without those of real time.
const SIGNALS: &[&str] = &[
    "SIGABRT",
    "SIGALRM",
    "SIGBUS",
    "SIGCHLD",
    "SIGCONT",
    "SIGFPE",
    "SIGHUP",
    "SIGILL",
    "SIGINT",
    "SIGIO",
    "SIGKILL",
    "SIGPIPE",
    "SIGPROF",
    "SIGPWR",
    "SIGQUIT",
    "SIGSEGV",
    "SIGSTKFLT",
    "SIGSTOP",
    "SIGSYS",
    "SIGTERM",
    "SIGTRAP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGUSR1",
    "SIGUSR2",
    "SIGVTALRM",
    "SIGWINCH",
    "SIGXCPU",
    "SIGXFSZ",
];

impl OciConfig {
    /// What is wrong with the options.
    pub(in crate::builder::rootfs) fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        let mut check = |fine: bool, option: &'static str, message: String, hint: &str| {
            if !fine {
                found.push(Problem { option, message, hint: hint.to_owned() });
            }
        };
        let tag = &self.tag;
        check(is_ref_name(tag), "oci.tag", format!("{tag:?} is no name of an image"), "use a name such as `app:1.0`");
        for (option, command) in [("oci.cmd", &self.cmd), ("oci.entrypoint", &self.entrypoint)] {
            if let [line] = command.as_slice() {
                let hint = "list the program and its arguments: [\"/bin/sh\", \"-c\", \"…\"]";
                let split = line.contains(char::is_whitespace);
                check(!split, option, format!("{line:?} is one word, the name of a program"), hint);
            }
            let empty = command.first().is_some_and(String::is_empty);
            check(!empty, option, "the name of the program is empty".to_owned(), "name a program");
        }
        for (name, value) in &self.env.0 {
            let fine = !name.is_empty() && !name.contains(['=', '\0']);
            check(fine, "oci.env", format!("{name:?} is no name of a variable"), "write NAME=value");
            let message = format!("the value of {name:?} has a NUL in it, which no variable can hold");
            check(!value.contains('\0'), "oci.env", message, "remove it");
        }
        let directories = self.workdir.iter().map(|path| ("oci.workdir", path));
        for (option, path) in directories.chain(self.volumes.iter().map(|path| ("oci.volumes", path))) {
            check(path.starts_with('/'), option, format!("{path:?} is not absolute"), "begin it with a slash");
        }
        if let Some(user) = &self.user {
            let parts: Vec<&str> = user.split(':').collect();
            let fine = parts.len() <= 2 && parts.iter().all(|part| is_user(part));
            check(fine, "oci.user", format!("{user:?} is no user"), "use a name or number, and `:group` after it");
        }
        check(
            self.labels.keys().all(|name| !name.is_empty()),
            "oci.labels",
            "a label has no name".to_owned(),
            "name it, such as `org.opencontainers.image.title`",
        );
        for port in &self.exposed_ports {
            let hint = "use a number up to 65535, and `/udp` or `/sctp` after it if it is not TCP";
            check(port_of(port).is_some(), "oci.exposed_ports", format!("{port:?} is no port"), hint);
        }
        if let Some(signal) = &self.stop_signal {
            let near = did_you_mean(signal, SIGNALS.iter().copied());
            let hint = near.map_or("use a name such as SIGTERM, or a number up to 64".to_owned(), |near| {
                format!("did you mean `{near}`?")
            });
            check(is_signal(signal), "oci.stop_signal", format!("{signal:?} is no signal"), &hint);
        }
        if let Some(text) = &self.platform {
            let hint = "write it as `linux/amd64` or `linux/arm/v7`";
            check(self.platform().is_some(), "oci.platform", format!("{text:?} is no platform"), hint);
        }
        let known = self.codec().is_some();
        let message = format!("unknown compression {:?}", self.compression);
        check(known, "oci.compression", message, "it is one of gzip, zstd and none");
        if let (Some(level), Some(codec)) = (self.compression_level, self.codec()) {
            let most = if codec == Some(Codec::Zstd) { 19 } else { 9 };
            let message = format!("there is no level {level}");
            check((1..=most).contains(&level), "oci.compression_level", message, &format!("levels are 1 to {most}"));
        }
        found
    }

    /// What layers are packed with, if it is known.
    #[expect(clippy::option_option, reason = "known to be nothing, or unknown")]
    pub(super) fn codec(&self) -> Option<Option<Codec>> {
        match self.compression.as_str() {
            "gzip" => Some(Some(Codec::Gzip)),
            "zstd" => Some(Some(Codec::Zstd)),
            "none" => Some(None),
            _ => None,
        }
    }

    /// The platform that was asked for.
    pub(super) fn platform(&self) -> Option<Platform> {
        let mut parts = self.platform.as_deref()?.split('/').map(str::to_owned);
        let platform = Platform { os: parts.next()?, architecture: parts.next()?, variant: parts.next() };
        let word = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        let words = word(&platform.architecture) && platform.variant.as_deref().is_none_or(word);
        (platform.os == "linux" && words && parts.next().is_none()).then_some(platform)
    }

    /// How a container is run.
    pub(super) fn execution(&self) -> Execution {
        Execution {
            user: self.user.clone(),
            exposed_ports: self.exposed_ports.iter().filter_map(|port| port_of(port)).collect(),
            env: self.env.0.iter().map(|(name, value)| format!("{name}={value}")).collect(),
            entrypoint: self.entrypoint.clone(),
            cmd: self.cmd.clone(),
            volumes: self.volumes.iter().cloned().collect(),
            working_dir: self.workdir.clone(),
            labels: self.labels.clone(),
            stop_signal: self.stop_signal.clone(),
        }
    }
}

/// A port with its protocol.
fn port_of(text: &str) -> Option<String> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u16 = number.parse().ok().filter(|number| digits && *number > 0)?;
    ["tcp", "udp", "sctp"].contains(&protocol).then(|| format!("{number}/{protocol}"))
}

fn is_user(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.$-".contains(c))
}

fn is_signal(text: &str) -> bool {
    if let Ok(number) = text.parse::<u8>() {
        return (1..=64).contains(&number);
    }
    let of_real_time = |base: &str, sign: char| {
        let offset = text.strip_prefix(base).and_then(|rest| rest.strip_prefix(sign));
        text == base
            || offset.and_then(|offset| offset.parse().ok()).is_some_and(|offset: u8| (1..=15).contains(&offset))
    };
    SIGNALS.contains(&text) || of_real_time("SIGRTMIN", '+') || of_real_time("SIGRTMAX", '-')
}

/// The grammar of annotations.md: parts of letters and digits, with separators between them.
fn is_ref_name(text: &str) -> bool {
    text.split('/').all(|part| {
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        let fine = part.chars().all(|c| c.is_ascii_alphanumeric() || "-._:@+".contains(c));
        fine && edge(part.chars().next()) && edge(part.chars().next_back())
    })
}

#[cfg(test)]
mod tests;
