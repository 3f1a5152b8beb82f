"""What an origin and a parent are sent, byte by byte: by apt, pip, npm, curl and a browser of sorts, through Larder as it
is, with `anonymize`, and with a User-Agent for all. As root; prints JSON: for each way, by client, what came where, and
the names that were looked up."""

import json
import os
import pathlib
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import netbed  # noqa: E402

netbed.enter()
from proxies import Larder  # noqa: E402
from recorder import Parent  # noqa: E402
from tools import Client, apt_plain, apt_tls, npm, pip  # noqa: E402
from world import Origins  # noqa: E402

TELLING = {
    "Referer": "https://private.example.net/page",
    "Cookie": "session=s3cret",
    "From": "me@example.net",
    "Forwarded": "for=192.0.2.7",
    "X-Forwarded-For": "192.0.2.7",
    "Via": "1.1 gateway.example.net",
    "Authorization": "Bearer t0ken",
}


def curl(url):
    def fetch(client):
        folder = client.folder()
        fields = [part for name, value in TELLING.items() for part in ("-H", f"{name}: {value}")]
        client.run(["curl", "-fsS", "-A", "curl", "-o", "got", *fields, url], folder)

    return fetch


CLIENTS = {
    "apt": apt_plain,
    "apt over TLS": apt_tls,
    "pip": pip,
    "npm": npm,
    "curl": curl("http://deb.example.org/debian/dists/stable/Release?plain"),
    "curl over TLS": curl("https://pypi.example.org/simple/tiny-wheel/"),
}
WAYS = {
    "as it is": ("http", []),
    "anonymize": ("http", ["--anonymize"]),
    "with a User-Agent": ("http", ["--anonymize"]),
    "socks5": ("socks5", []),
    "socks5, anonymize": ("socks5", ["--anonymize"]),
    "direct": (None, []),
}


class Way(Larder):
    """Larder with more in its environment."""

    more = {}

    def set_up(self):
        command, env = super().set_up()
        return command, {**env, **self.more}


def main():
    work = netbed.folder("larder-anonymize.")
    resolver = netbed.Resolver(work)
    origins, parent = Origins(work), Parent()
    wanted = sys.argv[1:] or list(WAYS)
    told = {}
    try:
        for name in wanted:
            kind, options = WAYS[name]
            at = work / name.replace(" ", "-")
            at.mkdir()
            upstream = ["--upstream-proxy", f"{kind}://127.0.0.1:{parent.port}"] if kind else []
            larder = Way(at, ["--ca-file", str(origins.ca.pem), *upstream, *options])
            if name == "with a User-Agent":
                larder.more = {"LARDER_ANONYMIZE_USER_AGENT": "fetch"}
            try:
                larder.start()
                client = Client(at, f"http://127.0.0.1:{larder.port}", larder.bundle)
                told[name] = {"names": [], "clients": {}}
                for tool, fetch in CLIENTS.items():
                    del origins.heads[:], parent.heads[:], resolver.asked[:]
                    fetch(client)
                    told[name]["clients"][tool] = {
                        "origin": [head.decode("latin-1") for _, head in origins.heads],
                        "parent": [head.decode("latin-1") for head in parent.heads],
                    }
                    told[name]["names"] += sorted(set(resolver.asked))
            finally:
                larder.stop()
    finally:
        netbed.remove(work)
    json.dump(told, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
