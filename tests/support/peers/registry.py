"""A real registry (Debian's docker-registry), and a front before it that asks for tokens and redirects to signed URLs."""

import base64
import gzip
import hashlib
import hmac
import http.client
import http.server
import io
import json
import os
import re
import secrets
import select
import socket
import ssl
import subprocess
import tarfile
import threading
import time
import urllib.parse

from origin import free_port, wait_until

LIFE = 60
SCOPED = re.compile(r"/v2/(?P<repository>.+)/(?P<kind>blobs|manifests)/(?P<name>[^/]+)$")


class Registry:
    """docker-registry on a port of its own, open to all, with images that the test pushes."""

    def __init__(self, work):
        self.port = free_port()
        self.work = work
        config = {
            "version": "0.1",
            "log": {"level": "error"},
            "storage": {"filesystem": {"rootdirectory": f"{work}/storage"}},
            "http": {"addr": f"127.0.0.1:{self.port}"},
        }
        # JSON is YAML.
        (work / "registry.yml").write_text(json.dumps(config))
        with open(work / "registry.log", "wb") as log:
            command = ["docker-registry", "serve", str(work / "registry.yml")]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until("docker-registry to listen", self.listens)

    def listens(self):
        try:
            return self.ask("GET", "/v2/").status == 200
        except OSError:
            return False

    def ask(self, method, path, body=None, fields=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, body, fields or {})
        response = connection.getresponse()
        response.content = response.read()
        connection.close()
        return response

    def push_blob(self, repository, content):
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        place = self.ask("POST", f"/v2/{repository}/blobs/uploads/").getheader("Location")
        parts = urllib.parse.urlsplit(place)
        answer = self.ask("PUT", f"{parts.path}?{parts.query}&digest={digest}", content)
        if answer.status != 201:
            raise RuntimeError(f"a blob was not taken: {answer.status} {answer.content}")
        return {"digest": digest, "size": len(content)}

    def push(self, repositories):
        """The same image under each of these names, as tag 1."""
        files = io.BytesIO()
        with tarfile.open(fileobj=files, mode="w") as archive:
            entry = tarfile.TarInfo("data")
            entry.size = 3_000_000
            archive.addfile(entry, io.BytesIO(os.urandom(entry.size)))
        diff = "sha256:" + hashlib.sha256(files.getvalue()).hexdigest()
        layer = gzip.compress(files.getvalue(), 1)
        config = json.dumps(
            {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [diff]}}
        ).encode()
        kind = "application/vnd.docker."
        for repository in repositories:
            manifest = {
                "schemaVersion": 2,
                "mediaType": kind + "distribution.manifest.v2+json",
                "config": {"mediaType": kind + "container.image.v1+json", **self.push_blob(repository, config)},
                "layers": [
                    {"mediaType": kind + "image.rootfs.diff.tar.gzip", **self.push_blob(repository, layer)}
                ],
            }
            fields = {"Content-Type": manifest["mediaType"]}
            answer = self.ask("PUT", f"/v2/{repository}/manifests/1", json.dumps(manifest), fields)
            if answer.status != 201:
                raise RuntimeError(f"the manifest was not taken: {answer.status} {answer.content}")

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Front:
    """Serves over TLS, by the first label of the host's name: `open` passes to the registry, `token` wants a token of
    `auth` first, `signed` wants a token and sends those who ask for a blob to `cdn`, which wants no Authorization, and
    a signature that is younger than a minute. `opaque` does so too, to a path that is another for each repository.

    Its names lead here by a proxy of its own, as in a company."""

    def __init__(self, work, registry):
        self.registry, self.log, self.lock = registry, [], threading.Lock()
        self.tokens, self.objects, self.secret = {}, {}, secrets.token_bytes(16)
        self.ca, certificate, key = certificates(work)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        handler = type("Handler", (Handler,), {"front": self})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

        proxy = type("Proxy", (Proxy,), {"behind": self.server.server_address})
        self.proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), proxy)
        self.proxy.daemon_threads = True
        threading.Thread(target=self.proxy.serve_forever, daemon=True).start()

    def options(self):
        """What Larder is to be told."""
        return "--ca-file", str(self.ca), "--upstream-proxy", f"http://127.0.0.1:{self.proxy.server_port}"

    def take_log(self):
        with self.lock:
            log, self.log = self.log, []
        return log

    def forget_signatures(self):
        """As if a minute had passed."""
        self.secret = secrets.token_bytes(16)

    def sign(self, path, date):
        return hmac.new(self.secret, f"{path} {date}".encode(), "sha256").hexdigest()


class Proxy(http.server.BaseHTTPRequestHandler):
    """Opens tunnels, all to one address."""

    behind = None

    def log_message(self, *_):
        pass

    def do_CONNECT(self):
        with socket.create_connection(self.behind) as far:
            self.send_response(200)
            self.end_headers()
            pair = {self.connection: far, far: self.connection}
            while True:
                for ready in select.select(list(pair), [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    pair[ready].sendall(data)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    front = None

    def log_message(self, *_):
        pass

    def do_GET(self):
        address = urllib.parse.urlsplit(self.path)
        part, rest = self.headers["Host"].split(".")[0], address.path
        scoped = SCOPED.match(rest)
        authorization = self.headers.get("Authorization", "")
        answer = getattr(self, "answer_" + part)
        status, fields, body = answer(rest, dict(urllib.parse.parse_qsl(address.query)), scoped, authorization)
        sent = 0 if self.command == "HEAD" else len(body)
        kind = scoped["kind"] if scoped else "blobs" if part == "cdn" else part
        with self.front.lock:
            self.front.log.append((part, kind, self.command, rest, status, sent, bool(authorization)))
        self.send_response(status)
        if status != 304:
            fields.setdefault("Content-Length", len(body))
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()
        if sent:
            self.wfile.write(body)

    do_HEAD = do_GET

    def pass_on(self, path):
        names = "Accept", "If-None-Match", "Range", "If-Range"
        fields = {name: ", ".join(self.headers.get_all(name)) for name in names if name in self.headers}
        answer = self.front.registry.ask(self.command, path, None, fields)
        kept = "Content-Type", "Docker-Content-Digest", "ETag", "Cache-Control", "Content-Range", "Accept-Ranges"
        fields = {name: answer.getheader(name) for name in kept if answer.getheader(name)}
        if self.command == "HEAD":
            fields["Content-Length"] = answer.getheader("Content-Length", "0")
        return answer.status, fields, answer.content

    def answer_open(self, path, query, scoped, authorization):
        return self.pass_on(path)

    def challenge(self, scoped, authorization):
        """The answer to who has no token, or one for another repository."""
        repository = scoped["repository"] if scoped else ""
        scope_of = self.front.tokens.get(authorization.removeprefix("Bearer "))
        if scope_of is not None and repository in ("", scope_of):
            return None
        scope = f',scope="repository:{repository}:pull"' if repository else ""
        wanted = f'Bearer realm="https://auth.example.org/token",service="registry"{scope}'
        return 401, {"WWW-Authenticate": wanted, "Content-Type": "application/json"}, b'{"errors":[]}'

    def answer_token(self, path, query, scoped, authorization):
        return self.challenge(scoped, authorization) or self.pass_on(path)

    def answer_opaque(self, path, query, scoped, authorization):
        return self.answer_signed(path, query, scoped, authorization, opaque=True)

    def answer_signed(self, path, query, scoped, authorization, opaque=False):
        refused = self.challenge(scoped, authorization)
        if refused or not scoped or scoped["kind"] != "blobs":
            return refused or self.pass_on(path)
        date, digest = str(int(time.time())), scoped["name"].removeprefix("sha256:")
        path = f"/docker/registry/v2/blobs/sha256/{digest[:2]}/{digest}/data"
        if opaque:
            path = "/objects/" + hashlib.sha256(f"{scoped['repository']} {digest}".encode()).hexdigest()
        self.front.objects[path] = f"/v2/{scoped['repository']}/blobs/{scoped['name']}"
        query = {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": "registry",
            "X-Amz-Date": date,
            "X-Amz-Expires": LIFE,
            "X-Amz-Signature": self.front.sign(path, date),
        }
        return 307, {"Location": f"https://cdn.example.org{path}?{urllib.parse.urlencode(query)}"}, b""

    def answer_auth(self, path, query, scoped, authorization):
        token = base64.urlsafe_b64encode(secrets.token_bytes(24)).decode()
        self.front.tokens[token] = query.get("scope", "").removeprefix("repository:").removesuffix(":pull")
        body = json.dumps({"token": token, "expires_in": LIFE}).encode()
        return 200, {"Content-Type": "application/json"}, body

    def answer_cdn(self, path, query, scoped, authorization):
        date = query.get("X-Amz-Date", "0")
        if authorization:
            return 400, {}, b"only one way to authorize is allowed"
        valid = hmac.compare_digest(self.front.sign(path, date), query.get("X-Amz-Signature", ""))
        if not valid or time.time() > int(date) + LIFE:
            return 403, {}, b"the signature does not hold"
        return self.pass_on(self.front.objects[path])


def certificates(work):
    """A CA of the test's own and a certificate for the names of the front: their files."""
    script = """
        set -e
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 2 \\
          -subj '/CN=CA of a test'
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout front.key -out front.csr -subj /CN=front
        printf 'subjectAltName=DNS:*.example.org\\nbasicConstraints=CA:FALSE\\n' >ext
        openssl x509 -req -in front.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out front.pem
    """
    subprocess.run(["sh", "-c", script], cwd=work, check=True, capture_output=True)
    return work / "ca.pem", work / "front.pem", work / "front.key"
