"""Proxies of a user's own network, set up below a folder in a network of the test's own (see netbed) and ready when
`start` comes back. Each says how Larder is set to use it, and how many tunnels and requests it has let through."""

import os
import pathlib
import socket
import subprocess

import netbed
from origin import free_port, wait_until

USER, PASSWORD = "larder", "s3cret"
HELPERS = pathlib.Path("/usr/lib/squid")
# The name that certificate and Kerberos service of proxies have.
NAME = "localhost"


class Upstream:
    """One way out: a daemon, or several. `name` is for options, `title` for the table."""

    packages = ()
    # What stands between scheme and host of its URL.
    login = ""
    scheme = "http"

    def __init__(self, bed):
        self.bed, self.work = bed, bed.work / f"{self.name}-{bed.number()}"
        self.work.mkdir()
        self.work.chmod(0o777)
        self.port, self.processes, self.ended = free_port(), [], False

    @property
    def way(self):
        """What the setting `upstream_proxy` says."""
        login = f"{self.login}@" if self.login else ""
        return f"{self.scheme}://{login}{NAME}:{self.port}"

    @property
    def shown(self):
        """How a flow's route names it."""
        return f"proxy {self.scheme}://{NAME}:{self.port}"

    # More for Larder: options, environment, settings file.
    options, settings = (), ""

    @property
    def env(self):
        return {}

    def spawn(self, command, port, env=None):
        output = open(self.work / f"output-{port}", "wb")
        command = [str(part) for part in command]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self.work, env={**os.environ, **(env or {})}
        )
        self.processes.append(process)

        def listens():
            if process.poll() is not None:
                raise RuntimeError(f"{command[0]} ended: {(self.work / f'output-{port}').read_text()[-2000:]}")
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        wait_until(f"{command[0]} to listen", listens)
        return process

    def stop(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for left in pathlib.Path("/dev/shm").glob(f"routes{self.port}-*"):
            left.unlink()

    def let_through(self):
        """Requests and tunnels it has made for others, by its own log."""
        log = self.work / "access.log"
        return len([line for line in log.read_text().splitlines() if self.counts(line)]) if log.exists() else 0

    def counts(self, line):
        return "DENIED" not in line and "error:" not in line


class Tinyproxy(Upstream):
    name, title, packages = "tinyproxy", "tinyproxy", ("tinyproxy",)

    def start(self):
        (self.work / "tinyproxy.conf").write_text(
            f"Port {self.port}\nListen 127.0.0.1\nTimeout 600\nMaxClients 100\nConnectPort 443\n"
            f'LogLevel Connect\nLogFile "{self.work}/access.log"\nDisableViaHeader Yes\n'
        )
        self.spawn(["tinyproxy", "-d", "-c", self.work / "tinyproxy.conf"], self.port)

    def counts(self, line):
        return "Established connection to host" in line


class Squid(Upstream):
    name, title, packages = "squid", "squid", ("squid-openssl",)
    auth, listen, squid_env = "http_access allow all", "http_port 127.0.0.1:{port}", {}

    def prepare(self):
        """Writes what its configuration names."""

    def start(self):
        self.prepare()
        text = f"""
            {self.listen.format(port=self.port, work=self.work, bed=self.bed.work)}
            {self.auth.format(work=self.work, helpers=HELPERS, bed=self.bed.work)}
            http_access deny all
            cache deny all
            access_log stdio:{self.work}/access.log
            cache_log {self.work}/cache.log
            pid_filename none
            pinger_enable off
            coredump_dir {self.work}
            shutdown_lifetime 0 seconds
        """
        (self.work / "squid.conf").write_text("\n".join(line.strip() for line in text.strip().splitlines()) + "\n")
        subprocess.run(["chown", "-R", "proxy", self.work], check=True)
        # A name of its own: squids of one name share files in /dev/shm.
        command = ["squid", "-n", f"routes{self.port}", "-N", "-f", self.work / "squid.conf"]
        self.spawn(command, self.port, {name: value.format(bed=self.bed.work) for name, value in self.squid_env.items()})


KNOWN = "acl known proxy_auth REQUIRED\nhttp_access allow known"


class SquidBasic(Squid):
    name, title, login = "squid-basic", "squid, Basic", f"{USER}:{PASSWORD}"
    auth = "auth_param basic program {helpers}/basic_ncsa_auth {work}/users\n" + KNOWN

    def prepare(self):
        hashed = subprocess.run(["openssl", "passwd", "-apr1", PASSWORD], check=True, capture_output=True, text=True)
        (self.work / "users").write_text(f"{USER}:{hashed.stdout}")


class SquidDigest(Squid):
    name, title, login = "squid-digest", "squid, Digest", f"{USER}:{PASSWORD}"
    auth = "auth_param digest program {helpers}/digest_file_auth {work}/users\nauth_param digest realm larder\n" + KNOWN

    def prepare(self):
        (self.work / "users").write_text(f"{USER}:{PASSWORD}\n")


class SquidTls(Squid):
    name, title, scheme = "squid-https", "squid, https_port", "https"
    listen = "https_port 127.0.0.1:{port} tls-cert={bed}/localhost.pem tls-key={bed}/localhost.key"

    def prepare(self):
        self.bed.certificate(NAME)


class SquidTlsBasic(SquidBasic):
    """Everything at once: TLS to the proxy, a password, and TLS of the client's opened here."""

    name, title, scheme = "https-parent", "interception, HTTPS parent", "https"
    listen = SquidTls.listen

    def prepare(self):
        super().prepare()
        self.bed.certificate(NAME)


class SquidNtlm(Squid):
    name, title, login = "squid-ntlm", "squid, NTLM helper", f"CORP%5C{USER}:{PASSWORD}"
    auth = "auth_param ntlm program {helpers}/ntlm_fake_auth\nauth_param ntlm children 20\n" + KNOWN


class SquidNegotiate(Squid):
    name, title = "squid-negotiate", "squid, Negotiate"
    packages = ("squid-openssl", "krb5-kdc", "krb5-admin-server", "krb5-user")
    realm = "TEST.EXAMPLE.ORG"
    auth = (
        "auth_param negotiate program {helpers}/negotiate_kerberos_auth -r -s HTTP/localhost@TEST.EXAMPLE.ORG "
        "-k {work}/keytab -t none\nauth_param negotiate children 5\n" + KNOWN
    )

    @property
    def env(self):
        return {"KRB5_CONFIG": f"{self.work}/krb5.conf", "KRB5CCNAME": f"FILE:{self.work}/tickets"}

    def prepare(self):
        work, port, realm = self.work, free_port(), self.realm
        (work / "krb5.conf").write_text(
            f"[libdefaults]\ndefault_realm = {realm}\ndns_lookup_kdc = false\ndns_lookup_realm = false\n"
            f"dns_canonicalize_hostname = false\nrdns = false\nudp_preference_limit = 1\n"
            f"[realms]\n{realm} = {{\nkdc = 127.0.0.1:{port}\n}}\n"
        )
        (work / "kdc.conf").write_text(
            f"[kdcdefaults]\nkdc_listen = 127.0.0.1:{port}\nkdc_tcp_listen = 127.0.0.1:{port}\n[realms]\n{realm} = {{\n"
            f"database_name = {work}/principal\nkey_stash_file = {work}/stash\nacl_file = {work}/acl\n}}\n"
            f"[logging]\nkdc = FILE:{work}/kdc.log\n"
        )
        env = {"KRB5_CONFIG": f"{work}/krb5.conf", "KRB5_KDC_PROFILE": f"{work}/kdc.conf"}
        self.squid_env = {"KRB5_CONFIG": f"{work}/krb5.conf"}

        def run(*command, **more):
            done = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True, **more)
            if done.returncode:
                raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")

        run("/usr/sbin/kdb5_util", "create", "-s", "-r", realm, "-P", "master")
        for query in (f"addprinc -pw {PASSWORD} {USER}", "addprinc -randkey HTTP/localhost", f"ktadd -k {work}/keytab HTTP/localhost"):
            run("/usr/sbin/kadmin.local", "-q", query)
        self.spawn(["/usr/sbin/krb5kdc", "-n"], port, env)
        run("kinit", "-c", f"{work}/tickets", USER, input=f"{PASSWORD}\n")


class Dante(Upstream):
    name, title, packages, scheme = "dante", "dante, user and password", ("dante-server",), "socks5h"
    login = f"{USER}:{PASSWORD}"

    def start(self):
        # It asks the system for users: here, a system that has one more.
        hashed = subprocess.run(["openssl", "passwd", "-6", PASSWORD], check=True, capture_output=True, text=True)
        users = pathlib.Path("/etc/passwd").read_text() + f"{USER}:x:65533:65533::/:/usr/sbin/nologin\n"
        netbed.instead("/etc/passwd", users, self.work)
        shadow = pathlib.Path("/etc/shadow").read_text() + f"{USER}:{hashed.stdout.strip()}:19000:0:99999:7:::\n"
        netbed.instead("/etc/shadow", shadow, self.work)
        (self.work / "danted.conf").write_text(
            f"logoutput: {self.work}/access.log\ninternal: 127.0.0.1 port = {self.port}\nexternal: 127.0.0.1\n"
            "clientmethod: none\nsocksmethod: username\nuser.privileged: root\nuser.unprivileged: nobody\n"
            "client pass {\n from: 127.0.0.0/8 to: 0.0.0.0/0\n}\n"
            "socks pass {\n from: 127.0.0.0/8 to: 0.0.0.0/0\n log: connect\n}\n"
        )
        self.spawn(["danted", "-f", self.work / "danted.conf"], self.port)

    def counts(self, line):
        return "pass(" in line and "tcp/connect [" in line


class Two(Upstream):
    """tinyproxy first, then a squid with a password."""

    name, title = "two", "tinyproxy, then squid, Basic"
    packages = Tinyproxy.packages + SquidBasic.packages

    def start(self):
        self.first, self.second = Tinyproxy(self.bed), SquidBasic(self.bed)
        self.second.start()
        # It lets tunnels go to port 443 alone.
        self.first.start()
        text = (self.first.work / "tinyproxy.conf").read_text().replace("ConnectPort 443", f"ConnectPort {self.second.port}")
        self.first.stop()
        self.first.processes.clear()
        (self.first.work / "tinyproxy.conf").write_text(text)
        self.first.spawn(["tinyproxy", "-d", "-c", self.first.work / "tinyproxy.conf"], self.first.port)

    @property
    def way(self):
        return f"{self.first.way} > {self.second.way}"

    @property
    def shown(self):
        return f"{self.first.shown} > {self.second.shown.removeprefix('proxy ')}"

    def let_through(self):
        return min(self.first.let_through(), self.second.let_through())

    def stop(self):
        for one in (getattr(self, "first", None), getattr(self, "second", None)):
            if one:
                one.stop()


ALL = [
    Tinyproxy,
    SquidBasic,
    SquidDigest,
    SquidTls,
    SquidNegotiate,
    SquidNtlm,
    Dante,
    Two,
    SquidTlsBasic,
]
