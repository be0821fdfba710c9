"""A Postfix in a tree: it takes mail from this machine, and gives it on by routes."""
from tree import HERE, Tree, answers, free_port, until

MAIN = """\
compatibility_level = 3.6
myhostname = postfix.remote.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtp_dns_support_level = disabled
smtp_host_lookup = native
local_recipient_maps =
alias_maps =
alias_database =
maillog_file = /var/log/postfix
message_size_limit = 50000000
# addresses and lines go on as they are
append_dot_mydomain = no
allow_percent_hack = no
swap_bangpath = no
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_reject_unlisted_recipient = no
smtp_line_length_limit = 0
lmtp_line_length_limit = 0
smtp_tls_security_level = may
smtp_tls_CAfile = /etc/postfix/ca.pem
"""

TLS = """\
smtpd_tls_security_level = may
smtpd_tls_chain_files = /etc/postfix/tls.pem
"""

RETRIES = """\
# what cannot be delivered now is tried again each second
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 1s
"""

# name, what it listens on, the program; each runs as root and becomes the user postfix
MASTER = """\
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
virtual unix - n n - - virtual
error unix - - n - - error
discard unix - - n - - discard
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

QUEUES = ["incoming", "active", "deferred", "maildrop", "hold", "corrupt"]
MORE = ["bounce", "defer", "flush", "pid", "private", "public", "saved", "trace"]


class Postfix:
    """`main` is more of main.cf; `listeners` have an option each, beside the one that has none: port.  `certificate` is
    its own, with the key; `also` is what the tree has of other packages."""

    def __init__(self, main: str, ca: str, listeners: dict[str, str] = {}, retries: str = RETRIES,
                 certificate: str = "", also: dict[str, list[str]] = {}):
        self.tree = Tree("postfix", ["usr/lib/postfix", "usr/sbin"], ["postfix", "postdrop"], also)
        self.ports = {name: free_port() for name in ["", *listeners]}
        for name in ("etc/postfix", "var/spool", "var/spool/postfix", "var/spool/postfix/pid"):
            self.tree.folder(name)
        for name in [*QUEUES, *MORE]:
            if name != "pid":
                self.tree.folder(f"var/spool/postfix/{name}", Tree.USER, "711" if name == "public" else "700")
        self.tree.folder("var/lib/postfix", Tree.USER)
        self.tree.put("etc/postfix/main.cf", MAIN + retries + (TLS if certificate else "") + main)
        self.tree.put("etc/postfix/ca.pem", ca)
        self.tree.put("etc/postfix/tls.pem", certificate)
        inet = "".join(f"{HERE}:{port} inet n - n - - smtpd {listeners.get(name, '')}\n"
                       for name, port in self.ports.items())
        self.tree.put("etc/postfix/master.cf", inet + MASTER)
        self.port = self.ports[""]

    def start(self) -> None:
        self.tree.start("/usr/lib/postfix/sbin/master", "-c", "/etc/postfix", "-s")
        until("Postfix", lambda: answers(self.tree, self.port))

    def queue(self) -> list[str]:
        return self.tree.find(*(f"var/spool/postfix/{name}" for name in QUEUES))

    def hurry(self) -> None:
        """Its run through the queue leaves alone what is just being given up, and may then forget it until told."""
        self.tree.run("/usr/sbin/postqueue", "-f")

    def log(self) -> str:
        try:
            return self.tree.read("var/log/postfix")
        except AssertionError as e:
            return str(e)

    def end(self) -> None:
        self.tree.end()
