"""A corporate network in small: a network namespace whose only way out is a squid that wants user and password, and that
opens all TLS and signs it again with a CA of its own. In it: `larder proxy check`, `larder doctor` and `larder build`, as
they should be set and with each setting wrong. As root; prints JSON.

  corporate.py [--quick-start TEMPLATE] [CASE...]

With a template, that is built instead of a root file system of one program: squid then has to reach its mirrors.
"""

import argparse
import http.server
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tarfile
import threading
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import netbed  # noqa: E402
from origin import free_port, wait_until  # noqa: E402
from world import Authority  # noqa: E402

NAME = "packages.example.org"
USER, PASSWORD = "larder", "s3cret@x"
TEMPLATE = """
source "rootfs" "tiny" {
  base          = "https://@WHERE@/base.tar"
  base_checksum = "file:https://@WHERE@/base.tar.sha256"
  output        = "image.tar"
}
build {
  sources = ["source.rootfs.tiny"]
  provisioner "shell" {
    inline = ["echo built"]
  }
}
"""


class Network:
    """The namespace; `outside` is the address of the host on the wire to it."""

    def __init__(self, work):
        holder = ["unshare", "--net", "--mount", "--propagation", "private", "sleep", "infinity"]
        self.holder = subprocess.Popen(holder)
        own = os.readlink("/proc/self/ns/net")
        wait_until("the namespace", lambda: self._net() not in (own, None))
        # Of the range for benchmarks (RFC 2544), which no network has.
        block = f"198.18.{random.randrange(256)}.{random.randrange(64) * 4}"
        base = block.rsplit(".", 1)[0] + "."
        last = int(block.rsplit(".", 1)[1])
        self.outside, inside = f"{base}{last + 1}", f"{base}{last + 2}"
        veth = f"lt{random.randrange(1 << 32):08x}"
        ip("link", "add", veth, "type", "veth", "peer", "name", "eth0", "netns", str(self.holder.pid))
        ip("addr", "add", f"{self.outside}/30", "dev", veth)
        ip("link", "set", veth, "up")
        for command in (["addr", "add", f"{inside}/30", "dev", "eth0"], ["link", "set", "eth0", "up"], ["link", "set", "lo", "up"]):
            self.run(["ip", *command]).check_returncode()
        # Nobody answers questions for names: the proxy alone knows them.
        (work / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        self.run(["mount", "--bind", work / "resolv.conf", "/etc/resolv.conf"]).check_returncode()

    def _net(self):
        try:
            return os.readlink(f"/proc/{self.holder.pid}/ns/net")
        except OSError:
            return None

    def run(self, command, cwd="/", **more):
        """Runs a command in it to its end, in a directory as it is seen there."""
        there = ["sh", "-c", 'cd "$0" && exec "$@"', str(cwd)]
        enter = ["nsenter", "-t", str(self.holder.pid), "-n", "-m", *there, *map(str, command)]
        return subprocess.run(enter, capture_output=True, stdin=subprocess.DEVNULL, text=True, errors="replace", **more)

    def end(self):
        # The wire goes with the namespace.
        self.holder.kill()
        self.holder.wait()


def ip(*args):
    subprocess.run(["ip", *args], check=True)


class Squid:
    """The way out."""

    def __init__(self, work, address, roots):
        self.work, self.address, self.port = work / "squid", address, free_port()
        self.work.mkdir()
        self.ca = Authority(self.work, "Example Corp TLS inspection")
        hashed = subprocess.run(["openssl", "passwd", "-apr1", PASSWORD], check=True, capture_output=True, text=True)
        (self.work / "users").write_text(f"{USER}:{hashed.stdout}")
        (self.work / "hosts").write_text(f"{address} {NAME}\n")
        helpers = pathlib.Path("/usr/lib/squid")
        store = [helpers / "security_file_certgen", "-c", "-s", self.work / "certificates", "-M", "4MB"]
        subprocess.run(store, check=True, capture_output=True)
        (self.work / "squid.conf").write_text(f"""
http_port {address}:{self.port} ssl-bump generate-host-certificates=on dynamic_cert_mem_cache_size=4MB tls-cert={self.ca.pem} tls-key={self.ca.key}
sslcrtd_program {helpers}/security_file_certgen -s {self.work}/certificates -M 4MB
sslcrtd_children 2
acl first at_step SslBump1
ssl_bump peek first
ssl_bump bump all
tls_outgoing_options cafile={roots} min-version=1.2
auth_param basic program {helpers}/basic_ncsa_auth {self.work}/users
acl known proxy_auth REQUIRED
http_access allow known
http_access deny all
cache deny all
hosts_file {self.work}/hosts
access_log stdio:{self.work}/access.log
cache_log {self.work}/cache.log
pid_filename none
pinger_enable off
coredump_dir {self.work}
shutdown_lifetime 0 seconds
""")
        # It gives up root.
        subprocess.run(["chown", "-R", "proxy", self.work], check=True)
        self.name = f"corporate{os.getpid()}x{self.port}"
        command = ["squid", "-n", self.name, "-N", "-f", self.work / "squid.conf"]
        self.output = open(self.work / "output", "wb")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output)
        wait_until("squid to listen", self._listens)

    def _listens(self):
        if self.process.poll() is not None:
            raise RuntimeError((self.work / "output").read_text()[-2000:])
        with socket.socket() as probe:
            return probe.connect_ex((self.address, self.port)) == 0

    def log(self):
        path = self.work / "access.log"
        return path.read_text() if path.exists() else ""

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.output.close()
        for left in pathlib.Path("/dev/shm").glob(f"{self.name}-*"):
            left.unlink()


def origin(work, address, files):
    """Serves `files` over TLS; the port, and the CA."""
    ca = Authority(work, "CA of the origins")

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_GET(self):
            body = files.get(self.path)
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body or b"")

        do_HEAD = do_GET

    server = http.server.ThreadingHTTPServer((address, 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*ca.certificate("origin", [NAME]))
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port, ca


def base(work):
    """A root file system of one program, as a tar, with its digest."""
    import hashlib

    root = work / "base"
    for name in ("bin", "dev", "etc", "proc", "root", "run", "sys", "tmp"):
        (root / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin/busybox")
    for applet in ("sh", "cat", "chmod", "cp", "echo", "ls", "mkdir", "mv", "rm", "test", "true"):
        (root / "bin" / applet).symlink_to("busybox")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    with tarfile.open(work / "base.tar", "w") as archive:
        archive.add(root, ".")
    body = (work / "base.tar").read_bytes()
    digest = hashlib.sha256(body).hexdigest()
    return {"/": b"hello\n", "/base.tar": body, "/base.tar.sha256": f"{digest}  base.tar\n".encode()}


class Bed:
    def __init__(self, work, template):
        self.work, self.template = work, template
        self.network = Network(work)
        outside = self.network.outside
        port, ca = origin(work, outside, base(work))
        self.where = f"{NAME}:{port}"
        roots = work / "roots.pem"
        host = os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt"
        roots.write_bytes(pathlib.Path(host).read_bytes() + b"\n" + ca.pem.read_bytes())
        roots.chmod(0o644)
        self.squid = Squid(work, outside, roots)
        self.count = 0

    def settings(self, case):
        user = {"no credentials": "", "wrong password": f"{USER}:wrong@"}.get(case, f"{USER}:s3cret%40x@")
        port = free_port() if case == "proxy down" else self.squid.port
        file = [] if case == "missing root" else ["--ca-file", self.squid.ca.pem]
        host = "proxy.invalid" if case == "proxy unknown" else self.squid.address
        near = ["--no-proxy", "example.org"] if case == "no_proxy" else []
        if case == "no proxy":
            return file
        return ["--upstream-proxy", f"http://{user}{host}:{port}", *file, *near]

    def larder(self, *args, timeout=1800):
        self.count += 1
        program = os.path.abspath(os.environ.get("LARDER") or HERE.parents[2] / "target/debug/larder")
        home = self.work / f"home-{self.count}"
        home.mkdir()
        env = {"PATH": os.environ["PATH"], "HOME": str(home), "COLUMNS": "80", "LARDER_STATE_DIR": str(home / "state")}
        env["LARDER_CACHE_DIR"] = os.environ.get("LARDER_CACHE_DIR") or str(home / "cache")
        if "SSL_CERT_FILE" in os.environ:
            env["SSL_CERT_FILE"] = os.environ["SSL_CERT_FILE"]
        begun = time.monotonic()
        run = self.network.run([program, *args], env=env, cwd=home, timeout=timeout)
        seconds = round(time.monotonic() - begun, 1)
        return {"code": run.returncode, "stdout": run.stdout, "stderr": run.stderr, "seconds": seconds}

    def case(self, case):
        settings = self.settings(case)
        url = f"https://{self.where}/"
        if self.template and case == "right":
            build = [self.template]
        else:
            template = self.work / f"{case.replace(' ', '-')}.pkr.hcl"
            text = TEMPLATE.replace("@WHERE@", self.where).replace("image.tar", f"{template.stem}.tar")
            template.write_text(text)
            build = [template]
        return {
            "check": self.larder("proxy", "check", url, *settings),
            "json": json.loads(self.larder("proxy", "check", "--json", url, *settings)["stdout"]),
            "doctor": json.loads(
                self.larder("doctor", "--json", "--mirror", f"public.example.org=https://{self.where}/", *settings)["stdout"]
            ),
            "build": self.larder("build", "--ui=plain", *settings, *build),
        }

    def end(self):
        self.squid.end()
        self.network.end()


CASES = ["right", "no credentials", "wrong password", "missing root", "proxy down", "proxy unknown", "no_proxy", "no proxy"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick-start")
    parser.add_argument("cases", nargs="*", default=CASES)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    work = netbed.folder("larder-corporate.")
    bed = None
    try:
        template = arguments.quick_start and os.path.abspath(arguments.quick_start)
        bed = Bed(work, template)
        told = {case: bed.case(case) for case in arguments.cases}
        told["log"] = bed.squid.log().splitlines()[-20:]
    finally:
        if bed:
            bed.end()
        netbed.remove(work)
    json.dump(told, sys.stdout, indent=1)


if __name__ == "__main__":
    if os.environ.get(netbed.MARK) != "processes":
        # All that is started ends with the first process, however that ends.
        os.environ[netbed.MARK] = "processes"
        alone = ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "--propagation", "private"]
        if "--quick-start" not in sys.argv:
            # What the proxy is asked for is here, so that not even a link of the host's is needed.
            alone.append("--net")
        os.execvp("unshare", [*alone, sys.executable, *sys.argv])
    ip("link", "set", "lo", "up")
    main()
