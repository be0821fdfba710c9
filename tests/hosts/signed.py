#!/usr/bin/env python3
"""What DKIM has signed verifies when it arrives: through two mailserverd, and through one to a Postfix and from that to
the other; with hard octets, by each canonicalization.  dkimpy signs and verifies, and finds the key by a name server.
signed.py BUILD"""
import base64
import re
import subprocess
import sys
from pathlib import Path

from dns_server import NameServer
from next_hop import Hop, PostfixHop
from receiver import trace_of
from sender import run_in_trees
from tap import Tap
from tree import unpacked

PACKAGES = ["python3-dkim", "python3-dnspython"]
SELECTOR = "s1"
HEADER = [b"From: <pat@a.test>", b"To: <pat@b.test>,\r\n\tkim@b.test", b"Subject:  two  spaces,\r\n   folded \t ",
          b"Date: Thu, 26 Nov 2026 00:00:00 +0000", b"X-Empty:", b"X-Eight-Bits:\t\xc3\xa4  \xc3\xa4 "]
ID = b"Message-ID: <signed@a.test>"
BODIES = {
    "no body": b"",
    "empty lines at the end": b"Hello\r\n\r\n\r\n\r\n",
    "nothing but empty lines": b"\r\n\r\n\r\n",
    "spaces at the end of lines": b"Hello \t \r\n \r\n\t\r\n  two  spaces\r\n",
    "dots": b".\r\n..\r\n.a\r\n...\r\n \r\n. \r\n.",
    "no CRLF at the end": b"Hello",
    "eight bits": bytes(range(128, 256)) + b"\r\n" + "päivää".encode() + b"\r\n" + bytes(range(1, 10)) + b"\r\n",
    "long lines": b"".join(b"." * n + b"\r\n" for n in (997, 998, 999, 2048, 20000)),
    "300 KiB": (b"." + bytes(range(33, 127)) + b"\r\n") * 3200,
}
CANONICAL = [(b"simple", b"simple"), (b"relaxed", b"relaxed")]


class Signer:
    """a.test's key; the name server has the public half."""

    def __init__(self, names: NameServer, path: Path):
        sys.path[:0] = [str(unpacked(package) / "usr/lib/python3/dist-packages") for package in PACKAGES]
        import dkim
        import dns.resolver
        self.dkim, self.names = dkim, names
        dns.resolver.default_resolver = resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = ["127.0.0.1"], names.port
        subprocess.run(["openssl", "genrsa", "-traditional", "-out", path / "dkim", "2048"], check=True,
                       capture_output=True)
        self.key = (path / "dkim").read_bytes()
        public = subprocess.run(["openssl", "rsa", "-in", path / "dkim", "-pubout", "-outform", "DER"], check=True,
                                capture_output=True).stdout
        record = "v=DKIM1; k=rsa; p=" + base64.b64encode(public).decode()
        names.zone[f"{SELECTOR}._domainkey.a.test"] = {"TXT": [record]}

    def sign(self, octets: bytes, how: tuple[bytes, bytes]) -> bytes:
        lines = octets.split(b"\r\n\r\n")[0].split(b"\r\n")
        names = [line.split(b":")[0] for line in lines if line[:1] not in (b" ", b"\t")]
        fields = self.dkim.sign(octets, SELECTOR.encode(), b"a.test", self.key, canonicalize=how, include_headers=names)
        return fields + octets

    def verifies(self, octets: bytes) -> bool:
        return self.dkim.verify(octets)


def name_of(octets: bytes) -> bytes:
    return re.search(rb"(?m)^X-Case: (.*)\r$", octets)[1]


class Signed:
    def __init__(self, tap: Tap, built: Path, names: NameServer):
        self.tap, self.hop = tap, Hop(built, PostfixHop, names)
        self.signer = Signer(names, self.hop.a.server.path)
        names.zone["b.test"] = {"MX": ["10 mx.b.test"]}
        names.zone["mx.b.test"] = {"A": ["127.0.0.1"]}
        self.hop.a.routes["b"] = {"for": "b.test", "host": f"mx:{self.hop.b.at['mx']}"}
        self.hop.a.configure()

    def run(self) -> None:
        self.hop.start()
        for what, to in {"two mailserverd": "pat@b.test", "a Postfix between them": "pat@secret.test",
                         "the same, in the clear": "pat@clear.test"}.items():
            self.tap.run(f"{what}: it verifies, and is what was sent", self.arrives, to)
            self.tap.run(f"{what}: so does what we complete", self.completed, to)
        self.tap.run("what was changed does not verify", self.changed)
        self.tap.ok((f"{SELECTOR}._domainkey.a.test", "TXT") in self.signer.names.asked, "the key was asked for")
        self.tap.run("both end", self.hop.end)

    def remove(self) -> None:
        if self.tap.bad:
            print("".join(f"# {line}\n" for line in self.hop.a.log().splitlines()[-20:]), end="")
        self.hop.remove()

    def cases(self, *header: bytes) -> dict[bytes, bytes]:
        """Signed messages, by what stands in them."""
        found = {}
        for how in CANONICAL:
            for what, body in BODIES.items():
                name = f"{how[0].decode()}, {what}".encode()
                octets = b"\r\n".join([*HEADER, b"X-Case: " + name, *header, b"", body])
                found[name] = self.signer.sign(octets, how)
        return found

    def exchanged(self, sent: dict[bytes, bytes], to: str) -> dict[bytes, bytes]:
        with self.hop.a.client() as client:
            for one in sent.values():
                refused = client.sendmail(self.hop.pat, [to], one, ["BODY=8BITMIME"])
                assert not refused, refused
        self.hop.settled()
        got = {name_of(one): one for one in self.hop.b.arrived(len(sent), to)}
        assert set(got) == set(sent), got.keys()
        for name, one in got.items():
            assert self.signer.verifies(one), name
        return got

    def arrives(self, to: str) -> None:
        sent = self.cases(ID)
        got = self.exchanged(sent, to)
        for name, one in sent.items():
            trace_of(got[name], one if one.endswith(b"\r\n") else one + b"\r\n")

    def completed(self, to: str) -> None:
        """A Message-ID is added, a Bcc is taken out; neither was signed."""
        got = self.exchanged({name: b"Bcc: kim@c.test\r\n" + one for name, one in self.cases().items()}, to)
        for one in got.values():
            header = one.split(b"\r\n\r\n")[0].lower()
            assert b"\r\nmessage-id:" in header and b"\r\nbcc:" not in header, one

    def changed(self) -> None:
        """Or nothing was shown."""
        for name, one in self.cases(ID).items():
            assert self.signer.verifies(one), name
            assert not self.signer.verifies(one.replace(b"Subject:", b"Subject: x")), name
            assert not self.signer.verifies(one + b"\r\n."), name
            one = one.replace(b"two  spaces,", b"two spaces,")
            assert self.signer.verifies(one) == name.startswith(b"relaxed"), name


if __name__ == "__main__":
    run_in_trees(Tap(), [PostfixHop.PACKAGE, *PACKAGES], Signed)
