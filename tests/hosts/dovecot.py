#!/usr/bin/env python3
"""ENVELOPE and BODYSTRUCTURE of hard messages (hard.py) agree with those of a real Dovecot.  dovecot.py BUILD [CLASS]

Dovecot is not installed: it runs from a Debian package that was unpacked, pre-authenticated, over a pair of pipes.  A
message is given to both by APPEND; what Dovecot then gives as BODY[] is given to mailserverd, so that both have the same
octets (Dovecot ends every line with CRLF).

The tree, its types, sizes and lines must be the same in every message.  A text may be another one only by a rule of
RULES, each with the sentence that makes ours right."""
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import hard
from host import HANG_S, USERS
from server import Server
from tap import Tap

NOBODY = 65534


class Imap:
    """A client that speaks over files: tagged commands, and responses as nested lists."""

    def __init__(self, to, back):
        self.to, self.back, self.n = to, back, 0
        self.back.readline()

    def line(self) -> bytes:
        """A response, its literals within."""
        whole = b""
        while True:
            whole += self.back.readline()
            literal = re.search(rb"\{(\d+)\}\r\n$", whole)
            if not literal:
                return whole
            whole += self.back.read(int(literal[1]))

    def ask(self, command: bytes) -> list[bytes]:
        self.n += 1
        tag = b"t%d" % self.n
        self.to.write(tag + b" " + command + b"\r\n")
        self.to.flush()
        said = []
        while True:
            line = self.line()
            assert line, "the server has gone"
            if line.startswith(tag + b" "):
                assert line.startswith(tag + b" OK"), (command[:60], line)
                return said
            said.append(line)

    def append(self, message: bytes) -> None:
        self.ask(b"APPEND INBOX {%d+}\r\n%s" % (len(message), message))

    def fetch(self, number: int, what: bytes) -> dict:
        for line in self.ask(b"FETCH %d (%s)" % (number, what)):
            if line.startswith(b"* %d FETCH " % number):
                values, _ = parse(line, line.index(b"(") + 1)
                return dict(zip((v.upper() for v in values[::2]), values[1::2]))
        raise AssertionError(f"no FETCH of {number}")


def parse(text: bytes, at: int) -> tuple[list, int]:
    """A list behind its parenthesis.  NIL is None, a string bytes, and an atom bytes, too: what it is is seen by where it
    stands."""
    out: list = []
    while True:
        c = text[at:at + 1]
        if c == b")":
            return out, at + 1
        if text.startswith(b"BODY[", at): # a section, with its fields and its origin
            name = re.compile(rb"[^\]]*\](<\d+>)?").match(text, at)
            out.append(name[0])
            at = name.end()
            continue
        if c == b" ":
            at += 1
        elif c == b"(":
            value, at = parse(text, at + 1)
            out.append(value)
        elif c == b'"':
            quoted = re.compile(rb'"((?:[^"\\\r\n]|\\["\\])*)"').match(text, at)
            assert quoted, text[at:at + 60]
            out.append(re.sub(rb"\\(.)", rb"\1", quoted[1]))
            at = quoted.end()
        elif c == b"{":
            literal = re.compile(rb"\{(\d+)\}\r\n").match(text, at)
            at = literal.end() + int(literal[1])
            out.append(text[literal.end():at])
        else:
            atom = re.compile(rb"[^ ()\"{]+").match(text, at)
            assert atom, text[at:at + 60]
            out.append(None if atom[0] == b"NIL" else int(atom[0]) if atom[0].isdigit() else atom[0])
            at = atom.end()


class Dovecot:
    """One process that answers as if somebody had logged in."""

    def __init__(self, unpacked: dict[str, Path]):
        self.path = Path(tempfile.mkdtemp(prefix="dovecot-"))
        mail, user = self.path / "mail", {}
        mail.mkdir()
        config = self.path / "dovecot.conf"
        numbers = (os.getuid(), os.getgid()) if os.getuid() else (NOBODY, NOBODY)
        config.write_text(f"base_dir = {self.path}\nstate_dir = {self.path}\nmail_location = mdbox:{mail}\n"
                          f"mail_home = {self.path}\nssl = no\nstats_writer_socket_path =\nfirst_valid_uid = 1\n"
                          f"mail_uid = {numbers[0]}\nmail_gid = {numbers[1]}\nfirst_valid_gid = 0\nlog_path = {self.path}/log\n"
                          "default_login_user = nobody\ndefault_internal_user = nobody\ndefault_internal_group = nogroup\n")
        if os.getuid() == 0: # it never serves root's mail
            for path in (self.path, mail):
                os.chown(path, NOBODY, NOBODY)
            user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
            for name, where in unpacked.items(): # which may lie where only root can look
                shutil.copytree(where, self.path / name, symlinks=True)
            unpacked = {name: self.path / name for name in unpacked}
        libraries = unpacked["core"] / "usr/lib/dovecot"
        environment = {"LD_LIBRARY_PATH": str(libraries), "USER": "nobody", "HOME": str(self.path), "PATH": "/usr/bin:/bin"}
        self.process = subprocess.Popen([unpacked["core"] / "usr/bin/doveconf", "-c", config, "-f", "service=imap", "-e",
                                         unpacked["imapd"] / "usr/lib/dovecot/imap"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                        env=environment, **user)
        self.imap = Imap(self.process.stdin, self.process.stdout)
        self.imap.ask(b"SELECT INBOX")

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait(HANG_S)
        shutil.rmtree(self.path, ignore_errors=True)


class Ours:
    def __init__(self, build: Path):
        self.server = Server(build)
        self.server.add_users()
        self.host = self.server.start()
        self.socket = socket.create_connection(("127.0.0.1", self.host.ports["imap"]), HANG_S)
        files = self.socket.makefile("rwb")
        self.imap = Imap(files, files)
        self.imap.ask(f"LOGIN pat {USERS['pat']}".encode())
        self.imap.ask(b"SELECT INBOX")

    def end(self) -> None:
        self.socket.close()
        self.host.end()
        self.server.remove()


# ---- What must never differ ----

OCTETS = [b"application", b"octet-stream", None]


def is_invalid(body: list) -> bool:
    """Dovecot shows a Content-Type that it cannot read as a type without a name, or without a subtype; "multipart" alone,
    which nothing but a cut makes of a message, as octets."""
    return not isinstance(body[0], list) and (not body[0] or not body[1] or body[:3] == OCTETS)


def parts_of(body: list) -> list[list]:
    return body[:next(i for i, v in enumerate(body) if not isinstance(v, list))]


def is_message(body: list) -> bool:
    return [v.lower() for v in body[:2]] == [b"message", b"rfc822"]


def same_tree(ours: list, theirs: list) -> bool:
    """The parts, what each is, and how large."""
    if isinstance(ours[0], list) or isinstance(theirs[0], list):
        if not (isinstance(ours[0], list) and isinstance(theirs[0], list)):
            return False
        a, b = parts_of(ours), parts_of(theirs)
        return len(a) == len(b) and all(map(same_tree, a, b))
    if ours[6] != theirs[6]:
        return False
    if is_invalid(theirs) and [v.lower() for v in ours[:2]] == [b"text", b"plain"]:
        return True
    if [v.lower() for v in ours[:2]] != [v.lower() for v in theirs[:2]]:
        return False
    if is_message(theirs):
        return same_tree(ours[8], theirs[8]) and ours[9] == theirs[9]
    return theirs[0].lower() != b"text" or ours[7] == theirs[7]


# ---- The differences that there may be ----

RULES = {
    "parameters in another order": "RFC 2045 section 5.1: The ordering of parameters is not significant.",
    "white space of a folded field": "RFC 5322 section 2.2.3: Unfolding is accomplished by simply removing any CRLF that is "
                                     "immediately followed by WSP.",
    "a CR that stands alone in a field": "RFC 5322 section 4.1: obs-unstruct = *((*LF *CR *(obs-utext *LF *CR)) / FWS), which "
                                         "MUST be accepted; section 2.2.3 unfolds a CRLF alone, and RFC 3501 section 9 lets a "
                                         "literal have a CR. (Dovecot makes it a space)",
    "octets behind a CR that stands alone": "RFC 3501 section 6.4.5: the octet position of the first desired octet (Dovecot "
                                            "counts one too few, and gives others than in the whole)",
    "an address that Dovecot does not read": "RFC 5322 section 4: ... the obsolete syntax ... MUST be accepted and parsed "
                                             "by a conformant receiver. (4.4: obs-local-part, obs-addr-list)",
    "a Content-Type that is none": "RFC 2045 section 5.2: It is also recommend that this default be assumed when a "
                                   "syntactically invalid Content-Type header field is encountered.",
    "a parameter without a name or a value": "RFC 2045 section 5.1: token := 1*<any (US-ASCII) CHAR except SPACE, CTLs, "
                                             "or tspecials>",
    "a disposition without a name": "RFC 2183 section 2 and RFC 2045 section 5.1: token := 1*<any (US-ASCII) CHAR except "
                                    "SPACE, CTLs, or tspecials>",
    "a type in other letters": "RFC 2045 section 5.1: Matching of media type and subtype is ALWAYS case-insensitive.",
    "the empty line of a header": "RFC 3501 section 6.4.5: the blank line is included in all header fetches, except in the "
                                  "case of a message which has no body and no blank line.",
}
UNREAD = (b"MISSING_MAILBOX", b"MISSING_DOMAIN", b"SYNTAX_ERROR", b"INVALID_ROUTE")


def squeezed(text):
    return re.sub(rb"[ \t]+", b" ", text).strip() if isinstance(text, bytes) else text


class Compared:
    """One message: what differs without a rule, and the rules that were needed."""

    def __init__(self):
        self.rules: Counter = Counter()
        self.bad: list = []

    def texts(self, where: str, ours, theirs) -> None:
        if ours == theirs:
            return
        if isinstance(ours, bytes) and squeezed(ours) == squeezed(theirs):
            self.rules["white space of a folded field"] += 1
        elif isinstance(ours, bytes) and b"\r" in ours and ours.replace(b"\r", b" ") == theirs:
            self.rules["a CR that stands alone in a field"] += 1
        else:
            self.bad.append((where, ours, theirs))

    def addresses(self, where: str, ours, theirs) -> None:
        """What Dovecot reads is there, in its order; ours may have more where it gave up."""
        a, b = ([[squeezed(t) for t in address] for address in of or []] for of in (ours, theirs))
        if a == b:
            if ours != theirs:
                self.rules["white space of a folded field"] += 1
            return
        gave_up = any(t in UNREAD for address in b for t in address) or len(b) < len(a)
        rest = iter(a)
        if gave_up and all(address in rest for address in b if not any(t in UNREAD for t in address)):
            self.rules["an address that Dovecot does not read"] += 1
        else:
            self.bad.append((where, ours, theirs))

    def envelopes(self, where: str, ours: list, theirs: list) -> None:
        for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            (self.addresses if 2 <= i <= 7 else self.texts)(f"{where}.{i}", a, b)

    def parameters(self, where: str, ours, theirs) -> None:
        if ours == theirs:
            return
        a, b = (sorted(zip(of[::2], of[1::2])) if of else [] for of in (ours, theirs))
        kept = [pair for pair in b if pair in a or (pair[0] and pair[1])]
        assumed = [(b"charset", b"us-ascii")] if (b"charset", b"") in b else [] # RFC 2046 section 4.1.2: where there is none
        if a == b:
            self.rules["parameters in another order"] += 1
        elif a in (kept, sorted(kept + assumed)):
            self.rules["a parameter without a name or a value"] += 1
        else:
            self.bad.append((where, ours, theirs))

    def dispositions(self, where: str, ours, theirs) -> None:
        if ours and theirs:
            self.texts(where, ours[0], theirs[0])
            self.parameters(where, ours[1], theirs[1])
        elif theirs and theirs[0] == b"" and ours is None:
            self.rules["a disposition without a name"] += 1
        else:
            self.texts(where, ours, theirs)

    def extensions(self, where: str, ours: list, theirs: list) -> None:
        """Disposition, language, location."""
        self.dispositions(f"{where}.disposition", ours[0], theirs[0])
        self.texts(f"{where}.language", ours[1], theirs[1])
        self.texts(f"{where}.location", ours[2], theirs[2])

    def bodies(self, where: str, ours: list, theirs: list) -> None:
        """Of the same tree."""
        if isinstance(ours[0], list):
            a, b = parts_of(ours), parts_of(theirs)
            for i, (x, y) in enumerate(zip(a, b, strict=True)):
                self.bodies(f"{where}.{i + 1}", x, y)
            self.texts(f"{where}.subtype", ours[len(a)], theirs[len(b)])
            self.parameters(f"{where}.parameters", ours[len(a) + 1], theirs[len(b) + 1])
            self.extensions(where, ours[len(a) + 2:], theirs[len(b) + 2:])
            return
        if is_invalid(theirs) and ours[0].lower() == b"text":
            self.rules["a Content-Type that is none"] += 1
        else:
            if ours[:2] != theirs[:2]: # the tree is the same: it is a matter of letters
                self.rules["a type in other letters"] += 1
            self.parameters(f"{where}.parameters", ours[2], theirs[2])
        for i in (3, 4, 5):
            self.texts(f"{where}.{i}", ours[i], theirs[i])
        if is_message(ours):
            self.envelopes(f"{where}.envelope", ours[7], theirs[7])
            self.bodies(f"{where}.message", ours[8], theirs[8])
        self.texts(f"{where}.md5", ours[-4], theirs[-4])
        self.extensions(where, ours[-3:], theirs[-3:])


# ---- The octets of the parts ----

SECTIONS_MAX = 60 # of a message


def sections(body: list, number: str = "") -> list[str]:
    """Names of sections (RFC 9051 section 6.4.5) of every part."""
    before = f"{number}." if number else ""
    if isinstance(body[0], list):
        return [name for i, part in enumerate(parts_of(body)) for name in sections(part, f"{before}{i + 1}")]
    here = number or "1"
    names = [here, f"{here}.MIME", f"{here}<3.5>"]
    if is_message(body):
        within = here if isinstance(body[8][0], list) else f"{here}.1"
        names += [f"{here}.HEADER", f"{here}.TEXT", f"{here}.HEADER.FIELDS (SUBJECT From)", *sections(body[8], within)]
    return names


def is_behind_cr(a: bytes, section: str, partial: str, number: int, theirs: Imap) -> bool:
    """Is it what Dovecot itself has there, in the whole, behind a CR that stands alone?"""
    first, n = map(int, re.findall(r"\d+", partial))
    (whole,) = (v for k, v in theirs.fetch(number, f"BODY.PEEK[{section}]".encode()).items() if k.startswith(b"BODY"))
    return b"\r" in whole[:first].replace(b"\r\n", b"") and a == whole[first:first + n]


def octets(compared: Compared, body: list, number: int, theirs: Imap, ours: Imap) -> None:
    names = ["HEADER", "TEXT", "HEADER.FIELDS (To subject X-Y)", "HEADER.FIELDS.NOT (Received Date)<5.90>", *sections(body)]
    for name in names[:SECTIONS_MAX]:
        section, _, partial = name.partition("<")
        what = f"BODY.PEEK[{section}]{'<' + partial if partial else ''}".encode()
        key = f"BODY[{section}]{'<' + partial.split('.')[0] + '>' if partial else ''}".encode().upper()
        a, b = (of.fetch(number, what).get(key) for of in (ours, theirs))
        a, b = a or b"", b or b""
        if ("HEADER" in name or "MIME" in name) and b"\r\n" in (a[len(b):], b[len(a):]) and a[:len(b)] == b[:len(a)]:
            compared.rules["the empty line of a header"] += 1
        elif a != b and partial and is_behind_cr(a, section, partial, number, theirs):
            compared.rules["octets behind a CR that stands alone"] += 1
        elif a != b:
            compared.bad.append((name, a, b))


WHAT = b"ENVELOPE BODYSTRUCTURE RFC822.SIZE BODY.PEEK[]"


def compare(number: int, message: bytes, theirs: Imap, ours: Imap) -> Compared:
    compared = Compared()
    theirs.append(message)
    t = theirs.fetch(number, WHAT)
    ours.append(t[b"BODY[]"])
    o = ours.fetch(number, WHAT)
    for what in (b"BODY[]", b"RFC822.SIZE"):
        if o[what] != t[what]:
            compared.bad.append((what, o[what], t[what]))
    if not same_tree(o[b"BODYSTRUCTURE"], t[b"BODYSTRUCTURE"]):
        compared.bad.append(("tree", o[b"BODYSTRUCTURE"], t[b"BODYSTRUCTURE"]))
        return compared
    compared.envelopes("envelope", o[b"ENVELOPE"], t[b"ENVELOPE"])
    compared.bodies("body", o[b"BODYSTRUCTURE"], t[b"BODYSTRUCTURE"])
    octets(compared, t[b"BODYSTRUCTURE"], number, theirs, ours)
    return compared


def run(tap: Tap, theirs: Imap, ours: Imap, only: str | None) -> None:
    rules: Counter = Counter()
    n = 0
    for name, message in hard.messages(int(os.environ.get("MAILSRV_SEED", "1"))):
        if only and not name.startswith(only):
            continue
        n += 1
        compared = compare(n, message, theirs, ours)
        rules.update(compared.rules.keys())
        tap.ok(not compared.bad, f"{name} is to us what it is to Dovecot",
               "\n".join(f"{where}: {a} here, {b} there"[:2000] for where, a, b in compared.bad))
    for rule, count in rules.most_common():
        print(f"# {count} messages: {rule} ({RULES[rule]})")
    tap.ok(only is not None or n >= 400, "there are 400 messages")


def main() -> None:
    tap = Tap()
    build = Path(sys.argv[1]).resolve()
    unpacked = {name: build.parent / f"dovecot-{name}" for name in ("core", "imapd")}
    if not all((path / "done").exists() for path in unpacked.values()):
        tap.ok(False, "Dovecot is here", "tests/build/setup unpack:dovecot-core unpack:dovecot-imapd unpacks it")
        tap.end()
    theirs, ours = Dovecot(unpacked), Ours(build)
    try:
        run(tap, theirs.imap, ours.imap, sys.argv[2] if len(sys.argv) > 2 else None)
    finally:
        theirs.end()
        ours.end()
    tap.end()


if __name__ == "__main__":
    main()
