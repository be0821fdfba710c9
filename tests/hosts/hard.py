"""Hard messages, made by class and from a seed: nested, broken, odd, and as the standards have them."""
import random
import string
from collections.abc import Callable, Iterator

CRLF = "\r\n"


class Maker:
    """Parts of messages out of chance."""

    def __init__(self, seed: int):
        self.chance = random.Random(seed)
        self.boundaries = 0

    def pick(self, *of):
        return self.chance.choice(of)

    def often(self, percent: int) -> bool:
        return self.chance.randrange(100) < percent

    def word(self, least: int = 1, most: int = 9) -> str:
        return "".join(self.pick(*string.ascii_lowercase) for _ in range(self.chance.randint(least, most)))

    def words(self, n: int) -> str:
        return " ".join(self.word() for _ in range(n))

    def text(self, lines: int | None = None) -> str:
        n = self.chance.randrange(6) if lines is None else lines
        begins = ("", ".", "--", " ", "-")
        return "".join(self.pick(*begins) + self.words(self.chance.randrange(8)) + CRLF for _ in range(n))

    def boundary(self) -> str:
        self.boundaries += 1
        return f"{self.word(1, 12)}{self.pick('', '_', '=', '.', ' ', '+')}{self.boundaries:04d}"

    def address(self) -> str:
        spec = f"{self.word()}@{self.word()}.example"
        return self.pick(
            spec, f"<{spec}>", f"{self.word().title()} <{spec}>", f'"{self.words(2)}" <{spec}>',
            f"{self.words(3)} <{spec}>", f"{spec} ({self.words(2)})", f'"{self.word()} \\"{self.word()}\\"" <{spec}>',
            f"=?utf-8?q?{self.word()}=C3=A9?= <{spec}>", f"{self.word()} ({self.word()}) <{spec}>",
            f'"{self.word()}\\\\{self.word()}"@{self.word()}.example',
            f"{self.word()}@[192.0.2.{self.boundaries % 250}]",
            f"{self.word()}.{self.word()}@{self.word()}.example",
            f"<@{self.word()}.example,@{self.word()}.example:{spec}>", f"{self.word()}. {self.word()} <{spec}>")

    def group(self) -> str:
        return f"{self.words(self.pick(1, 2))}: {', '.join(self.address() for _ in range(self.chance.randrange(4)))};"

    def addresses(self, most: int = 4) -> str:
        entries = [self.group() if self.often(15) else self.address() for _ in range(self.chance.randint(1, most))]
        return self.pick(", ", ",", ",\r\n ", " ,\r\n\t").join(entries)

    def envelope(self) -> str:
        fields = [f"Date: {self.pick('Mon', 'Tue')}, {self.chance.randint(1, 28)} Jan 2026 03:04:05 +0000",
                  f"Subject: {self.words(4)}", f"From: {self.addresses(2)}", f"To: {self.addresses()}",
                  f"Message-ID: <{self.word()}.{self.boundaries}@{self.word()}.example>"]
        extra = [f"Sender: {self.address()}", f"Reply-To: {self.addresses(2)}", f"Cc: {self.addresses()}",
                 f"Bcc: {self.addresses(2)}", f"In-Reply-To: <{self.word()}@{self.word()}.example>",
                 f"X-{self.word()}: {self.words(5)}", f"Received: by {self.word()}.example; {self.words(3)}"]
        chosen = [f for f in fields if self.often(90)] + [f for f in extra if self.often(40)]
        self.chance.shuffle(chosen)
        return "".join(f + CRLF for f in chosen)

    def content(self) -> str:
        """Fields of MIME beside the type."""
        fields = ["Content-Transfer-Encoding: " + self.pick("7bit", "8bit", "BASE64", "quoted-printable"),
                  f"Content-ID: <{self.word()}@{self.word()}.example>", f"Content-Description: {self.words(3)}",
                  f"Content-MD5: {self.word(22, 22)}==", f"Content-Language: {self.pick('en', 'en, de', 'fr , it,es')}",
                  f"Content-Location: http://{self.word()}.example/{self.word()}",
                  f"Content-Disposition: {self.pick('inline', 'attachment')}{self.parameters()}"]
        return "".join(f + CRLF for f in fields if self.often(35))

    def parameters(self, most: int = 3) -> str:
        out, used = "", set()
        for _ in range(self.chance.randrange(most + 1)):
            name = self.word(3, 8)
            if name in used or name in ("boundary", "charset"):
                continue
            used.add(name)
            value = self.pick(self.word(), f'"{self.words(3)}"', f'"{self.word()}\\"{self.word()}"',
                              f'"{self.word()};{self.word()}"')
            out += self.pick("; ", ";", ";\r\n ", " ;\t") + name + self.pick("=", "=", " = ") + value
        return out

    def leaf_type(self) -> str:
        kind = self.pick("text/plain", "text/html", "TEXT/Plain", "application/octet-stream", "image/png",
                         "text/x-" + self.word())
        charset = self.pick("", "", "; charset=utf-8", '; charset="ISO-8859-1"')
        charset = charset if kind.lower().startswith("text") else ""
        return kind + charset + self.parameters()

    def leaf(self) -> str:
        if self.often(15):
            return CRLF + self.text()
        return f"Content-Type: {self.leaf_type()}{CRLF}{self.content()}{CRLF}{self.text()}"

    def multipart(self, depth: int, subtype: str | None = None, parts: int | None = None) -> str:
        """With its header fields of MIME; without an envelope."""
        b = self.boundary()
        quoted = f'"{b}"' if not b.isalnum() or self.often(50) else b
        kind = subtype or self.pick("mixed", "alternative", "related", "x-" + self.word())
        n = self.chance.randrange(4) if parts is None else parts
        out = f"Content-Type: multipart/{kind}; boundary={quoted}{self.parameters(1)}{CRLF}{self.content()}{CRLF}"
        out += self.text(self.pick(0, 0, 1))
        for _ in range(n):
            out += f"--{b}{self.pick('', '', ' ', chr(9))}{CRLF}{self.entity(depth - 1)}{CRLF}"
        return out + f"--{b}--{CRLF}{self.text(self.pick(0, 0, 2))}"

    def message_part(self, depth: int) -> str:
        return f"Content-Type: message/rfc822{self.parameters(1)}{CRLF}{self.content()}{CRLF}{self.message(depth - 1)}"

    def entity(self, depth: int) -> str:
        if depth <= 0 or self.often(50):
            return self.leaf()
        return self.message_part(depth) if self.often(35) else self.multipart(depth)

    def message(self, depth: int = 0) -> str:
        return self.envelope() + self.pick("MIME-Version: 1.0\r\n", "") + self.entity(depth)


# ---- The classes ----

def plain(m: Maker, i: int) -> str:
    return m.message(0)


def nested(m: Maker, i: int) -> str:
    return m.envelope() + m.multipart(1 + i % 6, parts=1 + i % 4)


def inner(m: Maker, i: int) -> str:
    return m.envelope() + m.message_part(2 + i % 4)


def odd_fields(m: Maker, i: int) -> str:
    odd = ["Subject:", "Subject: ", "Date:", "From:", "To: ", "Reply-To:", "Sender: ", "Message-ID:", "In-Reply-To: ",
           f"Subject:{m.word()}", f"Subject: {m.words(2)}\r\n {m.words(2)}", f"Subject:\r\n {m.words(2)}",
           f"Subject: {m.words(1)}\r\n\t\r\n {m.word()}", f"SUBJECT : {m.words(2)}",
           f"message-id: <{m.word()}@x>\r\n <y>",
           f"Cc: {m.address()}\r\nCc: {m.address()}", f"To: {m.address()}\r\nX: y\r\nTo: {m.group()}",
           f"Subject: {m.word()}\r\nSubject: {m.word()}", f"{m.word()}", f": {m.word()}", f"{m.words(2)}: {m.word()}",
           f'Message-ID: <7.{m.word()}"pat@x"@host.example>', f'Subject: "{m.word()}" \\ {m.word()}']
    return "".join(m.pick(*odd) + CRLF for _ in range(1 + i % 7)) + "From: a@b.example\r\n" + CRLF + m.text()


def odd_addresses(m: Maker, i: int) -> str:
    odd = [lambda: m.addresses(6), m.group, lambda: f"{m.word()} . {m.word()} @ {m.word()} . example",
           lambda: f".{m.word()}@x", lambda: "undisclosed-recipients:;", lambda: f"{m.word()}: ;",
           lambda: f"({m.words(2)}) {m.address()}", lambda: f"{m.address()},, {m.address()}", lambda: f",{m.address()}",
           lambda: f"{m.word()}", lambda: f"{m.word()}, {m.word()}@{m.word()}", lambda: f"<{m.word()}>",
           lambda: f"{m.word()} <{m.word()}>", lambda: f"@{m.word()}", lambda: f"{m.word()}@", lambda: f"<{m.word()}@",
           lambda: f"{m.word()} <{m.word()}@{m.word()}", lambda: f'"{m.word()}" "{m.word()}" <{m.word()}@x>',
           lambda: f"(a (nested (comment)) b) {m.word()}@{m.word()}", lambda: f"{m.word()}@{m.word()} (\\) {m.word()})",
           lambda: f"{m.word()}@{m.word()} ({m.word()}", lambda: f"{m.word()}@{m.word()}.",
           lambda: f"{m.word()}: {m.address()}"]
    return "".join(f"{name}: {m.pick(*odd)()}{CRLF}" for name in ("From", "Sender", "To", "Cc", "Bcc", "Reply-To")
                   if m.often(70)) + CRLF + m.text()


def broken_ends(m: Maker, i: int) -> str:
    """Cut somewhere: no final delimiter, half a header, half a delimiter."""
    whole = m.envelope() + m.multipart(2, parts=3)
    return whole[:len(whole) - 1 - m.chance.randrange(len(whole) * 2 // 3)]


def broken_boundaries(m: Maker, i: int) -> str:
    kind = i % 8
    b = m.word(3, 8)
    head = m.envelope() + "MIME-Version: 1.0\r\nContent-Type: multipart/mixed"
    body = f"{CRLF}--{b}\r\n\r\n{m.text()}\r\n--{b}\r\nContent-Type: text/html\r\n\r\n{m.text()}\r\n--{b}--\r\n"
    if kind == 0:
        return head + CRLF + body
    if kind == 1:
        return f"{head}; boundary={m.word(9, 12)}{CRLF}{body}"
    if kind == 2:
        return f"{head}; boundary={b}{CRLF}{CRLF}--{b}--{CRLF}{m.text()}"
    if kind == 3: # the next delimiter comes within a header
        return (f"{head}; boundary={b}{CRLF}{CRLF}--{b}{CRLF}Content-Type: text/html{CRLF}--{b}{CRLF}X: y{CRLF}--{b}--"
                f"{CRLF}")
    if kind == 4: # parts behind the end
        return f"{head}; boundary={b}{CRLF}{body}{body}"
    if kind == 5: # the outer delimiter ends inner parts
        return (f"{head}; boundary={b}{CRLF}{CRLF}--{b}{CRLF}Content-Type: multipart/mixed; boundary=in{CRLF}{CRLF}--in"
                f"{CRLF}{CRLF}{m.text()}--{b}{CRLF}{CRLF}{m.text()}--in{CRLF}{m.text()}--{b}--{CRLF}")
    if kind == 6:
        return f"{head}; boundary={b}{CRLF}{CRLF}--{b}{CRLF}--{b}{CRLF}{CRLF}--{b}{CRLF}{CRLF}{CRLF}--{b}--"
    return f"{head}; boundary={b}; boundary={m.word()}{CRLF}{body}"


def prefixes(m: Maker, i: int) -> str:
    """Boundaries that begin with one another."""
    names = [m.word(2, 4)]
    for _ in range(2 + i % 3):
        names.append(names[-1] + m.pick("x", "1", "-", "--", "a b"))
    m.chance.shuffle(names)
    out, ends = m.envelope(), ""
    for b in names:
        out += f'Content-Type: multipart/mixed; boundary="{b}"{CRLF}{CRLF}--{b}{CRLF}{CRLF}{m.text(1)}--{b}{CRLF}'
        ends = f"{CRLF}--{b}--{CRLF}" + ends
    return out + CRLF + m.text(1) + ends


def digest(m: Maker, i: int) -> str:
    b = m.boundary()
    out = f'{m.envelope()}Content-Type: multipart/digest; boundary="{b}"{CRLF}{CRLF}'
    for _ in range(1 + i % 4):
        kind = m.pick("", "", "Content-Type: text/plain\r\n", "Content-Description: x\r\n", "Content-Type: message/rfc822\r\n")
        out += f"--{b}{CRLF}{kind}{CRLF}{m.message(i % 2)}{CRLF}"
    return out + f"--{b}--{CRLF}"


def extended(m: Maker, i: int) -> str:
    """RFC 2231: sections, charsets, both, out of order, with gaps."""
    sets = [["name*0=a", "name*1=b", "name*2=c"], ["name*1=b", 'name*0="a "'], ["name*=utf-8''%E2%82%AC"],
            ["name*0*=utf-8''%E2%82", "name*1*=%AC", "name*2=.txt"], ["name*0=a%20", "name*1*=%41"],
            ["name*0=a", "name*2=c"], ["name*1=a"], ["name*0=a", "other*0=x", "name*1=b", "other*1=y"],
            ["name*00=a", "name*1=b"], ["name*x=a"], ["name*0*=us-ascii'en'one", "title=two"], ["NAME*0=a", "name*1=b"],
            ['filename*1=b%20c', "filename*0*=UTF-8''%E2%82%AC%20", "filename*2*=%2E.txt"]]
    chosen = [m.pick(*sets), m.pick(*sets)]
    return (f"{m.envelope()}MIME-Version: 1.0{CRLF}Content-Type: application/x-y; {m.pick('; ', ';' + CRLF + ' ').join(chosen[0])}"
            f"{CRLF}Content-Disposition: attachment; {'; '.join(chosen[1])}{CRLF}{CRLF}{m.text()}")


def eight_bit(m: Maker, i: int) -> str:
    word = m.pick("é", "ñandú", "日本", "\udcff\udcfe")
    return (f"Subject: {m.word()} {word}{CRLF}From: {word} <{m.word()}@x.example>{CRLF}To: {word}@{word}.example{CRLF}"
            f'Content-Type: text/plain; charset=utf-8; name="{word}"{CRLF}Content-Disposition: attachment; filename={word}{CRLF}'
            f"Content-Description: {word}{CRLF}{CRLF}{word * 3}{CRLF}{m.text()}")


def odd_types(m: Maker, i: int) -> str:
    odd = ["text", "text/", "/plain", "", ";", "text plain", 'text/plain"; charset=x', "text/plain; charset", "text/plain; =x",
           'text/plain; charset=""', "text/plain charset=utf-8", "text / plain ; charset = utf-8", "(c) text (d) / (e) html (f); (g) a=b (h)",
           "text/plain; a=b; a=c", "text/plain;;; a=b;", "text/plain; name==?utf-8?q?a?=", 'text/plain; a="b"c; d=e',
           "text/plain;\r\n\tcharset=utf-8\r\n ; a=b", "multipart/mixed", 'multipart/mixed; boundary=""', "multipart/mixed; boundary",
           "message/rfc822; a=b", "message/delivery-status", "message/partial; id=x", "message/global", "TEXT/HTML; CHARSET=UTF-8",
           "application/x; a=" + "b" * 300, "text/plain; charset=utf-8; format=flowed; delsp=yes", "x/" + "y" * 90]
    kind = odd[i % len(odd)]
    text = f"x{CRLF}" if "multipart" in kind else m.text(3) # where a multipart has no part, nobody knows its first
    return f"{m.envelope()}MIME-Version: 1.0{CRLF}Content-Type: {kind}{CRLF}{m.content()}{CRLF}{text}"


def empty_parts(m: Maker, i: int) -> str:
    b = m.boundary()
    parts = [m.pick("", CRLF, CRLF + CRLF, "X: y\r\n", "X: y\r\n\r\n", "Content-Type: message/rfc822\r\n\r\n",
                    "Content-Type: message/rfc822\r\n", "Content-Type: multipart/mixed; boundary=q\r\n\r\n",
                    "Content-Type: message/rfc822\r\n\r\n\r\n") for _ in range(1 + i % 5)]
    return f'{m.envelope()}Content-Type: multipart/mixed; boundary="{b}"{CRLF}{CRLF}' + \
           "".join(f"--{b}{CRLF}{part}{m.pick('', CRLF)}" for part in parts) + f"--{b}--{m.pick('', CRLF)}"


def line_ends(m: Maker, i: int) -> str:
    text = m.envelope() + m.multipart(2, parts=2)
    how = i % 4
    if how == 0:
        return text.replace(CRLF, "\n")
    if how == 1:
        return "".join(line + m.pick(CRLF, "\n") for line in text.split(CRLF))
    if how == 2: # a CR alone in bodies
        head, _, body = text.partition(CRLF + CRLF)
        return head + CRLF + CRLF + body.replace(" ", "\r", 3)
    return text.rstrip(CRLF)


def long_values(m: Maker, i: int) -> str:
    kind = i % 5
    if kind == 0:
        return "To: " + ",\r\n ".join(m.address() for _ in range(40 + 20 * (i % 7))) + CRLF + m.message(0)
    if kind == 1:
        return f"Subject: {CRLF.join(' ' + m.words(9) for _ in range(40))}{CRLF}{m.message(0)}"
    if kind == 2:
        return (f"{m.envelope()}Content-Type: application/x{''.join(f';{CRLF} {m.word(5, 9)}{n}={m.word(40, 60)}' for n in range(30))}"
                f"{CRLF}{CRLF}{m.text()}")
    if kind == 3:
        return f"References: {CRLF.join(' <' + m.word(20, 30) + '@x>' for _ in range(90))}{CRLF}{m.message(1)}"
    return f"{m.envelope()}Content-Type: text/plain{CRLF}Content-Description: {CRLF.join(' ' + m.words(9) for _ in range(30))}{CRLF}{CRLF}x"


def levels(m: Maker, i: int) -> str:
    """200 levels, of multiparts, of messages, and of both."""
    out, ends = "Subject: deep\r\n", ""
    for n in range(200):
        if i % 3 == 1 or (i % 3 == 2 and n % 2 == 1):
            out += f"Content-Type: message/rfc822{CRLF}{CRLF}Subject: {n}{CRLF}"
        else:
            out += f"Content-Type: multipart/mixed; boundary=level{n:03d}{CRLF}{CRLF}--level{n:03d}{CRLF}"
            ends = f"{CRLF}--level{n:03d}--{CRLF}" + ends
    return out + CRLF + "bottom" + CRLF + ends


def many_parts(m: Maker, i: int) -> str:
    return f"{m.envelope()}Content-Type: multipart/mixed; boundary=many{CRLF}{CRLF}" + \
           "".join(f"--many{CRLF}{m.leaf() if i else CRLF + 'x' + CRLF}{CRLF}" for _ in range(2000)) + f"--many--{CRLF}"


CLASSES: list[tuple[Callable[[Maker, int], str], int]] = [
    (plain, 30), (nested, 60), (inner, 40), (odd_fields, 30), (odd_addresses, 50), (broken_ends, 40),
    (broken_boundaries, 24), (prefixes, 24), (digest, 24), (extended, 26), (eight_bit, 8), (odd_types, 29),
    (empty_parts, 30), (line_ends, 16), (long_values, 15), (levels, 3), (many_parts, 2)]


def messages(seed: int) -> Iterator[tuple[str, bytes]]:
    """Name and octets of each."""
    for make, n in CLASSES:
        for i in range(n):
            maker = Maker(hash((seed, i)) ^ sum(map(ord, make.__name__)))
            yield f"{make.__name__} {i}", make(maker, i).encode("utf-8", "surrogateescape")
