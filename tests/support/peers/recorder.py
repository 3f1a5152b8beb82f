"""A proxy that keeps what it is sent as it came, and knows one address for every name: for HTTP, CONNECT and SOCKS5, told
apart by their first byte."""

import socket
import struct
import threading

from world import LIMIT, read_head


class Parent:
    def __init__(self):
        self.heads, self.lock = [], threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            stream, _ = self.listener.accept()
            threading.Thread(target=self._serve, args=(stream,), daemon=True).start()

    def _keep(self, data):
        with self.lock:
            self.heads.append(data)

    def _serve(self, stream):
        try:
            stream.settimeout(LIMIT)
            with stream:
                if stream.recv(1, socket.MSG_PEEK) == b"\x05":
                    self._socks(stream)
                else:
                    self._http(stream)
        except OSError:
            pass

    def _http(self, stream):
        head, rest = read_head(stream)
        if head is None:
            return
        self._keep(head)
        method, target, _ = head.split(b"\r\n")[0].split(b" ")
        if method == b"CONNECT":
            far = socket.create_connection(("127.0.0.1", int(target.rsplit(b":", 1)[1])))
            stream.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            return both(stream, far)
        # To the origin as it came, but for the form of its target, as RFC 9112 section 3.2 asks.
        far = socket.create_connection(("127.0.0.1", 80))
        path = b"/" + target.split(b"/", 3)[3]
        far.sendall(head.replace(target, path, 1) + rest)
        both(stream, far)

    def _socks(self, stream):
        def exactly(count):
            data = b""
            while len(data) < count:
                more = stream.recv(count - len(data))
                if not more:
                    raise OSError("the client has gone")
                data += more
            return data

        greeting = exactly(2)
        methods = exactly(greeting[1])
        stream.sendall(b"\x05\x00")
        request = exactly(4)
        size = {1: 4, 4: 16}.get(request[3])
        length = b"" if size else exactly(1)
        target = exactly(size or length[0])
        port = exactly(2)
        self._keep(greeting + methods + request + length + target + port)
        far = socket.create_connection(("127.0.0.1", struct.unpack("!H", port)[0]))
        stream.sendall(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
        both(stream, far)


def both(one, other):
    def copy(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    with other:
        back = threading.Thread(target=copy, args=(other, one), daemon=True)
        back.start()
        copy(one, other)
        back.join(LIMIT)
