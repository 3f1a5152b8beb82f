"""A network of the test's own: namespaces in which names lead where the test says, and from which nothing leads out.

All that is started in it ends with it: it has its own processes too, and they go when the first one does.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import socket
import struct

MARK = "LARDER_TEST_NETBED"
RESOLVER = "127.0.0.1"


def enter():
    """Starts the script again inside; to be called first, as root."""
    if os.environ.get(MARK) != "inside":
        inside = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
        os.environ[MARK] = "inside"
        os.execvp("unshare", [*inside, "--propagation", "private", sys.executable, *sys.argv])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def folder(prefix):
    """A new folder that everybody may read: some peers have users of their own."""
    path = pathlib.Path(tempfile.mkdtemp(prefix=prefix))
    path.chmod(0o755)
    return path


def instead(path, text, work):
    """Has these namespaces see `text` in place of a file of the host."""
    own = work / f"instead-of-{path.strip('/').replace('/', '-')}"
    own.write_text(text)
    own.chmod(os.stat(path).st_mode & 0o777)
    subprocess.run(["mount", "--bind", own, path], check=True)


def names(hosts, work):
    """Leads these names to the loopback."""
    instead("/etc/hosts", "127.0.0.1 localhost\n" + "".join(f"127.0.0.1 {name}\n" for name in hosts), work)


class Resolver:
    """Answers every question for an address with 127.0.0.1, and notes the names."""

    def __init__(self, work):
        instead("/etc/resolv.conf", f"nameserver {RESOLVER}\noptions timeout:1 attempts:1\n", work)
        instead("/etc/nsswitch.conf", "hosts: files dns\npasswd: files\ngroup: files\nshadow: files\n", work)
        self.asked = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((RESOLVER, 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            data, peer = self.socket.recvfrom(2048)
            end, labels = 12, []
            while data[end]:
                labels.append(data[end + 1 : end + 1 + data[end]].decode("latin-1"))
                end += 1 + data[end]
            (kind,) = struct.unpack("!H", data[end + 1 : end + 3])
            self.asked.append(".".join(labels))
            answers = 1 if kind == 1 else 0
            head = data[:2] + struct.pack("!HHHHH", 0x8180, 1, answers, 0, 0)
            answer = b"\xc0\x0c" + struct.pack("!HHIH4s", 1, 1, 1, 4, socket.inet_aton("127.0.0.1")) if answers else b""
            self.socket.sendto(head + data[12 : end + 5] + answer, peer)


def remove(work):
    """Removes a folder; what is mounted from it elsewhere goes with the namespaces."""
    shutil.rmtree(work, ignore_errors=True)
