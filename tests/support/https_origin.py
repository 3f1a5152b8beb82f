"""Serves https://origin.test/ (this directory, with origin.pem and origin.key), and a proxy by which that name leads
there. Prints the proxy's port."""
import http.server
import select
import socket
import ssl
import threading


class Origin(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass


class Proxy(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_CONNECT(self):
        if self.path != "origin.test:443":
            return self.send_error(502)
        far = socket.create_connection(origin.server_address)
        self.send_response(200)
        self.end_headers()
        pair = {self.connection: far, far: self.connection}
        while True:
            for ready in select.select(list(pair), [], [])[0]:
                data = ready.recv(65536)
                if not data:
                    return
                pair[ready].sendall(data)


origin = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("origin.pem", "origin.key")
origin.socket = context.wrap_socket(origin.socket, server_side=True, do_handshake_on_connect=False)
threading.Thread(target=origin.serve_forever, daemon=True).start()
proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
print(proxy.server_port, flush=True)
proxy.serve_forever()
