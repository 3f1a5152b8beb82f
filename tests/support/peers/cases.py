"""The cases: what clients ask for, what the origin does, and what is right, by which rule.

Each case is a generator: what comes before its `yield` is done first, for all cases; then, where one of them `ages`, what
has a lifetime of a second goes stale; and then it is judged. It gives back whether the proxy was right, and what it did in a few words.
"""

import email.utils
import hashlib
import random
import threading
import time

from origin import Answer, Died, Origin, get

MB = 1_000_000
CASES = {}


class Case:
    def __init__(self, run, asks, right, rule, ages):
        self.run, self.asks, self.right, self.rule, self.ages = run, asks, right, rule, ages


def case(name, asks, right, rule, ages=False):
    def add(run):
        CASES[name] = Case(run, asks, right, rule, ages)
        return run

    return add


class Bed:
    """A proxy and an origin, and a path of one case's own on it."""

    def __init__(self, proxy, origin, name):
        self.proxy, self.origin, self.key = proxy, origin, f"{proxy.name}-{name}"
        self.random = random.Random(self.key)

    def serve(self, answer):
        """`answer(asked, number)` answers the requests from now on; a function of nothing, or an Answer, will do."""
        if isinstance(answer, Answer):
            self.origin.answers[self.key] = lambda *_: answer
        else:
            self.origin.answers[self.key] = answer

    def bytes(self, size):
        return self.random.randbytes(size)

    def url(self, path="files/tool-1.0.tar.gz"):
        return f"http://127.0.0.1:{self.origin.port}/{self.key}/{path}"

    def get(self, path="files/tool-1.0.tar.gz", **more):
        return get(self.proxy.port, self.url(path), **more)

    @property
    def asked(self):
        return self.origin.log.get(self.key, [])

    @property
    def requests(self):
        return len(self.asked)

    @property
    def sent(self):
        return sum(asked.sent for asked in self.asked)

    def idle(self):
        self.origin.idle(self.key)


def said(requests, *notes):
    return ", ".join([str(requests), *(note for note in notes if note)])


def http_date(ago):
    return email.utils.formatdate(time.time() - ago, usegmt=True)


LASTS = ("Cache-Control", "max-age=3600")
STALE = ("Cache-Control", "max-age=1")


@case("twenty-at-once", "20 first requests at once, 10 MB", "1, first byte to all at once", "collapsed, and streamed to all who wait")
def twenty_at_once(bed):
    body, everybody = bed.bytes(10 * MB), threading.Barrier(21)
    streamed, replies = [], []

    def pieces():
        # More than what Traffic Server gathers before it lets anybody read along.
        yield body[: 4 * MB]
        # The rest only when all have begun to read; a proxy that makes them wait for the end is found out here.
        if not streamed:
            try:
                everybody.wait(10)
                streamed.append(True)
            except threading.BrokenBarrierError:
                streamed.append(False)
        yield body[4 * MB :]

    def first():
        try:
            everybody.wait(10)
        except threading.BrokenBarrierError:
            pass

    bed.serve(lambda *_: Answer(pieces(), [LASTS, ("ETag", '"a"')], size=len(body)))
    clients = [threading.Thread(target=lambda: replies.append(bed.get(first=first))) for _ in range(20)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    yield
    whole = sum(reply.is_ok(body) for reply in replies)
    notes = "" if all(streamed) else "not streamed", "" if whole == 20 else f"{20 - whole} not served"
    return bed.requests == 1 and all(streamed) and whole == 20, said(bed.requests, *notes)


@case("range-of-stored", "Range on a stored object", "1, and a 206", "RFC 9110 14.2")
def range_of_stored(bed):
    body = bed.bytes(MB)
    bed.serve(Answer(body, [LASTS, ("ETag", '"a"')]))
    bed.get()
    part = bed.get(fields={"Range": "bytes=1000-1999"})
    yield
    right = part.status == 206 and part.body == body[1000:2000]
    return right and bed.requests == 1, said(bed.requests, "" if right else f"answers {part.status}")


def ranges(body, fields):
    """An origin that serves parts."""

    def answer(asked, _):
        wanted = asked.fields.get("range", "")
        if not wanted.startswith("bytes=") or asked.fields.get("if-range", '"a"') != '"a"':
            return Answer(body, fields)
        start, _, end = wanted[6:].partition("-")
        start, end = int(start), min(int(end or len(body) - 1), len(body) - 1)
        content_range = ("Content-Range", f"bytes {start}-{end}/{len(body)}")
        return Answer(body[start : end + 1], [*fields, content_range], 206)

    return answer


@case("range-first", "Range, again, then whole, again", "1", "the whole is fetched for the first part")
def range_first(bed):
    body = bed.bytes(MB)
    bed.serve(ranges(body, [LASTS, ("ETag", '"a"'), ("Accept-Ranges", "bytes")]))
    counts, right = [], True
    for fields in {"Range": "bytes=1000-1999"}, {"Range": "bytes=1000-1999"}, {}, {}:
        reply = bed.get(fields=fields)
        right &= reply.body == (body[1000:2000] if fields else body) and reply.status == (206 if fields else 200)
        bed.idle()
        counts.append(str(bed.requests))
    yield
    return right and bed.requests == 1, said(bed.requests, "" if right else "not what was asked for")


# Larder is told to take what is larger than 16 MiB for large; a table's peers need not fetch what a real one would be.
LARGE = 20 * MB


def asked_ranges(bed):
    return [asked.fields.get("range", "whole") for asked in bed.asked]


def part(bed, body, start, end):
    """Whether the proxy gives these bytes of the body when it is asked for them."""
    reply = bed.get(fields={"Range": f"bytes={start}-{end - 1}"})
    bed.idle()
    return reply.status == 206 and reply.body == body[start:end]


@case("range-of-10-gb", "Range of 1 kB of 10 GB, again, a part of it", "1 or 2, at most 32 MB", "the whole is too much for a part")
def range_of_much(bed):
    size, piece = 10_000 * MB, bytes(65536)

    def much():
        # No disk is to be filled by who takes it all.
        for _ in range(256 * MB // len(piece)):
            yield piece
        raise Died

    def answer(asked, _):
        fields = [LASTS, ("ETag", '"a"'), ("Accept-Ranges", "bytes")]
        wanted = asked.fields.get("range", "")
        if not wanted:
            return Answer(much(), fields, size=size)
        start, end = (int(number) for number in wanted[6:].split("-"))
        return Answer(bytes(end + 1 - start), [*fields, ("Content-Range", f"bytes {start}-{end}/{size}")], 206)

    bed.serve(answer)
    right = True
    for start, end in (5_000_000_000, 5_000_001_000), (5_000_000_000, 5_000_001_000), (5_000_000_100, 5_000_000_200):
        reply = bed.get(fields={"Range": f"bytes={start}-{end - 1}"})
        bed.idle()
        right &= reply.status == 206 and reply.body == bytes(end - start)
    yield
    little = bed.sent < 32 * MB
    notes = "" if right else "not what was asked for", "" if little else f"{bed.sent // MB} MB"
    return right and little and bed.requests <= 2, said(bed.requests, *notes)


@case("parts-joined", "two parts of 20 MB that overlap, then both", "2 or 3, no byte of them twice", "RFC 9111 3.4")
def parts_joined(bed):
    body = bed.bytes(LARGE)
    bed.serve(ranges(body, [LASTS, ("ETag", '"a"'), ("Accept-Ranges", "bytes")]))
    right = part(bed, body, 1 * MB, 3 * MB) and part(bed, body, 2 * MB, 5 * MB) and part(bed, body, 1 * MB, 5 * MB)
    yield
    wanted = asked_ranges(bed)[-2:] == ["bytes=1000000-2999999", "bytes=3000000-4999999"]
    return right and wanted and bed.requests <= 3, said(bed.requests, "" if right else "not what was asked for")


@case("parts-completed", "two parts of 20 MB, then whole, again", "what is missing, once", "RFC 9111 3.3, RFC 9110 13.1.5")
def parts_completed(bed):
    body = bed.bytes(LARGE)
    bed.serve(ranges(body, [LASTS, ("ETag", '"a"'), ("Accept-Ranges", "bytes")]))
    right = part(bed, body, 2 * MB, 4 * MB) and part(bed, body, 10 * MB, 12 * MB)
    before = bed.requests
    for _ in range(2):
        right &= bed.get().is_ok(body)
        bed.idle()
    yield
    missing = ["bytes=0-1999999", "bytes=4000000-9999999", "bytes=12000000-"]
    once = asked_ranges(bed)[before:] == missing
    fetched = sum(asked.sent for asked in bed.asked[before:])
    return right and once, said(bed.requests, f"{fetched / MB:.0f} MB", "" if right else "not what was asked for")


@case("parts-of-two-states", "part, changed, the next part", "the part of what is there now", "RFC 9111 3.4")
def parts_of_two_states(bed):
    old, new = bed.bytes(LARGE), bed.bytes(LARGE)
    bed.serve(ranges(old, [LASTS, ("ETag", '"a"'), ("Accept-Ranges", "bytes")]))
    right = part(bed, old, 1 * MB, 2 * MB)
    fields = [LASTS, ("ETag", '"b"'), ("Accept-Ranges", "bytes")]
    now = ranges(new, fields)
    bed.serve(lambda asked, number: Answer(new, fields) if asked.fields.get("if-range") == '"a"' else now(asked, number))
    whole = bed.get(fields={"Range": "bytes=1500000-2999999"})
    bed.idle()
    yield
    right &= whole.body in (new[1_500_000:3_000_000], new)
    return right, said(bed.requests, "" if right else "a mixture")


@case("client-gone", "client gone at 40 %, then whole", "1", "a fetch goes on without its client")
def client_gone(bed):
    body, gone = bed.bytes(8 * MB), threading.Event()

    def pieces():
        yield body[: 4 * len(body) // 10]
        if not gone.is_set():
            gone.wait(10)
        # Slow enough that a proxy that gives up does so before the end.
        for at in range(4 * len(body) // 10, len(body), MB // 10):
            yield body[at : at + MB // 10]
            time.sleep(0.01)

    bed.serve(lambda *_: Answer(pieces(), [LASTS, ("ETag", '"a"')], size=len(body)))
    bed.get(read=3 * len(body) // 10)
    gone.set()
    bed.idle()
    dropped = bed.sent < len(body)
    second = bed.get()
    yield
    return bed.requests == 1 and second.is_ok(body), said(bed.requests, "dropped" if dropped else "")


def stale(name, asks, validator, asked_with, more=STALE, rule="RFC 9111 4.3"):
    @case(name, asks, "2, a 304", rule, ages=more == STALE)
    def revalidated(bed):
        body = bed.bytes(100_000)
        field, value = validator()

        def answer(asked, _):
            same = asked.fields.get(asked_with) == value
            lasts = LASTS if same and more == STALE else more
            return Answer(b"" if same else body, [lasts, (field, value)], 304 if same else 200)

        bed.serve(answer)
        bed.get()
        yield
        reply = bed.get()
        if more == STALE:
            # The 304 has made it fresh again (RFC 9111 4.3.4).
            bed.get()
        confirmed = [asked.status for asked in bed.asked] == [200, 304]
        what = "a 304" if confirmed else "unasked" if bed.requests == 1 else "not confirmed"
        return confirmed and reply.is_ok(body), said(bed.requests, what)


stale("stale-etag", "stale, with ETag", lambda: ("ETag", '"a"'), "if-none-match")
stale("stale-last-modified", "stale, with Last-Modified", lambda: ("Last-Modified", http_date(864000)), "if-modified-since")


@case("origin-dead", "origin dead at 40 % of 4 MB, then again", "2, the second for the rest", "RFC 9110 13.1.5: resumed with If-Range")
def origin_dead(bed):
    body = bed.bytes(4 * MB)
    fields = [LASTS, ("ETag", '"a"'), ("Accept-Ranges", "bytes")]
    whole = ranges(body, fields)

    def dies():
        yield body[: 4 * len(body) // 10]
        raise Died

    bed.serve(lambda asked, number: Answer(dies(), fields, size=len(body)) if number == 1 else whole(asked, number))
    first = bed.get()
    bed.idle()
    second = bed.get()
    yield
    right = first.is_ok(body) and second.is_ok(body) and bed.sent == len(body)
    # A short body that looks whole is the worst there is.
    told = "" if first.is_ok(body) else "a short body" if first.whole else "client told"
    return right, said(bed.requests, told, f"{bed.sent / MB:.1f} MB")


@case("two-signatures", "two signatures of one object", "1", "signature parameters are no part of the key")
def two_signatures(bed):
    body = bed.bytes(100_000)
    bed.serve(Answer(body, [LASTS, ("ETag", '"a"')]))
    replies = []
    for number in range(2):
        replies.append(
            bed.get(
                "files/tool-1.0.tar.gz?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=x%2F20261123%2Fr%2Fs3%2Faws4_request"
                f"&X-Amz-Date=20261123T00000{number}Z&X-Amz-Expires=600&X-Amz-SignedHeaders=host"
                f"&X-Amz-Signature={hashlib.sha256(bytes([number])).hexdigest()}"
            )
        )
    yield
    served = all(reply.is_ok(body) for reply in replies)
    return served and bed.requests == 1, said(bed.requests, "" if served else f"refused ({replies[0].status})")


@case("authorization-max-age", "Authorization, max-age: a user twice, another, nobody", "3 or 4, nothing to another", "RFC 9111 3.5")
def authorization_max_age(bed):
    def answer(asked, _):
        return Answer(f"for {asked.fields.get('authorization')}".encode() * 100, [LASTS, ("ETag", '"a"')])

    bed.serve(answer)
    leaked = False
    for user in "Basic eDp5", "Basic eDp5", "Basic YTpi", None:
        reply = bed.get(fields={"Authorization": user} if user else {})
        leaked |= not reply.is_ok(f"for {user}".encode() * 100)
    yield
    return not leaked and bed.requests in (3, 4), said(bed.requests, "another's answer" if leaked else "")


@case("authorization-public", "Authorization, public: a user, then nobody", "1", "RFC 9111 3.5", ages=True)
def authorization_public(bed):
    body = bed.bytes(10_000)
    bed.serve(Answer(body, [("Cache-Control", "public, max-age=3600"), ("ETag", '"a"')]))
    served = bed.get(fields={"Authorization": "Basic eDp5"}).is_ok(body)
    yield
    served &= bed.get().is_ok(body)
    return served and bed.requests == 1, said(bed.requests)


def twice(name, asks, expected, right, rule, fields, status=200):
    """Two requests, one after the other."""

    @case(name, asks, right, rule)
    def asked_twice(bed):
        bodies = []

        def answer(*_):
            bodies.append(bed.bytes(10_000))
            return Answer(bodies[-1], fields(), status)

        bed.serve(answer)
        replies = [bed.get(), bed.get()]
        yield
        # apt-cacher-ng puts a page of its own into a 404.
        served = all(reply.status == status and (status == 404 or reply.body in bodies) for reply in replies)
        right = bed.requests in (expected if isinstance(expected, tuple) else (expected,))
        return served and right, said(bed.requests, "" if served else "not served")


twice("no-freshness", "no freshness, no Last-Modified", 2, "2", "RFC 9111 4.2.2: nothing to guess from", lambda: [])
twice("heuristic", "no freshness, Last-Modified of 10 days ago", 1, "1", "RFC 9111 4.2.2",
      lambda: [("Last-Modified", http_date(864000))])
stale("no-cache-etag", "no-cache, with ETag", lambda: ("ETag", '"a"'), "if-none-match", ("Cache-Control", "no-cache"),
      "RFC 9111 5.2.2.4")
twice("no-store", "no-store", 2, "2", "RFC 9111 5.2.2.5", lambda: [("Cache-Control", "no-store, max-age=3600")])
twice("private", "private", 2, "2", "RFC 9111 5.2.2.7", lambda: [("Cache-Control", "private, max-age=3600")])
twice("not-found-max-age", "404 with max-age", 1, "1", "RFC 9111 3, 4.2.1", lambda: [LASTS], 404)
twice("not-found", "404 without", (1, 2), "2, or 1 for a moment", "RFC 9110 15.1, RFC 9111 4.2.2", lambda: [], 404)


def down(name, asks, right, rule, control, statuses):
    """The origin is asked once, unless `control` is None, and refuses connections from then on."""

    @case(name, f"origin down: {asks}", right, rule, ages="max-age=1," in f"{control},")
    def origin_down(bed):
        bed.origin, body = Origin(), bed.bytes(10_000)
        if control:
            bed.serve(Answer(body, [("Cache-Control", control), ("ETag", '"a"'), ("Last-Modified", http_date(864000))]))
            bed.get()
        yield
        bed.origin.down()
        reply = bed.get()
        right = reply.status in statuses and (reply.status != 200 or reply.is_ok(body))
        return right, f"{reply.status or reply.error}"


down("down-stale", "stale", "200", "RFC 9111 4.2.4", "max-age=1", [200])
down("down-stale-if-error", "stale, stale-if-error", "200", "RFC 5861 4", "max-age=1, stale-if-error=600", [200])
down("down-fresh", "fresh", "200", "RFC 9111 4.2", "max-age=3600", [200])
down("down-must-revalidate", "stale, must-revalidate", "504, or another error", "RFC 9111 5.2.2.2", "max-age=1, must-revalidate",
     [502, 503, 504])
down("down-unknown", "not stored", "502, 503 or 504", "RFC 9110 15.6", None, [502, 503, 504])


def wrong_bytes(bed, path, body):
    """The origin sends wrong bytes once, of the right length. How often they were taken for right; and the replies."""
    wrong = bytes([body[0] ^ 1]) + body[1:]
    sent = []

    def answer():
        sent.append(path)
        return Answer(wrong if len(sent) == 1 else body, [LASTS, ("ETag", '"a"')])

    def judge():
        replies = [bed.get(path) for _ in range(3)]
        served = sum(reply.whole and reply.body == wrong for reply in replies)
        right = served == 0 and len(sent) == 2 and all(reply.is_ok(body) for reply in replies[1:])
        return right, said(len(sent), f"wrong bytes served {served} times" if served else "")

    return answer, judge


@case("wrong-bytes", "wrong bytes for a digest in the URL, three times", "2, no wrong byte passed as right",
      "checked, fetched again, never served twice")
def wrong_bytes_in_url(bed):
    body = bed.bytes(50_000)
    path = f"debian/dists/stable/main/binary-amd64/by-hash/SHA256/{hashlib.sha256(body).hexdigest()}"
    answer, judge = wrong_bytes(bed, path, body)
    bed.serve(lambda *_: answer())
    judged = judge()
    yield
    return judged


@case("wrong-bytes-index", "wrong bytes for a digest in an index, three times", "2, no wrong byte passed as right",
      "learnt from Packages as it passed")
def wrong_bytes_in_index(bed):
    body = bed.bytes(50_000)
    name = "pool/main/t/tool/tool_1.0_all.deb"
    digest = hashlib.sha256(body).hexdigest()
    packages = f"Package: tool\nVersion: 1.0\nArchitecture: all\nFilename: {name}\nSize: {len(body)}\nSHA256: {digest}\n\n"
    answer, judge = wrong_bytes(bed, f"debian/{name}", body)
    bed.serve(lambda asked, _: answer() if asked.target.endswith(".deb") else Answer(packages.encode(), [LASTS, ("ETag", '"p"')]))
    bed.get("debian/dists/stable/main/binary-all/Packages")
    judged = judge()
    yield
    return judged
