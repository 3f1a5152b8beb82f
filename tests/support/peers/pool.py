"""What a dead proxy and a slow one of three cost, against one that is well, measured in the same run.

The same hundred things are fetched, ten at a time, through a pool of three and through the healthy one alone, in turns;
each time by a Larder with an empty cache. Nothing may fail."""

import concurrent.futures
import http.client
import socket
import statistics
import threading
import time

from recorder import both
from upstreams import Tinyproxy

THINGS, AT_ONCE, ROUNDS = 100, 10, 3
# What the slow one waits before each connection it makes.
DELAY = 1.0
# Most that a pool may cost: a dead and a slow one are tried once each, and then no more for a while.
ALLOWED = 6.0


class Slow:
    """Passes connections on to another proxy, each after a while."""

    def __init__(self, port):
        self.target, self.count = port, 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            stream, _ = self.listener.accept()
            self.count += 1
            threading.Thread(target=self._serve, args=(stream,), daemon=True).start()

    def _serve(self, stream):
        time.sleep(DELAY)
        try:
            both(stream, socket.create_connection(("127.0.0.1", self.target)))
        except OSError:
            stream.close()


def fetch(port, number):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    url = f"http://deb.example.org/debian/dists/stable/Release?{number}"
    connection.request("GET", url, headers={"Host": "deb.example.org"})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 200 or not body:
        raise RuntimeError(f"{url}: {answer.status} {body[:300]}")


def measure(bed, origins, larder_of, ways, order):
    at = bed.work / f"pool-{bed.number()}"
    at.mkdir()
    rule = ", ".join(f'"{way}"' for way in ways)
    settings = at / "larder" / ".config/larder"
    larder = larder_of(at, [], {})
    settings.mkdir(parents=True)
    (settings / "config.toml").write_text(f'[[upstream]]\nto = [{rule}]\norder = "{order}"\n')
    larder.more = {"NO_PROXY": ""}
    larder.start()
    try:
        begun = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda number: fetch(larder.port, number), range(THINGS)))
        return time.monotonic() - begun
    finally:
        larder.stop()


def main(bed, origins, _tools, larder_of):
    healthy = Tinyproxy(bed)
    healthy.start()
    slow = Slow(healthy.port)
    dead = socket.socket()
    # Bound, and nobody listens: connections are refused.
    dead.bind(("127.0.0.1", 0))
    well = f"http://127.0.0.1:{healthy.port}"
    pool = [f"http://127.0.0.1:{dead.getsockname()[1]}", f"http://127.0.0.1:{slow.port}", well]
    worst = 0
    try:
        print(f"| order | one that is well | three, one dead and one slow by {DELAY} s | ratio | time lost | by the slow one |")
        print("|---|---|---|---|---|---|")
        for order in ("ordered", "sticky", "rotating"):
            alone, several, before = [], [], slow.count
            for _ in range(ROUNDS):
                alone.append(measure(bed, origins, larder_of, [well], order))
                several.append(measure(bed, origins, larder_of, pool, order))
            one, three = statistics.median(alone), statistics.median(several)
            worst = max(worst, three - one)
            used = (slow.count - before) / ROUNDS
            print(f"| {order} | {one:.2f} s | {three:.2f} s | {three / one:.1f} | {three - one:.2f} s | {used:.0f} |", flush=True)
    finally:
        healthy.stop()
        dead.close()
    print(f"\n{THINGS} of {THINGS} things came each time, {AT_ONCE} at once; most time lost: {worst:.2f} s")
    return 0 if worst <= ALLOWED else 1
