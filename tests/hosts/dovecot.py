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
from host import HANG_S
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

    def __init__(self, unpacked: Path):
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
        libraries = unpacked / "usr/lib/dovecot"
        environment = {"LD_LIBRARY_PATH": str(libraries), "USER": "nobody", "HOME": str(self.path), "PATH": "/usr/bin:/bin"}
        self.process = subprocess.Popen([unpacked / "usr/bin/doveconf", "-c", config, "-f", "service=imap", "-e", libraries / "imap"],
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
        import daemon
        self.server = daemon.Server(build)
        self.host = self.server.start()
        self.socket = socket.create_connection(("127.0.0.1", self.host.ports["imap"]), HANG_S)
        files = self.socket.makefile("rwb")
        self.imap = Imap(files, files)
        self.imap.ask(b"LOGIN pat secret")
        self.imap.ask(b"SELECT INBOX")

    def end(self) -> None:
        self.socket.close()
        self.host.end()
        self.server.remove()


# ---- What is compared ----

def is_part(value) -> bool:
    return isinstance(value, list)


def skeleton(body: list) -> tuple:
    """What must never differ: the tree, what each part is, and how large."""
    if is_part(body[0]):
        n = next(i for i, v in enumerate(body) if not is_part(v))
        return ("multipart", tuple(skeleton(b) for b in body[:n]))
    kind = (body[0] or b"").lower(), (body[1] or b"").lower()
    if kind == (b"message", b"rfc822") and len(body) > 9 and is_part(body[8]):
        return ("message", body[6], skeleton(body[8]), body[9])
    return ("leaf", body[6], body[7] if kind[0] == b"text" else None)


def flat(value, path: str = "") -> list[tuple[str, object]]:
    if not isinstance(value, list):
        return [(path, value)]
    return [leaf for i, v in enumerate(value) for leaf in flat(v, f"{path}.{i}")] or [(path, "()")]


if __name__ == "__main__":
    build = Path(sys.argv[1]).resolve()
    only = sys.argv[2] if len(sys.argv) > 2 else None
    theirs, ours = Dovecot(build.parent / "dovecot"), Ours(build)
    bad = Counter()
    try:
        n = 0
        for name, message in hard.messages(int(os.environ.get("MAILSRV_SEED", "1"))):
            if only and not name.startswith(only):
                continue
            n += 1
            theirs.imap.append(message)
            theirs.imap.ask(b"NOOP")
            t = theirs.imap.fetch(n, b"ENVELOPE BODYSTRUCTURE RFC822.SIZE BODY.PEEK[]")
            ours.imap.append(t[b"BODY[]"])
            ours.imap.ask(b"NOOP")
            o = ours.imap.fetch(n, b"ENVELOPE BODYSTRUCTURE RFC822.SIZE BODY.PEEK[]")
            assert o[b"BODY[]"] == t[b"BODY[]"]
            if skeleton(o[b"BODYSTRUCTURE"]) != skeleton(t[b"BODYSTRUCTURE"]):
                bad[name.split()[0] + " SKELETON"] += 1
                print(name, "SKELETON", file=sys.stderr)
                if len(message) < 900 and bad[name.split()[0] + " SKELETON"] < 4:
                    print(message.decode("latin1"), o[b"BODYSTRUCTURE"], t[b"BODYSTRUCTURE"], sep="\n", file=sys.stderr)
            for what in (b"ENVELOPE", b"BODYSTRUCTURE"):
                if o[what] != t[what]:
                    key = name.split()[0] + " " + what.decode()
                    bad[key] += 1
                    if bad[key] < 4:
                        a, b = dict(flat(o[what])), dict(flat(t[what]))
                        d = [(k, a.get(k, "-"), b.get(k, "-")) for k in {**a, **b} if a.get(k, "-") != b.get(k, "-")]
                        print(name, what.decode(), d[:3], file=sys.stderr)
        print(n, bad)
    finally:
        theirs.end()
        ours.end()
