"""The servers that package managers fetch from, on ports 80 and 443 of a network of the test's own (see netbed), and the
package managers, each fetching one package. What the servers are sent is kept as it came."""

import os
import pathlib
import socket
import ssl
import subprocess
import sys
import threading

HERE = pathlib.Path(__file__).resolve().parent
HOSTS = [f"{name}.example.org" for name in ("deb", "pypi", "npm", "index", "crates", "git", "files", "mark")]
LIMIT = 60


class Failed(Exception):
    """A client did not get what it wanted."""


def openssl(*args, cwd):
    subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=cwd)


class Authority:
    """A CA below a folder."""

    def __init__(self, work, name):
        self.work, self.name = work, name.replace(" ", "-")
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        out = ["-keyout", f"{self.name}.key", "-out", f"{self.name}.pem", "-days", "3", "-subj", f"/CN={name}"]
        openssl("req", "-x509", *curve, *out, cwd=work)
        self.pem, self.key = work / f"{self.name}.pem", work / f"{self.name}.key"

    def certificate(self, name, names):
        """Certificate and key of a server with these names."""
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        openssl("req", *curve, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}", cwd=self.work)
        alternative = ",".join(f"DNS:{each}" for each in names)
        (self.work / f"{name}.ext").write_text(f"subjectAltName={alternative}\nbasicConstraints=CA:FALSE\n")
        sign = ["-CA", self.pem, "-CAkey", self.key, "-CAcreateserial", "-days", "3", "-extfile", f"{name}.ext"]
        openssl("x509", "-req", "-in", f"{name}.csr", *map(str, sign), "-out", f"{name}.pem", cwd=self.work)
        return self.work / f"{name}.pem", self.work / f"{name}.key"


def read_head(stream):
    """The bytes of a request's head, and what came after them."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = stream.recv(65536)
        if not more:
            return None, b""
        data += more
    head, rest = data.split(b"\r\n\r\n", 1)
    return head + b"\r\n\r\n", rest


def fields_of(head):
    lines = head.decode("latin-1").split("\r\n")[1:-2]
    return {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}


class Origins:
    """The servers. `heads` is what they were sent, each with whether it came over TLS."""

    def __init__(self, work):
        self.root = work / "origin"
        self.root.mkdir()
        for script in ("repository.py", "ecosystems.py"):
            subprocess.run([sys.executable, HERE.parent / script, self.root], check=True, capture_output=True)
        self.ca = Authority(work, "CA of the origins")
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*self.ca.certificate("origins", [*HOSTS, "example.org", "*.example.org"]))
        self.heads, self.lock = [], threading.Lock()
        for port, tls in ((80, False), (443, True)):
            listener = socket.create_server(("127.0.0.1", port), backlog=128)
            threading.Thread(target=self._accept, args=(listener, tls), daemon=True).start()

    def _accept(self, listener, tls):
        while True:
            stream, _ = listener.accept()
            threading.Thread(target=self._serve, args=(stream, tls), daemon=True).start()

    def _serve(self, stream, tls):
        try:
            stream.settimeout(LIMIT)
            if tls:
                stream = self.context.wrap_socket(stream, server_side=True)
            with stream:
                head, body = read_head(stream)
                if head is None:
                    return
                with self.lock:
                    self.heads.append((tls, head))
                stream.sendall(self._answer(head, body, stream))
        except OSError:
            pass

    def _answer(self, head, body, stream):
        method, target, _ = head.split(b"\r\n")[0].decode("latin-1").split(" ")
        fields = fields_of(head)
        if "host" not in fields:
            return answer("400 Bad Request", b"")
        if "100-continue" in fields.get("expect", ""):
            stream.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if fields["host"].startswith("git."):
            while len(body) < int(fields.get("content-length", 0)):
                body += stream.recv(65536)
            if "chunked" in fields.get("transfer-encoding", ""):
                while not body.endswith(b"0\r\n\r\n"):
                    body += stream.recv(65536)
                body = unchunk(body)
            return self._git(method, target, fields, body)
        path = self._file(fields["host"].split(":")[0], target.split("?")[0])
        if path is None or not path.is_file():
            return answer("404 Not Found", b"")
        kind = {".html": "text/html", ".json": "application/json"}.get(path.suffix, "application/octet-stream")
        content = path.read_bytes()
        etag = f'ETag: "{len(content)}-{path.stat().st_mtime_ns}"'
        # A cookie, as trackers set them.
        return answer("200 OK", content if method != "HEAD" else b"", kind, etag, len(content))

    def _file(self, host, target):
        www = self.root / "www"
        if host == "npm.example.org":
            return self.root / "packument.json" if target == "/tiny-npm" else www / "npm" / target.lstrip("/")
        below = {"index.example.org": "cargo/index", "crates.example.org": "cargo/crates"}.get(host, "")
        if host == "files.example.org":
            return self.root / "repositories" / target.lstrip("/")
        path = www / below / target.lstrip("/")
        return path / "index.html" if path.is_dir() else path

    def _git(self, method, target, fields, body):
        path, _, query = target.partition("?")
        env = {
            **os.environ,
            "GIT_PROJECT_ROOT": str(self.root / "repositories"),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": fields.get("git-protocol", ""),
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": method,
            "CONTENT_TYPE": fields.get("content-type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": fields.get("content-encoding", ""),
        }
        run = ["git", "-c", "safe.directory=*", "http-backend"]
        said = subprocess.run(run, input=body, env=env, stdout=subprocess.PIPE, check=True).stdout
        head, _, content = said.partition(b"\r\n\r\n")
        given = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        status = given.pop("Status", "200 OK")
        kind = given.pop("Content-Type", "text/plain")
        return answer(status, content, kind, *(f"{name}: {value}" for name, value in given.items()))


def unchunk(body):
    whole = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size.split(b";")[0], 16)
        if not length:
            break
        whole, body = whole + body[:length], body[length + 2 :]
    return whole


def answer(status, body, kind="text/plain", *more, **lengths):
    extra = [each for each in more if isinstance(each, str)]
    length = next((each for each in more if isinstance(each, int)), len(body))
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {length}", *extra, "Connection: close"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body
