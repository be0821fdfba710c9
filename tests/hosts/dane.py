#!/usr/bin/env python3
"""mailserverd sends to servers that publish of their TLS (RFC 7672), over sockets: by name servers that validate, or say so
(T58, T59).  dane.py BUILD"""
import hashlib
import ssl
import subprocess
from pathlib import Path

from dns_server import NameServer
from liar import Liar, refuse_handshake
from peers import message
from sender import Sender, run_with_names
from tap import Tap
from traps import commands
from tree import free_port, until

BODY = b"Hello\r\n"
FAILURES = {"servfail": "none of them can be reached, or each fails", "refused": "none of them can be reached, or each fails",
            "silent": "Timeout while contacting DNS servers"}


def openssl(*argv: object) -> None:
    subprocess.run(["openssl", *map(str, argv)], check=True, capture_output=True)


def spki(certificate: Path) -> bytes:
    said = subprocess.run(["openssl", "x509", "-in", certificate, "-noout", "-pubkey"], check=True, capture_output=True).stdout
    return subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=said, check=True, capture_output=True).stdout


def whole(certificate: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(certificate.read_text().split("-----END")[0] + "-----END CERTIFICATE-----\n")


def of_itself(certificate: Path) -> str:
    return "3 1 1 " + hashlib.sha256(spki(certificate)).hexdigest()


def of_issuer(certificate: Path) -> str:
    return "2 0 1 " + hashlib.sha256(whole(certificate)).hexdigest()


def issue(where: Path, name: str) -> tuple[Path, Path, Path]:
    """A certificate for a name, behind it that of who issued it; its key; and the latter alone."""
    root, key, chain = (where / f"{name}.{end}" for end in ("root", "key", "chain"))
    request, more = where / f"{name}.request", where / f"{name}.more"
    more.write_text(f"subjectAltName=DNS:{name}\n")
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *kind, "-keyout", where / "root.key", "-out", root, "-days", 30, "-subj", "/CN=root of tests")
    openssl("req", *kind, "-keyout", key, "-out", request, "-subj", "/CN=of tests")
    openssl("x509", "-req", "-in", request, "-CA", root, "-CAkey", where / "root.key", "-CAcreateserial", "-days", 30,
            "-extfile", more, "-out", chain)
    chain.write_text(chain.read_text() + root.read_text())
    return chain, key, root


class Dane:
    def __init__(self, tap: Tap, built: Path, names: NameServer):
        self.tap, self.names, self.port, self.liars = tap, names, free_port(), []
        routes = {"without": {"for": "without.test", "host": f"mx:{self.port}", "dane": "no"}, "out": {"host": f"mx:{self.port}"}}
        self.a = Sender(built, "a.test", names.port, routes=routes, queue={"dnssec": "yes"})
        self.trusting = Sender(built, "b.test", names.port, routes=routes)
        self.where = self.a.server.path
        self.own = self.certify("own"), self.where / "own.key"
        self.others = self.certify("others"), self.where / "others.key"

    def certify(self, name: str) -> Path:
        self.a.server.certify(name)
        return self.where / f"{name}.pem"

    def run(self) -> None:
        for one in (self.a, self.trusting):
            one.start()
        for check in (self.itself, self.issuer, self.somebody_else, self.not_offered, self.fails, self.no_answer, self.unsigned,
                      self.next_one, self.without, self.not_asked):
            self.tap.run(check.__doc__, check)
        for one in (self.a, self.trusting):
            self.tap.run(f"{one.domain} ends", one.end)

    def remove(self) -> None:
        for one in (self.a, self.trusting):
            if self.tap.bad:
                print("".join(f"# {line}\n" for line in one.log().splitlines()[-40:] if " imap " not in line), end="")
            one.remove()
        for liar in self.liars:
            liar.close()

    def service(self, host: str) -> str:
        return f"_{self.port}._tcp.{host}"

    def exchanger(self, domain: str, record: str | None, *deeds: dict, certificate: tuple | None = None, signed: bool = True) -> Liar:
        """The mail exchanger of a new domain, and what it publishes."""
        at = f"127.0.7.{len(self.liars) + 1}"
        self.liars.append(Liar(*deeds, host=at, port=self.port, certificate=certificate))
        host = f"mx.{domain}"
        self.names.zone |= {domain: {"MX": [f"10 {host}"], "signed": signed}, host: {"A": [at], "signed": signed},
                            self.service(host): {"TLSA": [record] if record else [], "signed": signed}}
        return self.liars[-1]

    def sent(self, to: str, by: Sender | None = None) -> bytes:
        one = by or self.a
        octets = message(to, BODY, one.users[0])
        one.send(octets, to)
        return octets

    def arrives(self, liar: Liar, to: str, sent: bytes, by: Sender | None = None) -> None:
        one = by or self.a
        one.emptied()
        (taken,) = liar.taken
        assert taken.to == [to.encode()] and taken.octets.endswith(sent), taken
        assert not one.take(one.users[0])

    def waits(self, domain: str, *words: str) -> None:
        item = self.a.waits(2, "--domain", domain)
        assert any(word in item["text"] for word in words), item

    # ---- Whose certificate it is ----

    def itself(self) -> None:
        """a server's own key is published: whatever name its certificate bears, and whoever issued it"""
        liar = self.exchanger("own.test", of_itself(self.own[0]), certificate=self.own)
        self.arrives(liar, "kim@own.test", self.sent("kim@own.test"))
        assert liar.calls[0].tls_from == 2, liar.calls
        until("the log", lambda: "verified by DANE" in self.a.log())

    def issuer(self) -> None:
        """who issued its certificate is published: it is for the exchanger, or for the domain; for nobody else"""
        for n, name in enumerate(["mx.issued0.test", "issued1.test", "nobody.test"]):
            chain, key, root = issue(self.where, name)
            liar = self.exchanger(f"issued{n}.test", of_issuer(root), certificate=(chain, key))
            sent = self.sent(f"kim@issued{n}.test")
            if n < 2:
                self.arrives(liar, f"kim@issued{n}.test", sent)
        self.waits("issued2.test", "certificate", "verif", "mismatch")
        assert not liar.taken and all(b"MAIL" not in commands(liar, n) for n in range(len(liar.calls))), liar.calls
        self.a.does("drop", "--all")

    def somebody_else(self) -> None:
        """another one's certificate: nothing is said to him, and the mail waits for the right one"""
        liar = self.exchanger("else.test", of_itself(self.own[0]), certificate=self.others)
        sent = self.sent("kim@else.test")
        self.waits("else.test", "certificate", "verif", "TLSA")
        assert {command for n in range(len(liar.calls)) for command in commands(liar, n)} <= {b"EHLO", b"STARTTLS"}, liar.calls
        self.names.zone[self.service("mx.else.test")]["TLSA"] = [of_itself(self.others[0])]
        self.a.reload()
        self.a.does("retry", "--all")
        self.arrives(liar, "kim@else.test", sent)

    # ---- What must be ----

    def not_offered(self) -> None:
        """TLS is published and not offered: nothing is said in the clear, and the mail waits (T59)"""
        liar = self.exchanger("unoffered.test", of_itself(self.own[0]))
        self.sent("kim@unoffered.test")
        self.waits("unoffered.test", "4.7.5 TLS is required")
        assert {command for n in range(len(liar.calls)) for command in commands(liar, n)} <= {b"EHLO", b"QUIT"}, liar.calls
        self.a.does("drop", "--all")

    def fails(self) -> None:
        """a handshake that comes to nothing is no reason to do without, though no record can be used"""
        liar = self.exchanger("fails.test", "1 1 1 " + "00" * 32, {"STARTTLS": refuse_handshake}, {"STARTTLS": refuse_handshake},
                              certificate=self.own)
        self.arrives(liar, "kim@fails.test", self.sent("kim@fails.test"))
        assert all(commands(liar, n)[:2] == [b"EHLO", b"STARTTLS"] for n in range(3)), liar.calls
        assert liar.calls[2].tls_from == 2, liar.calls

    # ---- DNS ----

    def no_answer(self) -> None:
        """name servers that fail, refuse or are silent on whether there are any: nobody is connected to (T58)"""
        for wrong, said in FAILURES.items():
            liar = self.exchanger(f"{wrong}.test", None, certificate=self.own)
            service = self.names.zone[self.service(f"mx.{wrong}.test")]
            service["wrong"] = {"TLSA": wrong}
            sent = self.sent(f"kim@{wrong}.test")
            item = self.a.waits(1, "--domain", f"{wrong}.test")
            assert item["code"] == 451 and item["text"].startswith("4.4.3 ") and item["text"].endswith(said) and not liar.calls, (item, liar.calls)
            del service["wrong"]
            self.a.does("retry", "--all")
            self.arrives(liar, f"kim@{wrong}.test", sent)

    def unsigned(self) -> None:
        """addresses that are not signed: nobody is asked, and TLS is as it is without (T58)"""
        liar = self.exchanger("plain.test", None, signed=False)
        self.names.zone[self.service("mx.plain.test")]["wrong"] = {"TLSA": "servfail"}
        self.arrives(liar, "kim@plain.test", self.sent("kim@plain.test"))
        assert not any(kind == "TLSA" and "plain" in name for name, kind in self.names.asked)

    def next_one(self) -> None:
        """the preferred exchanger cannot be used: the next one, which publishes nothing, is"""
        first = self.exchanger("first.test", None, certificate=self.own)
        second = self.exchanger("second.test", None)
        self.names.zone["first.test"]["MX"] += ["20 mx.second.test"]
        self.names.zone[self.service("mx.first.test")]["wrong"] = {"TLSA": "servfail"}
        self.arrives(second, "kim@first.test", self.sent("kim@first.test"))
        assert not first.calls, first.calls

    # ---- Who does not ask ----

    def without(self) -> None:
        """a route without it: as if nothing were published"""
        liar = self.exchanger("without.test", of_itself(self.own[0]), certificate=self.others)
        self.arrives(liar, "kim@without.test", self.sent("kim@without.test"))
        assert liar.calls[0].tls_from == 2, liar.calls

    def not_asked(self) -> None:
        """name servers that nobody has said to be trusted: their word is none"""
        liar, before = self.exchanger("trusting.test", of_itself(self.own[0]), certificate=self.others), len(self.names.asked)
        self.arrives(liar, "kim@trusting.test", self.sent("kim@trusting.test", self.trusting), self.trusting)
        assert not any(kind == "TLSA" for _, kind in self.names.asked[before:])


def main() -> None:
    run_with_names(Tap(), Dane)


if __name__ == "__main__":
    main()
