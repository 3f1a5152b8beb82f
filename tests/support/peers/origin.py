"""An origin that does as a case says and notes what it is asked for, and a client that says what it got."""

import email.utils
import http.client
import random
import socket
import threading
import time

LIMIT = 30


class Died(Exception):
    """Raised by a body: the origin breaks the connection off here."""


class Answer:
    """What the origin answers: `body` is bytes, or an iterator of pieces whose `size` is announced."""

    def __init__(self, body=b"", fields=(), status=200, size=None):
        self.body, self.fields, self.status = body, list(fields), status
        self.size = len(body) if size is None else size


class Asked:
    """A request that reached the origin."""

    def __init__(self, method, target, fields):
        self.method, self.target, self.fields = method, target, fields
        self.status, self.sent = 0, 0


class Origin:
    """Serves on a port of the loopback. The first segment of a path says whose it is; every answer ends its connection."""

    def __init__(self):
        self.port = free_port()
        self.listener = bound(self.port)
        self.listener.listen(128)
        self.answers, self.log = {}, {}
        self.busy, self.changed = {}, threading.Condition()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                stream, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(stream,), daemon=True).start()

    def _serve(self, stream):
        with stream:
            stream.settimeout(LIMIT)
            try:
                asked = read_request(stream)
            except OSError:
                return
            if asked is None:
                return
            whose = asked.target.split("/")[1]
            with self.changed:
                self.log.setdefault(whose, []).append(asked)
                self.busy[whose] = self.busy.get(whose, 0) + 1
                number = len(self.log[whose])
            try:
                answer = self.answers[whose](asked, number) if whose in self.answers else Answer(status=404)
                self._send(stream, asked, answer)
            except (OSError, Died):
                pass
            finally:
                with self.changed:
                    self.busy[whose] -= 1
                    self.changed.notify_all()

    def _send(self, stream, asked, answer):
        asked.status = answer.status
        head = [f"HTTP/1.1 {answer.status} {http.client.responses[answer.status]}"]
        fields = [("Date", email.utils.formatdate(usegmt=True)), *answer.fields, ("Connection", "close")]
        if answer.status != 304:
            fields.append(("Content-Length", answer.size))
        head += [f"{name}: {value}" for name, value in fields]
        stream.sendall(("\r\n".join(head) + "\r\n\r\n").encode())
        if asked.method == "HEAD" or answer.status == 304:
            return
        for piece in [answer.body] if isinstance(answer.body, bytes) else answer.body:
            for at in range(0, len(piece), 65536):
                chunk = piece[at : at + 65536]
                stream.sendall(chunk)
                asked.sent += len(chunk)

    def idle(self, whose):
        """Waits until it is answering nobody."""
        with self.changed:
            if not self.changed.wait_for(lambda: not self.busy.get(whose), LIMIT):
                raise TimeoutError(f"the origin is still answering a request for /{whose}/")

    def down(self):
        """From now on connections are refused. The port stays taken, so that nobody else answers there."""
        # Whoever waits in accept() keeps a closed socket listening.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.listener = bound(self.port)


def bound(port):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    return listener


def free_port():
    """A port nobody listens on now; one that apt-cacher-ng takes, which garbles those above 32767."""
    while True:
        try:
            with bound(random.randrange(10000, 32768)) as probe:
                return probe.getsockname()[1]
        except OSError:
            continue


def read_request(stream):
    head = b""
    while b"\r\n\r\n" not in head:
        data = stream.recv(65536)
        if not data:
            return None
        head += data
    first, *lines = head.split(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    fields = {}
    for line in lines:
        name, value = line.split(":", 1)
        fields[name.strip().lower()] = value.strip()
    return Asked(method, target, fields)


class Reply:
    """What a client got. `whole` is whether as many bytes came as were announced."""

    def __init__(self, status=0, fields=None, body=b"", whole=False, error=""):
        self.status, self.fields, self.body, self.whole, self.error = status, fields, body, whole, error

    def is_ok(self, body):
        """Whether it is a 200, whole, with this body."""
        return self.status == 200 and self.whole and self.body == body

    def __repr__(self):
        return f"{self.status}, {len(self.body)} bytes, whole: {self.whole} {self.error}"


def get(port, url, fields=None, read=None, first=None):
    """Asks the proxy on a port for a URL. With `read` it leaves after so many bytes; `first` is called at the first one."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)
    body = []
    try:
        connection.request("GET", url, headers={"Host": url.split("/")[2], **(fields or {})})
        response = connection.getresponse()
        got = 0
        while read is None or got < read:
            data = response.read1(65536)
            if not data:
                break
            if not got and first:
                first()
            got += len(data)
            body.append(data)
        announced = response.getheader("Content-Length")
        whole = announced is None or got == int(announced)
        return Reply(response.status, response.headers, b"".join(body), whole)
    except (OSError, http.client.HTTPException) as error:
        status = response.status if "response" in locals() else 0
        return Reply(status, None, b"".join(body), False, f"{type(error).__name__}: {error}")
    finally:
        connection.close()


def wait_until(what, condition, limit=LIMIT):
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {limit} s for {what}")
        time.sleep(0.02)
