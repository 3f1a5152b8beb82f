"""Makes below a directory what npm, cargo, Go and git fetch: one small package each, as their servers lay them out."""

import base64
import gzip
import hashlib
import io
import json
import pathlib
import subprocess
import sys
import tarfile
import zipfile

root = pathlib.Path(sys.argv[1])
www = root / "www"


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def tarball(folder, files):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size, entry.mode = len(text), 0o644
            archive.addfile(entry, io.BytesIO(text.encode()))
    return gzip.compress(raw.getvalue(), mtime=0)


def npm():
    manifest = {"name": "tiny-npm", "version": "1.0.0", "main": "index.js"}
    body = tarball("package", {"package.json": json.dumps(manifest), "index.js": "module.exports = 'hello from npm';\n"})
    write(www / "npm/tiny-npm/-/tiny-npm-1.0.0.tgz", body)
    dist = {
        "tarball": "https://npm.example.org/tiny-npm/-/tiny-npm-1.0.0.tgz",
        "shasum": hashlib.sha1(body).hexdigest(),
        "integrity": "sha512-" + base64.b64encode(hashlib.sha512(body).digest()).decode(),
    }
    versions = {"1.0.0": {**manifest, "dist": dist}}
    packument = {"name": "tiny-npm", "dist-tags": {"latest": "1.0.0"}, "versions": versions}
    write(root / "packument.json", json.dumps(packument))


def cargo():
    toml = '[package]\nname = "tiny-crate"\nversion = "1.0.0"\nedition = "2021"\n'
    body = tarball("tiny-crate-1.0.0", {"Cargo.toml": toml, "src/lib.rs": "pub fn hello() {}\n"})
    write(www / "cargo/crates/tiny-crate/tiny-crate-1.0.0.crate", body)
    config = {"dl": "https://crates.example.org/{crate}/{crate}-{version}.crate"}
    write(www / "cargo/index/config.json", json.dumps(config))
    line = {"name": "tiny-crate", "vers": "1.0.0", "deps": [], "cksum": hashlib.sha256(body).hexdigest()}
    write(www / "cargo/index/ti/ny/tiny-crate", json.dumps({**line, "features": {}, "yanked": False}) + "\n")


def go():
    module = "tiny.example.org/tiny"
    folder, mod = www / f"go/{module}/@v", f"module {module}\n\ngo 1.19\n"
    write(folder / "list", "v1.0.0\n")
    write(folder / "v1.0.0.info", '{"Version":"v1.0.0","Time":"2025-11-01T00:00:00Z"}')
    write(folder / "v1.0.0.mod", mod)
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        archive.writestr(f"{module}@v1.0.0/go.mod", mod)
        archive.writestr(f"{module}@v1.0.0/tiny.go", 'package tiny\n\nconst Hello = "hello from Go"\n')
    write(folder / "v1.0.0.zip", raw.getvalue())


def git():
    def run(*command):
        subprocess.run(["git", *command], check=True, capture_output=True)

    work, bare = root / "work", root / "repositories/tiny.git"
    run("init", "-q", "-b", "main", str(work))
    write(work / "hello", "hello from git\n")
    run("-C", str(work), "add", "hello")
    run("-C", str(work), "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-q", "-m", "x")
    run("clone", "-q", "--bare", str(work), str(bare))
    # For clients that only know how to fetch files.
    run("-C", str(bare), "update-server-info")


npm()
cargo()
go()
git()
