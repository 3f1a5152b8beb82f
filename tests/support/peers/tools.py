"""Package managers, each fetching one package from the servers of `world`, through the Larder that is given."""

import os
import pathlib
import shutil
import subprocess

from world import Failed

LIMIT = 120


class Client:
    """Runs commands as a user whose only way out is a proxy, below a folder that is new for each."""

    def __init__(self, work, proxy, bundle):
        self.work, self.proxy, self.bundle, self.count = work, proxy, str(bundle), 0

    def folder(self):
        self.count += 1
        path = self.work / f"client-{self.count}"
        path.mkdir()
        return path

    def run(self, command, folder, **more):
        kept = {name: os.environ[name] for name in ("PATH", "RUSTUP_HOME", "LANG") if name in os.environ}
        # rustup's and pyenv's programs look for their own below HOME.
        home = pathlib.Path(os.environ.get("HOME", "/root"))
        kept.setdefault("RUSTUP_HOME", str(home / ".rustup"))
        kept.setdefault("PYENV_ROOT", str(home / ".pyenv"))
        env = {**kept, "HOME": str(folder), "http_proxy": self.proxy, "https_proxy": self.proxy}
        for name in ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "npm_config_cafile"):
            env[name] = self.bundle
        for name in ("GIT_SSL_CAINFO", "CARGO_HTTP_CAINFO"):
            env[name] = self.bundle
        command = [str(part) for part in command]
        ended = subprocess.run(
            command, cwd=folder, env={**env, **more}, capture_output=True, stdin=subprocess.DEVNULL, timeout=LIMIT
        )
        if ended.returncode:
            said = (ended.stdout + ended.stderr).decode("utf-8", "replace")
            raise Failed(f"{command[0]} ended with {ended.returncode}: {said[-1500:]}")
        return ended.stdout.decode("utf-8", "replace")


def there(path):
    if not path.exists():
        raise Failed(f"{path.name} did not arrive")


def apt(client, source, extra=()):
    folder = client.folder()
    for name in ("lists/partial", "cache/archives/partial", "etc"):
        (folder / name).mkdir(parents=True)
    (folder / "sources.list").write_text(f"deb [trusted=yes] {source} stable main\n")
    options = {
        "Dir::State::lists": folder / "lists",
        "Dir::Cache": folder / "cache",
        "Dir::Etc": folder / "etc",
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Acquire::https::CAInfo": client.bundle,
    }
    options = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    client.run(["apt-get", *options, *extra, "update"], folder)
    client.run(["apt-get", *options, *extra, "download", "tiny"], folder)
    there(folder / "tiny_1.0_all.deb")


def apt_plain(client):
    apt(client, "http://deb.example.org/debian")


def apt_tls(client):
    apt(client, "https://deb.example.org/debian")


def pip(client):
    folder = client.folder()
    command = ["python3", "-m", "pip", "download", "--no-cache-dir", "--disable-pip-version-check", "tiny-wheel"]
    client.run([*command, "-d", folder, "--index-url", "https://pypi.example.org/simple/"], folder)
    there(folder / "tiny_wheel-1.0-py3-none-any.whl")


def npm(client):
    folder = client.folder()
    (folder / "package.json").write_text('{"name": "x", "dependencies": {"tiny-npm": "^1.0.0"}}')
    quiet = ["--no-audit", "--no-fund", "--no-update-notifier", "--cache", folder / "npm-cache"]
    client.run(["npm", "install", *quiet, "--registry", "https://npm.example.org/"], folder)
    there(folder / "node_modules/tiny-npm/index.js")


def cargo(client):
    folder = client.folder()
    (folder / "src").mkdir()
    (folder / "src/lib.rs").write_text("")
    needs = 'tiny-crate = { version = "1", registry = "tiny" }'
    (folder / "Cargo.toml").write_text(
        f'[package]\nname = "x"\nversion = "0.1.0"\nedition = "2021"\n[workspace]\n[dependencies]\n{needs}\n'
    )
    index = {"CARGO_HOME": str(folder / "cargo"), "CARGO_REGISTRIES_TINY_INDEX": "sparse+https://index.example.org/"}
    client.run(["cargo", "fetch"], folder, **index)
    there(folder / "cargo/registry/cache")


def git(client):
    folder = client.folder()
    alone = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    client.run(["git", "clone", "-q", "https://git.example.org/tiny.git", folder / "clone"], folder, **alone)
    there(folder / "clone/hello")


def curl(client):
    folder = client.folder()
    client.run(["curl", "-fsS", "-o", "wheel", "https://pypi.example.org/simple/tiny-wheel/"], folder)
    there(folder / "wheel")


TOOLS = {"apt": apt_plain, "pip": pip, "npm": npm, "cargo": cargo, "git": git}


def missing():
    """Tools that are not here."""
    return [name for name in ("apt-get", "python3", "npm", "cargo", "git", "curl") if shutil.which(name) is None]
