//! The real `larder proxy`, as it is released.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::process::{Running, Start, free_port};

/// The program: `$LARDER`, or what `cargo build --release` has made.
pub(crate) fn program() -> Result<PathBuf> {
    if let Some(given) = std::env::var_os("LARDER") {
        return Ok(fs::canonicalize(given)?);
    }
    // Benchmarks lie in `deps` beside it.
    let own = std::env::current_exe()?;
    let built = own.parent().and_then(Path::parent).map(|folder| folder.join("larder"));
    built
        .filter(|path| path.exists())
        .ok_or_else(|| "no larder: build it by `cargo build --release -p larder`, or name it in LARDER".into())
}

/// Starts it with a cache, a state and a home below `folder`, and waits until it listens.
pub(crate) async fn start(folder: &Path, settings: &[(&'static str, String)]) -> Result<(Running, u16)> {
    let port = free_port()?;
    let mut env = vec![
        ("HOME", folder.display().to_string()),
        ("LARDER_CACHE_DIR", folder.join("cache").display().to_string()),
        ("LARDER_STATE_DIR", folder.join("state").display().to_string()),
        ("LARDER_NO_PROXY", "*".to_owned()),
    ];
    env.extend_from_slice(settings);
    let mut command = vec![program()?.display().to_string()];
    command.extend(["proxy", "--quiet", "--listen"].map(str::to_owned));
    command.push(format!("127.0.0.1:{port}"));
    let mut running = Start { name: "larder", command, user: None, env, folder }.run()?;
    running.listens(port).await?;
    Ok((running, port))
}
