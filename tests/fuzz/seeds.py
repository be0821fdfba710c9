#!/usr/bin/env python3
"""seeds.py DIALOGUES OUT: writes the first inputs of the fuzz targets, a directory each, out of the dialogues."""
import base64
import hashlib
import re
import shutil
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "hosts"))
import dns_server  # noqa: E402  (beside the tests with other servers)
import hard  # noqa: E402

OCTETS_MAX = 8192
ESCAPES = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"\\": b"\\"}


def unescape(text: bytes) -> bytes:
    def octet(m: re.Match) -> bytes:
        return bytes([int(m[1][1:], 16)]) if m[1][:1] == b"x" else ESCAPES[m[1]]

    return re.sub(rb"\\(x[0-9a-fA-F]{2}|[rnt\\])", octet, text)


def behind_mark(line: bytes, n: int) -> bytes:
    return line[n + 1:] if line[n:n + 1] == b" " else line[n:]


def octets_of(line: bytes, mark: bytes) -> bytes:
    """What a line `M text`, `M*N: text` or `M| raw` stands for."""
    times = re.match(re.escape(mark) + rb"\*(\d+):? ?(.*)", line, re.S)
    if times:
        return (times[2] + b"\r\n") * min(int(times[1]), OCTETS_MAX)
    if line[len(mark):len(mark) + 1] == b"|":
        return unescape(behind_mark(line, len(mark) + 1))
    return behind_mark(line, len(mark) + (mark in (b"C", b"S"))) + b"\r\n"


class Dialogue:
    def __init__(self, path: Path):
        lines = path.read_bytes().split(b"\n")
        profile = next(line for line in lines if line.startswith(b"profile: ")).split()
        self.protocol = "smtp" if profile[-1] in (b"mx", b"receive") else profile[-1].decode()
        mark = b"S" if self.protocol == "client" else b"C"  # of the lines that the session is fed
        client = [octets_of(line, mark) for line in lines if re.match(mark + rb"[:|*]", line)]
        self.client = b"".join(client)
        self.messages = [b"".join(octets_of(line, b"|") for line in block.split(b"\n"))
                         for block in re.findall(rb"(?m)((?:^\|.*\n)+)", path.read_bytes())]


def paths(client: bytes) -> list[bytes]:
    return [m[1] for m in re.finditer(rb"(?i)^(?:MAIL FROM|RCPT TO):(<.*?)\r?$", client, re.M)]


def words(client: bytes) -> set[bytes]:
    """What commands of IMAP are made of, each with what follows it."""
    return {line[m.end():] for line in client.split(b"\r\n") for m in re.finditer(rb"[ (]", line)}


def searches(client: bytes) -> list[bytes]:
    """What SEARCH is asked for, with its literals."""
    return re.findall(rb"SEARCH (?:RETURN \([^)]*\) )?((?:[^\r\n]*\{\d+\+?\}\r\n)*[^\r\n]*)\r\n", client)


def base64s(client: bytes) -> set[bytes]:
    """What may be base64 in a login."""
    return {word for line in client.split(b"\r\n") for word in line.split(b" ")[-1:] if len(word) % 4 == 0 and word}


def decoded(texts: set[bytes]) -> set[bytes]:
    """What is."""
    found = set()
    for text in texts:
        try:
            found.add(base64.b64decode(text, validate=True))
        except ValueError:
            continue
    return found


def records() -> list[bytes]:
    """Records as text/queue_record.h has them."""
    def field(text: bytes) -> bytes:
        return struct.pack("<H", len(text)) + text

    fields = [(b"1-2-3", b"a@remote.test", b"pat@here.test", b"", b"", b"", b"", b""),
              (b"", b"", b'"odd user"@here.test', b"4.2.2 full", b"q1", b"rfc822;a@b", b"mx.here.test", b"smart")]
    return [struct.pack("<BBHHIqq", 2, fate, code, 0, 1, 2, 3) + b"".join(map(field, f)) for f in fields
            for fate, code in ((1, 0), (2, 550))]


def values(messages: set[bytes]) -> set[bytes]:
    """Of header fields."""
    return {m[1] for message in messages for m in re.finditer(rb"(?m)^[\w-]+:(.*(?:\r?\n[ \t].*)*)", message)}


def structures() -> list[bytes]:
    """Blobs as message/structure.h has them: a text, a multipart with two parts, a message in a message."""
    text = bytes([1, 0, 30, 1, 1, 0, 0, 20, 10, 1, 7, 2, 10]) + b"hello"
    multipart = bytes([1, 1, 60, 3, 2, 2, 0, 20, 40, 4, 0, 0, 0, 22, 2, 8, 1, 0, 1, 0, 40, 2, 8, 1, 0])
    message = bytes([1, 0, 50, 2, 3, 1, 0, 20, 30, 3, 0, 1, 0, 20, 10, 20, 2, 4, 6, 7, 2, 0])
    return [text, multipart, message]


SERVER = b"[server]\nhostname = mail.here.test\ndomains = here.test there.test\ndata = /d\nuser = u\n"
LISTENER = b"[listener %s]\nprotocol = %s\naddress = 127.0.0.1:2525 [::1]:25 unix:/s\nplain-passwords = yes\n"


def configurations() -> set[bytes]:
    """With each key, right and wrong."""
    root = Path(__file__).resolve().parents[2]
    keys = re.findall(r'\n    \{ "([a-z-]+)", take_', (root / "src/mailserverd/config.c").read_text())
    faces = [b"mx", b"submission", b"lmtp", b"pop3", b"imap"]
    listeners = b"".join(LISTENER % (face, face) for face in faces)
    found = {SERVER + listeners, SERVER + b"user = " + b"u" * 63 + b"\n" + listeners,
             SERVER + b"user = " + b"u" * 64 + b"\n" + listeners, b"[nothing]\na = b\n",
             SERVER + b"[tls a]\ncertificate = /c\nkey = /k\n" + listeners.replace(b"plain-passwords = yes", b"tls = implicit"),
             SERVER + LISTENER % (b"a", b"imap") * 2, SERVER + b"; comment\n  more\n" + LISTENER % (b"a" * 60, b"mx")}
    for key in keys:
        for value in (b"1", b"100", b"64K", b"99999999999999999999G", b"yes", b"none", b"json", b"x y"):
            found |= {SERVER + key.encode() + b" = " + value + b"\n" + listeners, SERVER + listeners + key.encode() + b"=" + value + b"\n"}
    return found


def people() -> set[bytes]:
    keys = b"4096:" + b"ab" * 16 + b":%s:%s"
    scram = b" SCRAM-SHA-256:" + keys % (b"cd" * 32, b"ef" * 32) + b" SCRAM-SHA-1:" + keys % (b"cd" * 20, b"ef" * 20)
    users = b"# users\nPat@here.test $y$j9T$salt$hash" + scram + b"\nkim@here.test *\n" + b"l" * 245 + b"@here.test x\n"
    aliases = b"info@here.test pat@here.test sales@here.test\nsales@here.test info@here.test kim@here.test\n@here.test Info@here.test\n"
    return {users, aliases, users + aliases, b"a@b c\n@b a@b\n"}


def maildirs() -> set[bytes]:
    uids = b"3 V1790000000 N4 G0123\n1 P%s W312 :1790.M1P1.host\n2 :1790.M1P1.host2:2,\n3 :1791.V,S=3\n" % (b"u" * 70)
    names = b"1790.M1P1.host:2,DFRSTPab\n1790.M1P1.host2:2,S\n1791.V,S=3\n1792.new\n"
    return {names + b"\n" + uids + b"\n0 $Junk\n1 Work\n25 z\n",
            names + b"\n" + uids.replace(b"Pu", b"Puu") + b"\n", b"Entw&APw-rfe.2026\nA/B\n\\Sent Sent\n\\All Sent\n\n" + uids}


def mboxes(messages: set[bytes]) -> set[bytes]:
    head = b"From kim@remote.test Wed Nov 25 20:15:18 2026\nX-IMAPbase: 1790000000 12 $Junk\nX-UID: 7\nStatus: RO\nX-Status: AF\n"
    some = [head + m.replace(b"\r\n", b"\n") + b"\n" for m in sorted(messages)[:20]]
    return {head + b"X-Keywords: $Junk Work\n\n>From me\n>>From you\nFrom here\n\n" * 2, b"".join(some[:3]), *some}


def exchanged() -> set[bytes]:
    mailbox, message = b"mailbox 5 1 1790000000 9\nINBOX", b"message 7 3 1790000000000000 8 2 9\nabone threetext\r\n."
    return {mailbox + message * 2, mailbox, message, b"message 0 0 -1 0 70 0\n" + b"u" * 70 + mailbox,
            b"message 0 0 -1 0 71 0\n" + b"u" * 71 + mailbox}


def frames() -> set[bytes]:
    def frame(kind: bytes, octets: bytes = b"") -> bytes:
        return kind + struct.pack("<I", len(octets)) + octets

    command = frame(b"w", b"user") + frame(b"w", b"add") + frame(b"w", b"pat") + frame(b"g") + frame(b"d", b"secret\n") + frame(b"e")
    return {command, frame(b"o", b"text\n") + frame(b"r", b"wrong\n") + frame(b"x", b"\1"), frame(b"x") + b"x\xff\xff\xff\xff"}


def replies() -> set[bytes]:
    """Of name servers: each type, with and without pointers, CNAMEs, and what is not there."""
    name, found = dns_server.wire_name("a.test"), set()
    lines = {"MX": ["10 mx.a.test", "20 a.test", "0 ."], "A": ["192.0.2.1", "192.0.2.2"], "AAAA": ["2001:db8::1"], "CNAME": ["c.test"],
             "TLSA": ["3 1 1 " + "ab" * 32, "2 0 0 3082"]}
    for kind, values in lines.items():
        of = [dns_server.record("a.test", kind, 600, value) for value in values]
        alias = [dns_server.record("a.test", "CNAME", 60, "b.test")] + [dns_server.record("b.test", kind, 9, v) for v in values]
        for rcode, answers in ((0, of), (0, of[::-1]), (0, alias), (0, alias[::-1]), (0, []), (2, []), (3, alias[:1])):
            head = struct.pack(">HHHHHH", 1, 0x8180 | rcode, 1, len(answers), 0, 0)
            question, octets = name + struct.pack(">HH", dns_server.TYPES[kind], 1), b"".join(answers)
            found |= {head + question + octets, head + question + octets.replace(name, b"\xc0\x0c")}
    return found


def domains() -> set[bytes]:
    texts = ["b\u00fccher.example", "a.\u03b1\u03c2.B\u00dcCHER", "\u4ed6\u4eec\u4e3a\u4ec0\u4e48", "\u212a.test", "pat.Here.test",
             "\U0010ffff", "\u00fc" + "a" * 55, "xn--bcher-kva.x"]
    return {text.encode() for text in texts} | {b"b\xfccher.test"}


def challenges() -> set[bytes]:
    first = b".server,s=c2FsdA==,i=4096\n"
    ways = [b"VXNlcm5hbWU6\nUGFzc3dvcmQ6\n", b"\n\n\n", b"eyJzdGF0dXMiOiI0MDEifQ==\n\n", first + b"=\n", first + b"~\n",
            first + b"=\n=\n", b".,s=c2FsdA==,i=4095\n", first + b"dj0=\n", b"cj14LHM9eCxpPTQwOTY=\n"]
    return {b"%d" % mechanism + way for mechanism in range(8) for way in ways}


def inputs(dialogues: list[Dialogue]) -> dict[str, set[bytes]]:
    streams = {d.client for d in dialogues}
    messages = {m for d in dialogues for m in d.messages}
    seeds = {protocol: {d.client for d in dialogues if d.protocol == protocol} for protocol in
             ("smtp", "lmtp", "submission", "pop3", "imap")}
    seeds["smtp_client"] = {d.client for d in dialogues if d.protocol == "client"}
    seeds["literal"] = seeds["imap"]
    seeds["records"] = seeds["smtp"]
    seeds["hello"] = {bytes([0, 23, 0, 0, 255, 1, 0, 1, 0]), bytes([0, 0, 0, 2, 0, 0, 0, 23, 0, 0]), bytes([22, 3, 1, 0, 1])}
    seeds["imap_parse"] = {word for d in dialogues if d.protocol == "imap" for word in words(d.client)}
    seeds["search"] = {keys for d in dialogues if d.protocol == "imap" for keys in searches(d.client)}
    seeds |= {"line": streams, "dots": streams | messages, "counted": streams | messages, "stuff": messages | streams,
              "top": messages, "header_editor": messages | streams, "queue_record": set(records())}
    seeds["path"] = {p for d in dialogues for p in paths(d.client)}
    seeds["decimal"] = {n for d in dialogues for n in re.findall(rb"\d+", d.client)}
    hard_ones = {message for _, message in hard.messages(1) if len(message) < OCTETS_MAX // 2}
    seeds["scanner"] = seeds["seek"] = messages | hard_ones
    seeds["seven_bit"] = {m.replace(b"e", b"\xc3\xa9", 3) for m in messages | hard_ones} | messages
    seeds["fields"] = values(messages | hard_ones)
    seeds["structure"] = set(structures())
    seeds["base64"] = {text for d in dialogues for text in base64s(d.client)}
    seeds["sasl_client"] = challenges()
    seeds["scram"] = {message for message in decoded(seeds["base64"]) if b"r=" in message}
    seeds["prepare"] = {"I\u00adX".encode(), "a\u00a0b\u3000\u200b".encode(), b"secret", "p\u00e4ss".encode(), b"a\x07"}
    seeds |= {"config": configurations(), "people": people(), "maildir": maildirs(), "mbox": mboxes(messages),
              "exchange": exchanged(), "wire": frames(), "dns": replies(), "alabel": domains()}
    return seeds


def write(out: Path, name: str, seeds: set[bytes]) -> None:
    """The four octets that decide about chance stand before all but the plain parsers' inputs."""
    has_knobs = name not in ("path", "decimal", "imap_parse", "base64", "scram", "prepare", "config", "maildir", "mbox", "exchange",
                             "wire", "dns", "alabel")
    (out / name).mkdir(parents=True)
    for seed in seeds:
        digest = hashlib.sha1(seed).digest()
        if len(seed) <= OCTETS_MAX:
            (out / name / digest.hex()[:16]).write_bytes(digest[:4] + seed if has_knobs else seed)


def main() -> None:
    where, out = Path(sys.argv[1]), Path(sys.argv[2])
    dialogues = [Dialogue(p) for p in sorted(where.rglob("*.dlg")) if b"\nprofile: " in b"\n" + p.read_bytes()]
    shutil.rmtree(out, ignore_errors=True)
    for name, seeds in inputs(dialogues).items():
        write(out, name, seeds)
        if not seeds:
            sys.exit(f"no seed for {name}")


main()
