"""Makes a tiny apt repository and a tiny package index below a directory, with what the host has.

  repository.py ROOT            both
  repository.py ROOT VERSION    the next state of the apt repository, with this version in place of the last
"""

import base64
import gzip
import hashlib
import os
import pathlib
import subprocess
import sys
import zipfile

root = pathlib.Path(sys.argv[1])
version = (sys.argv[2:] or ["1.0"])[0]


def write(path, content):
    earlier = path.stat().st_mtime if path.exists() else None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    if earlier is not None:
        # Validators are made of times in seconds: two states of one second would be one to anybody who asks.
        os.utime(path, (earlier + 10, earlier + 10))


def apt():
    tree = root / "tree"
    about = "Maintainer: Tests <tests@example.org>\nDescription: tiny\n"
    control = f"Package: tiny\nVersion: {version}\nArchitecture: all\n{about}"
    write(tree / "DEBIAN/control", control)
    write(tree / "usr/share/tiny/hello", "hello from tiny\n")
    name = f"pool/main/t/tiny/tiny_{version}_all.deb"
    deb = root / "www/debian" / name
    deb.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Zxz", "-b", tree, deb], check=True, capture_output=True)
    body = deb.read_bytes()
    packages = f"{control}Filename: {name}\nSize: {len(body)}\nSHA256: {hashlib.sha256(body).hexdigest()}\n\n".encode()
    arch = subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True, text=True).stdout.strip()
    suite = root / "www/debian/dists/stable"
    lines = []
    for suffix, content in ("", packages), (".gz", gzip.compress(packages)):
        digest = hashlib.sha256(content).hexdigest()
        write(suite / f"main/binary-{arch}/Packages{suffix}", content)
        write(suite / f"main/binary-{arch}/by-hash/SHA256/{digest}", content)
        lines.append(f" {digest} {len(content)} main/binary-{arch}/Packages{suffix}\n")
    head = f"Origin: Tests\nSuite: stable\nCodename: stable\nArchitectures: {arch}\nComponents: main\n"
    date = "Date: Sat, 01 Nov 2025 00:00:00 UTC\nAcquire-By-Hash: yes\nSHA256:\n"
    write(suite / "Release", head + date + "".join(lines))


def wheel():
    info = "tiny_wheel-1.0.dist-info"
    files = {
        "tiny_wheel.py": "print('hello from the wheel')\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: tiny-wheel\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{name},sha256={digest},{len(text)}\n"
    files[f"{info}/RECORD"] = record + f"{info}/RECORD,,\n"
    path = root / "www/packages/aa/bb" / ("c" * 60) / "tiny_wheel-1.0-py3-none-any.whl"
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    link = f"../../{path.relative_to(root / 'www')}#sha256={digest}"
    write(root / "www/simple/tiny-wheel/index.html", f'<!DOCTYPE html><a href="{link}">{path.name}</a>\n')


apt()
if not sys.argv[2:]:
    wheel()
