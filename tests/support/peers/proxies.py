"""The proxies that are compared: how each is set up below a folder of its own, started and ended."""

import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys

from origin import free_port, wait_until

HERE = pathlib.Path(__file__).resolve().parent


class Proxy:
    """A proxy that runs on `port`. `title` is how the table calls it."""

    needs, package = None, None

    def __init__(self, work):
        self.work = pathlib.Path(work) / self.name
        self.work.mkdir()
        self.port = None
        self.process = None

    @classmethod
    def missing(cls):
        """Whether its program is not here."""
        return shutil.which(cls.needs) is None and not os.path.exists(cls.needs)

    def start(self):
        command, env = self.set_up()
        with open(self.work / "output", "wb") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env={**os.environ, **env}, cwd=self.work
            )
        wait_until(f"{self.name} to listen", self.listens)

    def listens(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended: {(self.work / 'output').read_text()[-2000:]}")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Larder(Proxy):
    name = title = "larder"

    def __init__(self, work, options=()):
        super().__init__(work)
        self.options = options

    @classmethod
    def missing(cls):
        return False

    def set_up(self):
        self.port = free_port()
        env = {
            "HOME": str(self.work),
            "LARDER_CACHE_DIR": str(self.work / "cache"),
            "LARDER_STATE_DIR": str(self.work / "state"),
            # So that what is large in a test need not be as large as what really is.
            "LARDER_CACHE_WHOLE_FOR_RANGE": "16M",
            # Only what it is told.
            "NO_PROXY": "" if "--upstream-proxy" in self.options else "*",
        }
        program = os.path.abspath(os.environ.get("LARDER") or HERE.parents[2] / "target/debug/larder")
        return [program, "proxy", "--json", "--listen", f"127.0.0.1:{self.port}", *self.options], env

    def listens(self):
        return super().listens() and self.bundle is not None

    @property
    def bundle(self):
        """The host's certificates with its own, once it has said where they are."""
        said = re.search("CA='(.*?)'", (self.work / "output").read_text())
        return said and said[1]


class Squid(Proxy):
    name, title, needs, package = "squid", "squid", "squid", "squid-openssl"

    def set_up(self):
        self.port = free_port()
        text = f"""
            http_port 127.0.0.1:{self.port}
            http_access allow localhost
            collapsed_forwarding on
            cache_mem 256 MB
            maximum_object_size 1 GB
            maximum_object_size_in_memory 16 MB
            cache_dir ufs {self.work}/cache 1024 16 256
            refresh_pattern -i (/cgi-bin/|\?) 0 0% 0
            refresh_pattern . 0 20% 4320
            cache_effective_user proxy
            pid_filename none
            access_log none
            pinger_enable off
            coredump_dir {self.work}
            cache_log {self.work}/cache.log
            shutdown_lifetime 0 seconds
        """
        (self.work / "squid.conf").write_text("\n".join(line.strip() for line in text.strip().splitlines()) + "\n")
        # It refuses to be root; and squids of one name share files in /dev/shm, also those that a killed one has left.
        if os.getuid() == 0:
            shutil.chown(self.work, "proxy")
        command = ["squid", "-n", f"cases{self.port}", "-N", "-f", str(self.work / "squid.conf")]
        subprocess.run([*command, "-z"], check=True, capture_output=True)
        return command, {}

    def stop(self):
        super().stop()
        for left in pathlib.Path("/dev/shm").glob(f"cases{self.port}-*"):
            left.unlink()


class TrafficServer(Proxy):
    name, title, needs, package = "ats", "Traffic Server", "traffic_server", "trafficserver"

    def set_up(self):
        self.port = free_port()
        for folder in "run", "log", "cache":
            (self.work / folder).mkdir()
        shutil.copytree("/etc/trafficserver", self.work / "etc")
        places = {
            **{name: "/usr" for name in ("prefix", "exec_prefix")},
            "bindir": "/usr/bin",
            "sbindir": "/usr/sbin",
            "includedir": "/usr/include",
            "libdir": "/usr/lib/trafficserver",
            "libexecdir": "/usr/lib/trafficserver/modules",
            "sysconfdir": self.work / "etc",
            "localstatedir": self.work,
            "runtimedir": self.work / "run",
            "logdir": self.work / "log",
            "datadir": self.work / "cache",
            "cachedir": self.work / "cache",
        }
        (self.work / "runroot.yaml").write_text("".join(f"{name}: {place}\n" for name, place in places.items()))
        (self.work / "etc/storage.config").write_text(f"{self.work}/cache 512M\n")
        settings = {
            "http.server_ports STRING": f"{self.port}:ip-in=127.0.0.1",
            "reverse_proxy.enabled INT": 0,
            "url_remap.remap_required INT": 0,
            "admin.user_id STRING": "#-1",
            "log.logging_enabled INT": 0,
            # As its manual has it for many who want the same at once, and for clients that go away.
            "cache.enable_read_while_writer INT": 1,
            "cache.max_doc_size INT": 0,
            "http.background_fill_active_timeout INT": 0,
            "http.background_fill_completed_threshold FLOAT": 0.0,
            "http.cache.max_open_read_retries INT": 20,
            "http.cache.open_read_retry_time INT": 100,
        }
        records = "".join(f"CONFIG proxy.config.{name} {value}\n" for name, value in settings.items())
        (self.work / "etc/records.config").write_text(records)
        return ["traffic_server", f"--run-root={self.work}/runroot.yaml"], {}

    def listens(self):
        # It listens before its cache is there.
        log = self.work / "log/diags.log"
        return super().listens() and log.exists() and "is fully initialized" in log.read_text()


class AptCacherNg(Proxy):
    name, title = "acng", "apt-cacher-ng"
    needs, package = "/usr/sbin/apt-cacher-ng", "apt-cacher-ng"

    def set_up(self):
        self.port = free_port()
        for folder in "cache", "log", "etc":
            (self.work / folder).mkdir()
        settings = {
            "CacheDir": self.work / "cache",
            "LogDir": self.work / "log",
            "SupportDir": "/usr/lib/apt-cacher-ng",
            "Port": self.port,
            "BindAddress": "127.0.0.1",
            "AllowUserPorts": 0,
            "ForeGround": 1,
            "ReportPage": "report.html",
        }
        (self.work / "etc/acng.conf").write_text("".join(f"{name}: {value}\n" for name, value in settings.items()))
        return [self.needs, "-c", str(self.work / "etc")], {}


def install(packages):
    """Debian starts daemons on installation, unless a policy forbids it."""
    guard = pathlib.Path("/usr/sbin/policy-rc.d")
    made = not guard.exists()
    if made:
        guard.write_text("#!/bin/sh\nexit 101\n")
        guard.chmod(0o755)
    try:
        apt = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "-q"]
        subprocess.run([*apt, "update"], check=True, stdout=sys.stderr)
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        command = [*apt, "install", "-y", "--no-install-recommends", *packages]
        subprocess.run(command, check=True, stdout=sys.stderr, env=quiet)
    finally:
        if made:
            guard.unlink()


ALL = [Larder, Squid, TrafficServer, AptCacherNg]
