//! The checks of the machine itself: kernel, limits, clock, programs, and what other builders will need.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::check::Finding;
use super::ids;

/// The oldest kernel with every call Larder makes (close_range).
const OLDEST: (u32, u32) = (5, 9);

/// `kernel`
pub fn kernel() -> Finding {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy().into_owned();
    match version(&release) {
        Some(found) if found < OLDEST => {
            Finding::problem("kernel", format!("Linux {release} is too old: 5.9 is the oldest that works"))
                .remedy("use a newer kernel")
        }
        _ => Finding::ok("kernel", format!("Linux {release}")),
    }
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// `open-files`
pub fn open_files() -> Finding {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let Some(now) = limit.current else { return Finding::ok("open-files", "no limit") };
    let most = limit.maximum.map_or_else(|| "more".to_owned(), |most| format!("up to {most}"));
    let found = format!("{now} files may be open ({most} if asked for)");
    match now {
        0..256 => Finding::problem("open-files", found).so("a build needs 256").remedy("ulimit -n 4096"),
        256..1024 => Finding::warning("open-files", found).so("parallel builds may need more").remedy("ulimit -n 4096"),
        _ => Finding::ok("open-files", found),
    }
}

/// `clock`: against the date of the program's own file, and the upstream's where it is known.
pub fn clock(now: SystemTime, program: &Path, upstream: Option<SystemTime>) -> Finding {
    /// What another machine's clock may be off by.
    const LENIENT: Duration = Duration::from_hours(24);
    let built = program.metadata().and_then(|status| status.modified()).ok();
    let remedy = "sudo timedatectl set-ntp true";
    if let Some(built) = built.filter(|built| now + LENIENT < *built) {
        let found = format!("it is {}, before this program was made ({})", shown(now), shown(built));
        return Finding::problem("clock", found).so("signatures and certificates would not hold").remedy(remedy);
    }
    let Some(upstream) = upstream else { return Finding::ok("clock", shown(now)) };
    let apart = now.duration_since(upstream).unwrap_or_else(|error| error.duration());
    if apart > Duration::from_mins(5) {
        let found = format!("it is {} here and {} upstream", shown(now), shown(upstream));
        return Finding::problem("clock", found).so("signatures and certificates may not hold").remedy(remedy);
    }
    Finding::ok("clock", format!("{}, {} s from upstream's", shown(now), apart.as_secs()))
}

fn shown(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time)
        .map_or_else(|_| "beyond any date".to_owned(), |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

/// `programs`: what some outputs need. `path` is the value of the variable `PATH`.
pub fn programs(path: &str) -> Finding {
    let wanted = [("mksquashfs", "squashfs-tools", "squashfs"), ("mke2fs", "e2fsprogs", "ext4")];
    let absent: Vec<_> =
        wanted.iter().filter(|(name, ..)| ids::find(name, &format!("{path}:/usr/sbin:/sbin")).is_none()).collect();
    if absent.is_empty() {
        return Finding::ok("programs", "mksquashfs and mke2fs are there");
    }
    let names: Vec<_> = absent.iter().map(|(name, _, output)| format!("{name} (for {output} images)")).collect();
    let packages: Vec<_> = absent.iter().map(|(_, package, _)| *package).collect();
    Finding::warning("programs", format!("not there: {}", names.join(", ")))
        .remedy(format!("sudo apt-get install {}", packages.join(" ")))
}

/// `kvm`
pub fn kvm(device: &Path) -> Finding {
    let unused = "no builder of this version uses it";
    match std::fs::OpenOptions::new().read(true).write(true).open(device) {
        Ok(_) => Finding::ok("kvm", format!("{} opens", device.display())).so(unused),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Finding::ok("kvm", format!("no {}", device.display())).so(unused)
        }
        Err(error) => Finding::warning("kvm", format!("{} does not open: {error}", device.display()))
            .so(unused)
            .remedy("sudo usermod -aG kvm \"$USER\"   # then log in again"),
    }
}

/// `docker`: `host` is the value of `DOCKER_HOST`.
pub fn docker(host: Option<&str>) -> Finding {
    let unused = "no builder of this version uses it";
    let socket = match host.filter(|host| !host.is_empty()) {
        None => PathBuf::from("/var/run/docker.sock"),
        Some(host) => match host.strip_prefix("unix://") {
            Some(path) => PathBuf::from(path),
            None => return Finding::ok("docker", "DOCKER_HOST is not a socket of this machine: not asked").so(unused),
        },
    };
    if !socket.exists() {
        return Finding::ok("docker", format!("no {}", socket.display())).so(unused);
    }
    match engine_version(&socket) {
        Ok(version) => Finding::ok("docker", format!("Docker Engine {version} at {}", socket.display())).so(unused),
        Err(error) => Finding::warning("docker", format!("{} does not answer: {error}", socket.display()))
            .so(unused)
            .remedy("sudo usermod -aG docker \"$USER\"   # then log in again; or start dockerd"),
    }
}

/// Asks an engine for its version, by its own API.
fn engine_version(socket: &Path) -> std::io::Result<String> {
    const LIMIT: Option<Duration> = Some(Duration::from_secs(3));
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(LIMIT)?;
    stream.set_write_timeout(LIMIT)?;
    stream.write_all(b"GET /version HTTP/1.0\r\nHost: docker\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(64 * 1024).read_to_end(&mut answer)?;
    let text = String::from_utf8_lossy(&answer);
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let json: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let version = json["Version"].as_str().unwrap_or_default();
    let version: String = version.chars().filter(char::is_ascii_graphic).take(40).collect();
    if version.is_empty() { Err(std::io::Error::other("its answer holds no version")) } else { Ok(version) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::time::UNIX_EPOCH;

    use super::super::check::Status;
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(version("5.10.0-18-amd64"), Some((5, 10)));
        assert_eq!(version("6.8"), Some((6, 8)));
        assert!(version("5.10.0").unwrap() > OLDEST);
        assert!(version("4.19.0").unwrap() < OLDEST);
    }

    #[test]
    fn a_clock_that_is_wrong_is_told() {
        let program = Path::new("/proc/self/exe");
        let now = SystemTime::now();
        assert_eq!(clock(now, program, None).status, Status::Ok);
        assert_eq!(clock(now, program, Some(now - Duration::from_mins(4))).status, Status::Ok);
        assert_eq!(clock(now, program, Some(now - Duration::from_mins(6))).status, Status::Problem);
        assert_eq!(clock(now, program, Some(now + Duration::from_mins(6))).status, Status::Problem);
        assert_eq!(clock(UNIX_EPOCH, program, None).status, Status::Problem);
    }

    #[test]
    fn an_engine_is_asked_for_its_version() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("docker.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let engine = std::thread::spawn(move || {
            for answer in ["HTTP/1.0 200 OK\r\n\r\n{\"Version\":\"20.10.24\"}", "HTTP/1.0 500 No\r\n\r\n"] {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.read(&mut [0; 512]).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        let host = format!("unix://{}", path.display());
        assert!(docker(Some(&host)).found.starts_with("Docker Engine 20.10.24 at"));
        assert_eq!(docker(Some(&host)).status, Status::Warning);
        engine.join().unwrap();
        assert_eq!(docker(Some(&format!("{host}.absent"))).status, Status::Ok);
    }

    #[test]
    fn absent_programs_are_named_with_their_packages() {
        let found = kvm(Path::new("/nonexistent/kvm"));
        assert_eq!(found.status, Status::Ok);
        assert!(found.found.contains("no builder"));
    }
}
