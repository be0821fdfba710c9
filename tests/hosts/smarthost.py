#!/usr/bin/env python3
"""mailserverd gives all its mail to a smarthost, a Postfix that wants a login under TLS: by each mechanism, and with
all that may be wrong: the password, the certificate, what is offered.  Then mail waits, the log says why, and when it
is mended it goes.  smarthost.py BUILD"""
import base64
import sys
from pathlib import Path

from dns_server import NameServer
from peers import message
from postfix import Postfix
from receiver import trace_of
from sender import Sender, run_in_trees, zone_of
from tap import Tap
from tree import Tree, unpacked, until
from wire import Wire

NAME, OTHER = "smtp.provider.test", "other.provider.test"
USER, SECRET, WRONG = "kim@provider.test", "pa ss\\w\u00f6rd \"7\"", "not the password"
SASL = {"plain": "PLAIN", "login": "LOGIN", "scram": "SCRAM-SHA-256"}  # a listener that offers no other
ALL = "PLAIN LOGIN DIGEST-MD5 CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256"  # of the listener without a name
PACKAGES = ["postfix", "sasl2-bin", "libsasl2-modules", "libsasl2-modules-db"]
BODY = b"Hello\r\n.dot\r\n"


def certificate(of: Sender) -> str:
    """Of the smarthost, made by itself; and who made it vouches for it where `of` says so."""
    of.server.certify(NAME)
    return "".join((of.server.path / f"{NAME}.{part}").read_text() for part in ("key", "pem"))


def plugins(package: str) -> list[str]:
    """Below /usr/lib, by the name of the machine."""
    return [str(found.relative_to(unpacked(package))) for found in unpacked(package).glob("usr/lib/*/sasl2/*")]


def smarthost(a: Sender, b: Sender) -> Postfix:
    """What it takes it gives to b."""
    also = {"sasl2-bin": ["usr/sbin/saslpasswd2"], **{package: plugins(package) for package in PACKAGES[2:]}}
    listeners = {**{name: f"-o smtpd_sasl_path={name}" for name in SASL},
                 "clear": "-o smtpd_tls_security_level=none -o smtpd_tls_auth_only=no",
                 "other": "-o smtpd_tls_chain_files=/etc/postfix/other.pem"}
    postfix = Postfix(f"default_transport = smtp:[127.0.0.1]:{b.at['mx']}\n"
                      "smtpd_relay_restrictions = permit_sasl_authenticated, reject\nsmtpd_sasl_auth_enable = yes\n"
                      "smtpd_tls_auth_only = yes\ncyrus_sasl_config_path = /etc/postfix/sasl\nsmtpd_sasl_path = all\n",
                      b.certificate.read_text(), listeners, certificate=certificate(a), also=also)
    tree = postfix.tree
    tree.put("etc/postfix/other.pem", certificate(b))
    tree.folder("etc/postfix/sasl")
    for name, mechanisms in {**SASL, "all": ALL}.items():
        tree.put(f"etc/postfix/sasl/{name}.conf", "pwcheck_method: auxprop\nauxprop_plugin: sasldb\n"
                 f"sasldb_path: /etc/sasldb2\nmech_list: {mechanisms}\n")
    user, domain = USER.split("@")
    tree.run("/usr/sbin/saslpasswd2", "-p", "-c", "-f", "/etc/sasldb2", "-u", domain, user, says=SECRET)
    tree.give("etc/sasldb2", Tree.USER)
    return postfix


class Smarthost:
    def __init__(self, tap: Tap, built: Path, names: NameServer):
        self.tap = tap
        names.zone |= {NAME: {"A": ["127.0.0.1"]}, OTHER: {"A": ["127.0.0.1"]}, **zone_of("b.test")}
        # a first try, and then none that would come in between
        self.a = Sender(built, "a.test", names.port, queue={"first_retry": "1d", "longest_retry": "1d"})
        self.b = Sender(built, "b.test", names.port)
        self.postfix = smarthost(self.a, self.b)
        self.wire = Wire()
        self.password = self.a.server.path / "password"
        self.pat = self.a.users[0]
        self.a.queue["tls_roots"] = self.a.server.path / f"{NAME}.pem"

    def remove(self) -> None:
        if self.tap.bad:
            said = self.a.log().splitlines()[-30:] + self.postfix.log().splitlines()[-30:]
            print("".join(f"# {line}\n" for line in said), end="")
        self.postfix.end()
        self.wire.close()
        for one in (self.a, self.b):
            one.remove()

    def run(self) -> None:
        self.postfix.start()
        self.b.start()
        self.configure()
        self.a.configure()
        self.a.start()
        for listener, mechanism in SASL.items():
            self.tap.run(f"{mechanism} is offered: mail goes by it", self.goes, listener, mechanism)
        self.tap.run("all are offered: the best is taken", self.goes, "", "SCRAM-SHA-256")
        for check in (self.secret, self.password_wrong, self.password_gone, self.user_wrong, self.no_tls,
                      self.untrusted, self.other_name, self.partner):
            self.tap.run(check.__doc__, check)
        self.tap.run("no log has a password", self.silent)
        for one in (self.a, self.b):
            self.tap.run(f"{one.domain} ends", one.end)

    # ---- Its route ----

    def configure(self, listener: str = "", password: str = SECRET, **keys: str) -> None:
        self.wire.to = self.postfix.ports[listener]
        self.password.write_text(password + "\n")
        self.a.routes = {"out": {"host": f"{NAME}:{self.wire.port}", "tls": "verified", "user": USER,
                                 "password_file": self.password, **keys}}

    def reload(self, *args: object, **keys: str) -> None:
        self.configure(*args, **keys)
        self.apply()

    def apply(self) -> None:
        self.a.configure()
        self.a.reload()

    def send(self, name: str) -> bytes:
        sent = message(name, BODY, self.pat)
        self.a.send(sent, "pat@b.test")
        return sent

    def arrives(self, *sent: bytes) -> None:
        got = self.b.arrived(len(sent))
        self.a.emptied()
        for one in sent:
            assert sum(octets.endswith(one) for octets in got) == 1, got
        for octets in got:
            (one,) = [one for one in sent if octets.endswith(one)]
            trace_of(octets, one)

    def goes(self, listener: str, mechanism: str) -> None:
        self.reload(listener)
        before = len(self.postfix.log())
        self.arrives(self.send(mechanism))
        said = self.postfix.log()[before:]
        assert f"sasl_method={mechanism}, sasl_username={USER}" in said, said

    def waits(self, why: str, code: int = 0) -> bytes:
        """One message, which was tried once; and the log says why it was not sent."""
        before = len(self.a.log())
        sent, item = self.send("waits"), self.a.waits()
        assert why in item["text"] and item["code"] == code, item
        until("lines in the log", lambda: all(words in self.a.log()[before:] for words in (why, "deferred: ")))
        assert self.b.count(self.b.users[0]) == 0 and not self.a.take(self.pat)
        return sent

    def mended(self, sent: bytes) -> None:
        """After a reload alone what waits goes."""
        self.reload()
        self.arrives(sent)

    def said(self) -> bytes:
        until("the end of all connections", lambda: all(call.is_over.is_set() for call in self.wire.calls))
        return self.wire.said()

    # ---- What may be wrong ----

    def secret(self) -> None:
        """on the wire there is no login that was not under TLS"""
        said = self.said()
        assert b"STARTTLS\r\n" in said and b"AUTH" not in said and b"MAIL" not in said, said[:2000]

    def password_wrong(self) -> None:
        """a wrong password: the mail waits; when it is right, the same mail goes"""
        self.reload("", WRONG)
        sent = self.waits("authentication failed", 454)
        self.mended(sent)

    def password_gone(self) -> None:
        """no file with a password: the mail waits, and the log names the file"""
        self.reload()
        self.password.unlink()
        sent = self.waits("nobody says who we are there")
        until("the log", lambda: f"route out: {self.password}: " in self.a.log())
        self.mended(sent)

    def user_wrong(self) -> None:
        """a user whom nobody knows there: the mail waits"""
        self.reload(user="lee@provider.test")
        sent = self.waits("authentication failed", 454)
        self.mended(sent)

    def no_tls(self) -> None:
        """no STARTTLS: no password is said, the mail waits"""
        for tls in ("verified", "required"):
            self.reload("clear", tls=tls)
            self.said()
            sent = self.waits("TLS is required")
            assert b"AUTH" not in (said := self.said()) and b"MAIL" not in said, said
            self.mended(sent)

    def untrusted(self) -> None:
        """a certificate that nobody vouches for: no password is said, the mail waits"""
        self.reload("other")
        self.said()
        sent = self.waits("4.7.5 TLS failed: ")
        assert b"STARTTLS" in self.said()
        self.mended(sent)

    def other_name(self) -> None:
        """a certificate of another name: the mail waits"""
        self.reload(host=f"{OTHER}:{self.wire.port}")
        sent = self.waits("4.7.5 TLS failed: ")
        self.mended(sent)

    def partner(self) -> None:
        """a mail exchanger whose certificate has to be right and is not: the mail waits"""
        self.reload()
        self.wire.to = self.b.at["mx"]
        self.a.routes = {"out": {"host": f"mx:{self.wire.port}", "tls": "verified"}}
        self.apply()
        sent = self.waits("4.7.5 TLS failed: ")
        self.a.routes["out"]["tls"] = "required"
        self.apply()
        self.arrives(sent)

    def silent(self) -> None:
        """Nor has it in the form in which it was said."""
        plain = [base64.b64encode(f"\0{USER}\0{secret}".encode()).decode() for secret in (SECRET, WRONG)]
        alone = [base64.b64encode(secret.encode()).decode() for secret in (SECRET, WRONG)]
        for secret in (SECRET, WRONG, *plain, *alone):
            assert secret not in self.a.log(), self.a.log()


if __name__ == "__main__":
    run_in_trees(Tap(), PACKAGES, Smarthost)
