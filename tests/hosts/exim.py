"""An Exim in a tree: it takes mail from this machine, and gives it on by routes."""
from tree import HERE, Tree, answers, free_port, until

USER = "Debian-exim"

MAIN = """\
primary_hostname = exim.remote.test
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
disable_ipv6 = true
smtputf8_advertise_hosts = *
keep_environment =
deliver_drop_privilege = true
message_size_limit = 50M
recipients_max = 1000
"""

TAKES_ALL = """\
acl_smtp_rcpt = accept
tls_advertise_hosts =
"""

# what cannot be delivered now is tried again each second
RETRY = """\
begin retry
* * F,1h,1s
"""


class Exim:
    """`config` has routers and transports, and before them what stands in no section; `takes` says what it takes, and
    `certificate` is its own, with the key."""

    def __init__(self, config: str, ca: str, takes: str = TAKES_ALL, certificate: str = ""):
        self.tree = Tree("exim4-daemon-light", ["usr/sbin/exim4"], [USER])
        self.port = free_port()
        for name in ("var/spool/exim4", "var/spool/exim4/input", "var/log/exim4"):
            self.tree.folder(name, Tree.USER)
        self.tree.folder("etc/exim4")
        self.tree.put("etc/exim4/exim4.conf", MAIN.format(port=self.port) + takes + config + RETRY)
        self.tree.put("etc/exim4/ca.pem", ca)
        self.tree.put("etc/exim4/tls.pem", certificate)

    def start(self, tries_each: str = "1s") -> None:
        self.tree.start("/usr/sbin/exim4", "-bdf", f"-q{tries_each}")
        until("Exim", lambda: answers(self.tree, self.port))

    def queue(self) -> list[str]:
        return self.tree.find("var/spool/exim4/input")

    def hurry(self) -> None:
        """It looks at all of its queue each second."""

    def log(self) -> str:
        said = ""
        for name in ("main", "panic", "reject"):
            try:
                said += self.tree.read(f"var/log/exim4/{name}log")
            except AssertionError:  # it never wrote one
                pass
        return said

    def end(self) -> None:
        self.tree.end()
