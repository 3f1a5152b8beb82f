"""Makes what a repository manager holds: a package of npm, and an OCI image to push into a registry."""

import base64
import gzip
import hashlib
import io
import json
import pathlib
import sys
import tarfile

root, own = pathlib.Path(sys.argv[1]), sys.argv[2]


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return content


def archive(files):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text), 0o644
            tar.addfile(entry, io.BytesIO(text.encode()))
    return raw.getvalue()


def npm():
    manifest = {"name": "tiny", "version": "1.0.0", "main": "index.js"}
    body = gzip.compress(archive({"package/package.json": json.dumps(manifest), "package/index.js": ""}), mtime=0)
    write(root / "npm/tiny-1.0.0.tgz", body)
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(body).digest()).decode()
    dist = {"tarball": f"{own}/tiny/-/tiny-1.0.0.tgz", "integrity": integrity}
    versions = {"1.0.0": manifest | {"dist": dist}}
    packument = {"name": "tiny", "dist-tags": {"latest": "1.0.0"}, "versions": versions}
    write(root / "npm/packument.json", json.dumps(packument))


def oci():
    image = root / "image"

    def blob(content, media):
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        digest = hashlib.sha256(content).hexdigest()
        write(image / "blobs/sha256" / digest, content)
        return {"mediaType": media, "digest": f"sha256:{digest}", "size": len(content)}

    base = "application/vnd.oci.image"
    tar = archive({"hello": "hello from a layer\n"})
    layer = blob(gzip.compress(tar, mtime=0), f"{base}.layer.v1.tar+gzip")
    rootfs = {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(tar).hexdigest()]}
    config = blob({"architecture": "amd64", "os": "linux", "rootfs": rootfs}, f"{base}.config.v1+json")
    media = f"{base}.manifest.v1+json"
    manifest = blob({"schemaVersion": 2, "mediaType": media, "config": config, "layers": [layer]}, media)
    write(image / "oci-layout", json.dumps({"imageLayoutVersion": "1.0.0"}))
    named = manifest | {"annotations": {"org.opencontainers.image.ref.name": "1"}}
    write(image / "index.json", json.dumps({"schemaVersion": 2, "manifests": [named]}))


npm()
oci()
