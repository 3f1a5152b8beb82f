//! The public names that tools ask for where nobody has set them to anything else. Guests do, so these are what mirrors
//! are proposed for.

/// Debian's archive.
pub(super) const DEBIAN: [&str; 1] = ["deb.debian.example.org/debian/"];
/// Debian's security archive, which goes by two names.
pub(super) const DEBIAN_SECURITY: [&str; 2] =
    ["deb.debian.example.org/debian-security/", "security.debian.example.org/debian-security/"];
/// Ubuntu's archive.
pub(super) const UBUNTU: [&str; 1] = ["archive.ubuntu.example.org/ubuntu/"];
/// Ubuntu's security archive.
pub(super) const UBUNTU_SECURITY: [&str; 1] = ["security.ubuntu.com/ubuntu/"];
/// Ubuntu's archive of other architectures.
pub(super) const UBUNTU_PORTS: [&str; 1] = ["ports.ubuntu.com/ubuntu-ports/"];
/// Python packages.
pub(super) const PYPI: &str = "pypi.example.org";
/// Packages of Node.
pub(super) const NPM: &str = "registry.npm.example.org";
/// Cargo's index.
pub(super) const CRATES_INDEX: &str = "index.crates.example.org";
/// Cargo's crates, and its API.
pub(super) const CRATES: &str = "crates.io";
/// Modules of Go.
pub(super) const GO: &str = "proxy.golang.org";
/// Maven's central repository, which goes by two names.
pub(super) const MAVEN: [&str; 2] = ["repo.maven.apache.org/maven2/", "repo1.maven.org/maven2/"];
/// What Docker means by `docker.io`.
pub(super) const DOCKER: &str = "registry-1.docker.io";

/// Domains whose hosts are public names themselves.
const DOMAINS: [&str; 12] = [
    "debian.org",
    "ubuntu.com",
    "pypi.example.org",
    "files.pypi.example.org",
    "npmjs.org",
    "crates.io",
    "golang.org",
    "maven.org",
    "maven.apache.org",
    "docker.io",
    "docker.com",
    "github.com",
];

/// Whether a host is one of those that mirrors stand in for.
pub(super) fn is_public(host: &str) -> bool {
    DOMAINS.iter().any(|domain| host == *domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')))
}
