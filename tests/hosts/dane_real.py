#!/usr/bin/env python3
"""mailserverd sends to a Postfix by what is published of its TLS (RFC 7672): ldns signs the zones, an NSD has them, an Unbound
validates.  dane_real.py BUILD

None is installed: each server runs in a tree of its own (tree.py)."""
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

from dane import issue, of_issuer, of_itself
from dns_server import AD, NXDOMAIN, RCODES, RD
from names import Nsd, Unbound, answers, ask
from peers import message
from postfix import Postfix
from sender import Sender
from tap import Tap
from tree import Tree, can_be_root, free_port, unpacked, until

PACKAGES = ["postfix", "nsd", "unbound", "ldnsutils", "libldns3"]
BODY = b"Hello\r\n.dot\r\n"
NOERROR, SERVFAIL = 0, RCODES["servfail"]

# Domains, each with an exchanger at an address of its own, and the certificate that it has there; None: it offers no TLS.
EXCHANGERS = {"own.test": "own", "issued.test": "issued", "else.test": "own", "bogus.test": "own", "forged.test": "own",
              "lost.test": "own", "clear.test": None, "cname.test": "own", "wild.test": "own", "own.hashed": "own",
              "bare.test": "own", "apart.test": "own", "none.test": "own", "none.hashed": "own", "nodata.test": None,
              "nodata.hashed": None}
# By zone, what ldns-signzone is told.  The others are test's children, of which nobody says that they have a key.
SIGNED = {"test": [], "hashed": ["-n", "-s", "abcd", "-t", "1"]}
BARE, APART = UNSIGNED = ["bare.test", "_tcp.mx.apart.test"]
ZONES = [*SIGNED, *UNSIGNED]


def zone_of(name: str) -> str:
    return max((zone for zone in ZONES if f".{name}".endswith(f".{zone}")), key=len)


class Signer:
    """Zones' keys, and what they sign."""

    def __init__(self, where: Path):
        self.where = where
        (library,) = unpacked("libldns3").glob("usr/lib/*/libldns.so.?")
        self.env = os.environ | {"LD_LIBRARY_PATH": str(library.parent)}
        kind = ["-a", "ECDSAP256SHA256", "-b", "256"]
        self.keys = {zone: [self.run("keygen", *kind, *more, zone).strip() for more in (["-k"], [])] for zone in SIGNED}

    def run(self, program: str, *argv: str, says: str = "") -> str:
        done = subprocess.run([unpacked("ldnsutils") / f"usr/bin/ldns-{program}", *argv], cwd=self.where, env=self.env,
                              input=says, capture_output=True, text=True)
        assert done.returncode == 0, f"{program} {argv}: {done.stderr}"
        return done.stdout

    def anchors(self) -> str:
        """What their parents would sign of them."""
        return "".join((self.where / f"{of_all}.ds").read_text() for of_all, _ in self.keys.values())

    def sign(self, zone: str, text: str) -> str:
        (self.where / zone).write_text(text)
        return self.run("signzone", *SIGNED[zone], "-f", "-", zone, *self.keys[zone])


class Exchangers(Postfix):
    """It takes mail for all domains, and keeps it in one folder.  Its log names the domain whose exchanger it is."""

    def __init__(self, port: int, certificates: dict[str, str]):
        super().__init__("virtual_mailbox_domains = static:all\nvirtual_mailbox_base = /var/mail\n"
                         "virtual_mailbox_maps = static:all/\n"
                         f"virtual_uid_maps = static:{Tree.USER}\nvirtual_gid_maps = static:{Tree.USER}\n", "",
                         certificate=certificates["own"])
        self.at = {domain: f"127.0.8.{i + 1}" for i, domain in enumerate(EXCHANGERS)}
        self.tree.folder("var/mail", Tree.USER)
        for name, text in certificates.items():
            self.tree.put(f"etc/postfix/{name}.pem", text)
        services = self.tree.read("etc/postfix/master.cf")
        for domain, name in EXCHANGERS.items():
            tls = f"smtpd_tls_chain_files=/etc/postfix/{name}.pem" if name else "smtpd_tls_security_level=none"
            services += f"{self.at[domain]}:{port} inet n - n - - smtpd -o syslog_name={domain} -o {tls}\n"
        self.tree.put("etc/postfix/master.cf", services)

    def kept(self, to: str) -> list[bytes]:
        found = [self.tree.read(str(Path(file).relative_to(self.tree.path))).encode() for file in self.tree.find("var/mail")
                 if "/new/" in file]
        return [octets for octets in found if f"\nDelivered-To: {to}\n".encode() in octets]

    def said(self, domain: str) -> list[str]:
        return [line for line in self.log().splitlines() if f" {domain}/smtpd[" in line]

    def calls(self, domain: str) -> list[str]:
        """What was said on each connection, as it counts commands: "ehlo=2 starttls=1 mail=1 ...\""""
        def are_over() -> bool:
            said = self.said(domain)
            return sum(": connect from" in line for line in said) == sum(": disconnect from" in line for line in said)

        until("the end of all connections", are_over)
        return [line.split("] ")[-1].rsplit(" commands=")[0] for line in self.said(domain) if ": disconnect from" in line]


class DaneReal:
    def __init__(self, tap: Tap, built: Path):
        self.tap, self.port, self.serial = tap, free_port(), 2026112700
        # the resolver's port is not known yet, and nothing is sent before it is
        self.a = Sender(built, "a.test", 0, routes={"out": {"host": f"mx:{self.port}"}}, queue={"dnssec": "yes"})
        self.where = self.a.server.path
        self.signer = Signer(self.where)
        self.own, self.others = (of_itself(self.certify(name)) for name in ("own", "others"))
        chain, key, root = issue(self.where, "mx.issued.test")
        certificates = {"own": self.text("own.key", "own.pem"), "issued": key.read_text() + chain.read_text()}
        self.postfix = Exchangers(self.port, certificates)
        self.records = self.published(of_issuer(root))
        self.at = {**self.postfix.at, "forged.test": "192.0.2.1"}
        # by domain, what somebody puts in the place of what was signed
        self.forged = {"bogus.test": (self.others, self.own), "forged.test": ("192.0.2.1", self.postfix.at["forged.test"])}
        zones = {zone: self.zone(zone) for zone in ZONES}
        self.nsd = Nsd(zones.pop("test"), zones)
        self.unbound = Unbound({zone: self.nsd.port for zone in ZONES}, self.signer.anchors())
        self.a.queue["dns"] = f"127.0.0.1:{self.unbound.port}"
        self.a.configure()

    def certify(self, name: str) -> Path:
        """Of nobody that is known here."""
        self.a.server.certify(name)
        return self.where / f"{name}.pem"

    def text(self, *names: str) -> str:
        return "".join((self.where / name).read_text() for name in names)

    # ---- What is published ----

    def service(self, domain: str) -> str:
        return f"_{self.port}._tcp.mx.{domain}."

    def published(self, root: str) -> dict[str, list[str]]:
        """Of TLS, by domain."""
        def at(domain: str, record: str) -> list[str]:
            return [f"{self.service(domain)} {record}"]

        right = ["own.test", "lost.test", "clear.test", "forged.test", "own.hashed"]
        wrong = ["else.test", "bogus.test", "bare.test", "apart.test"]
        return {**{domain: at(domain, f"TLSA {self.own}") for domain in right},
                **{domain: at(domain, f"TLSA {self.others}") for domain in wrong},
                "issued.test": at("issued.test", f"TLSA {root}"),
                "cname.test": [*at("cname.test", "CNAME dane.cname.test."), f"dane.cname.test. TLSA {self.own}"],
                "wild.test": [f"*._tcp.mx.wild.test. TLSA {self.own}"],
                **{domain: at(domain, 'TXT "no record of TLS"') for domain in ("nodata.test", "nodata.hashed")}}

    def zone(self, name: str) -> str:
        lines = ["ns.test. A 127.0.0.1", "half.test. MX 10 mx.bare.test."]
        for domain, at in self.at.items():
            lines += [f"{domain}. MX 10 mx.{domain}.", f"mx.{domain}. A {at}", *self.records.get(domain, [])]
        text = f"$TTL 600\n{name}. SOA ns.test. hostmaster.test. {self.serial} 3600 600 86400 600\n{name}. NS ns.test.\n"
        text += "".join(f"{line}\n" for line in lines if zone_of(line.split(". ")[0]) == name)
        if name == "test":
            text += "".join(f"{zone}. NS ns.test.\n" for zone in UNSIGNED)
        if name not in SIGNED:
            return text
        text = self.signer.sign(name, text)
        for domain, (signed, instead) in self.forged.items():
            if zone_of(domain) == name:
                text, n = re.subn(rf"(?m)^(\S*mx\.{domain}\.\s.*\s){re.escape(signed)}$", rf"\g<1>{instead}", text)
                assert n == 1, f"{domain}: {n} records"
        return text

    def publish(self, zone: str = "test") -> None:
        """What is wrong is mended: whom it concerns forgets what was."""
        self.serial += 1
        self.nsd.put(zone, self.zone(zone))
        self.nsd.reload()
        until("the new zone", lambda: struct.pack(">I", self.serial) in ask(self.nsd.port, "SOA", zone))
        self.unbound.control("flush_zone", zone)
        self.a.reload()

    def resolves(self, kind: str, name: str, code: int = NOERROR, proven: bool = True) -> None:
        """What the resolver makes of it: the code of its reply, and whether that is proven."""
        flags = struct.unpack(">H", ask(self.unbound.port, kind, name.rstrip("."), flags=RD | AD)[2:4])[0]
        found = flags & 15, flags & AD != 0
        assert found == (code, proven), f"{kind} {name}: {found}"

    def proven(self, domain: str) -> None:
        for kind, name in (("MX", domain), ("A", f"mx.{domain}"), ("TLSA", self.service(domain))):
            self.resolves(kind, name)

    # ---- How it goes ----

    def run(self) -> None:
        self.postfix.start()
        for server in (self.nsd, self.unbound):
            self.start(server)
        self.a.start()
        for check in (self.itself, self.aliases, self.issuer, self.somebody_else, self.bogus, self.forged_address,
                      self.no_name_server, self.unsigned, self.unsigned_records, self.absent, self.not_offered):
            self.tap.run(check.__doc__, check)
        self.tap.run("the sender ends", self.a.end)

    def start(self, server: Nsd | Unbound) -> None:
        server.start()
        until("a name server", lambda: answers(server.tree, server.port, "mx.own.test"))

    def remove(self) -> None:
        if self.tap.bad:
            said = self.a.log().splitlines()[-60:] + self.postfix.log().splitlines()[-40:]
            print("".join(f"# {line}\n" for line in said if " imap " not in line), end="")
        self.postfix.end()
        for server in (self.unbound, self.nsd):
            server.tree.end()
        self.a.remove()

    def sent(self, domain: str) -> bytes:
        octets = message(domain, BODY, self.a.users[0])
        self.a.send(octets, f"kim@{domain}")
        return octets

    def arrives(self, domain: str, sent: bytes, log: int) -> tuple[str, str]:
        """Once.  How, and what our log says of the TLS since it had so many octets."""
        until(f"the end of what is for {domain}", lambda: not self.a.queued("--domain", domain))
        until("the end of Postfix's queue", lambda: not self.postfix.queue(), self.postfix.hurry)
        (got,) = self.postfix.kept(f"kim@{domain}")
        assert got.endswith(sent.replace(b"\r\n", b"\n")), got
        assert not self.a.take(self.a.users[0])
        how = re.search(rb"by postfix.remote.test \(Postfix\) with (\w+)", got)[1].decode()
        return how, self.a.log()[log:]

    def verified(self, domain: str, sent: bytes, log: int) -> None:
        how, said = self.arrives(domain, sent, log)
        assert how == "ESMTPS" and ", verified by DANE" in said, (how, said)

    def goes(self, domain: str) -> None:
        """By what is published, at once."""
        self.proven(domain)
        log = len(self.a.log())
        self.verified(domain, self.sent(domain), log)
        assert self.postfix.calls(domain) == ["ehlo=2 starttls=1 mail=1 rcpt=1 bdat=1 quit=1"], self.postfix.calls(domain)

    def waits(self, domain: str, tries: int = 1) -> dict:
        """Tried so often, and nothing of it was said to anybody."""
        item = self.a.waits(tries, "--domain", domain)
        assert not self.postfix.kept(f"kim@{domain}") and not any("mail=" in call for call in self.postfix.calls(domain))
        return item

    def without_answer(self, domain: str, name: str) -> None:
        """The resolver cannot say what is true of a name: nobody is connected to."""
        item, why = self.waits(domain), f"4.4.3 the name servers have no answer for {name.rstrip('.')}: "
        assert item["code"] == 451 and item["text"].startswith(why), item
        assert not self.postfix.said(domain), self.postfix.said(domain)

    def mended(self, domain: str, sent: bytes) -> None:
        log = len(self.a.log())
        self.publish()
        self.proven(domain)
        self.a.does("retry", "--domain", domain)
        self.verified(domain, sent, log)

    # ---- Whose certificate it is ----

    def itself(self) -> None:
        """a server's own key is published: whatever name its certificate bears, and whoever issued it"""
        for domain in ("own.test", "own.hashed"):
            self.goes(domain)

    def aliases(self) -> None:
        """records behind an alias, and of a wildcard"""
        for domain in ("cname.test", "wild.test"):
            self.goes(domain)

    def issuer(self) -> None:
        """who issued a server's certificate is published"""
        self.goes("issued.test")

    def somebody_else(self) -> None:
        """another key is published: nothing is said to the server; when the zone is mended the mail arrives"""
        self.proven("else.test")
        sent = self.sent("else.test")
        item = self.waits("else.test", 2)
        assert item["text"].startswith("4.7.5 TLS failed: "), item
        calls = self.postfix.calls("else.test")
        assert calls and set(calls) == {"ehlo=1 starttls=0/1"}, calls
        self.records["else.test"] = [f"{self.service('else.test')} TLSA {self.own}"]
        self.mended("else.test", sent)

    # ---- DNS ----

    def bogus(self) -> None:
        """a record that fits and was not signed: nobody is connected to, and the mail waits for the right one (T58)"""
        self.resolves("MX", "bogus.test")
        self.resolves("A", "mx.bogus.test")
        self.resolves("TLSA", self.service("bogus.test"), SERVFAIL, False)
        sent = self.sent("bogus.test")
        self.without_answer("bogus.test", self.service("bogus.test"))
        del self.forged["bogus.test"]
        self.records["bogus.test"] = [f"{self.service('bogus.test')} TLSA {self.own}"]
        self.mended("bogus.test", sent)

    def forged_address(self) -> None:
        """an address that was not signed: nobody is connected to"""
        self.resolves("MX", "forged.test")
        self.resolves("A", "mx.forged.test", SERVFAIL, False)
        sent = self.sent("forged.test")
        self.without_answer("forged.test", "mx.forged.test")
        del self.forged["forged.test"]
        self.at["forged.test"] = self.postfix.at["forged.test"]
        self.mended("forged.test", sent)

    def no_name_server(self) -> None:
        """addresses are known, and then the domain's name server is gone: nobody is connected to before it is back (T58)"""
        for kind, name in (("MX", "lost.test"), ("A", "mx.lost.test"), ("AAAA", "mx.lost.test")):
            self.resolves(kind, name)
        self.nsd.tree.stop()
        try:
            sent = self.sent("lost.test")
            self.without_answer("lost.test", self.service("lost.test"))
            self.resolves("A", "mx.lost.test")
        finally:
            self.unbound.tree.stop()  # it would ask again when it thinks fit
            for server in (self.nsd, self.unbound):
                self.start(server)
        self.mended("lost.test", sent)

    def unsigned(self) -> None:
        """addresses of a zone that nobody signs: its records are not asked for, whoever signs who the exchanger is"""
        for domain in (BARE, "half.test"):
            log = len(self.a.log())
            how, said = self.arrives(domain, self.sent(domain), log)
            assert how == "ESMTPS" and ", not verified" in said and "DANE" not in said, (how, said)
            assert self.service(BARE) not in self.unbound.control("dump_cache")
        self.resolves("TLSA", self.service(BARE), NOERROR, False)
        assert self.service(BARE) in self.unbound.control("dump_cache")

    def unsigned_records(self) -> None:
        """records of a zone that nobody signs, of addresses in one that is signed: they count for nothing"""
        self.resolves("A", "mx.apart.test")
        self.resolves("TLSA", self.service("apart.test"), NOERROR, False)
        log = len(self.a.log())
        how, said = self.arrives("apart.test", self.sent("apart.test"), log)
        assert how == "ESMTPS" and ", not verified" in said and "DANE" not in said, (how, said)

    def absent(self) -> None:
        """it is proven that there is no record, by NSEC and by NSEC3: with TLS or in the clear, as it is offered"""
        for domain, code, wanted in (("none.test", NXDOMAIN, "ESMTPS"), ("none.hashed", NXDOMAIN, "ESMTPS"),
                                     ("nodata.test", NOERROR, "ESMTP"), ("nodata.hashed", NOERROR, "ESMTP")):
            self.resolves("A", f"mx.{domain}")
            self.resolves("TLSA", self.service(domain), code)
            log = len(self.a.log())
            how, said = self.arrives(domain, self.sent(domain), log)
            assert how == wanted and (", not verified" in said) == (how == "ESMTPS") and "DANE" not in said, (how, said)

    # ---- What must be ----

    def not_offered(self) -> None:
        """TLS is published and not offered: nothing is said in the clear, and the mail waits (T59)"""
        self.proven("clear.test")
        self.sent("clear.test")
        item = self.waits("clear.test", 2)
        assert item["text"].startswith("4.7.5 TLS is required"), item
        calls = self.postfix.calls("clear.test")
        assert calls and set(calls) <= {"ehlo=1", "ehlo=1 quit=1"}, calls
        self.a.does("drop", "--domain", "clear.test")


def main() -> None:
    tap, built = Tap(), Path(sys.argv[1]).resolve()
    missing = [package for package in PACKAGES if not unpacked(package)]
    if missing:
        tap.ok(False, f"{', '.join(missing)}: here", "tests/build/setup unpack:NAME unpacks it")
    elif not can_be_root():
        tap.skip("servers of others", "they run in trees of their own: that takes root, or sudo without a password")
    else:
        test = DaneReal(tap, built)
        try:
            test.run()
        finally:
            test.remove()
    tap.end()


if __name__ == "__main__":
    main()
