"""Dovecot, all of it: LMTP, IMAP and POP3 over sdbox, passwords in a file and then in its cache.

`mail_fsync` stands as Debian has it (optimized): a message is on disk before LMTP or APPEND say so, but not what STORE
changes.  With `always` that is, too."""
import socket

from peers.server import DOMAIN, PASSWORD, USERS, InTree, certificate
from tree import HERE, Tree, free_port, run_as_root, until

LIBRARIES = ["libdovecot.so.0", "libdovecot.so.0.0.0", "libdovecot-login.so.0", "libdovecot-login.so.0.0.0",
             "libdovecot-storage.so.0", "libdovecot-storage.so.0.0.0", "libdovecot-lda.so.0", "libdovecot-lda.so.0.0.0",
             "libdovecot.so", "libdovecot-storage.so", "libdovecot-login.so", "libdovecot-lda.so",
             "libdovecot-dsync.so.0", "libdovecot-dsync.so.0.0.0",
             "libdovecot-compression.so.0", "libdovecot-compression.so.0.0.0",
             "modules/libssl_iostream_openssl.so", "modules/old-stats/libstats_auth.so"]
PROGRAMS = ["aggregator", "anvil", "auth", "config", "dict", "director", "dns-client", "doveadm-server", "indexer",
            "indexer-worker", "ipc", "log", "old-stats", "replicator", "script", "stats"]
CORE = ["usr/sbin/dovecot", "usr/bin/doveconf",
        *(f"usr/lib/dovecot/{name}" for name in (*PROGRAMS, *LIBRARIES))]
SPOKEN = {"imapd": ["imap", "imap-hibernate", "imap-login", "imap-urlauth", "imap-urlauth-login", "imap-urlauth-worker"],
          "pop3d": ["pop3", "pop3-login"], "lmtpd": ["lmtp"]}
ALSO = {f"dovecot-{package}": [f"usr/lib/dovecot/{name}" for name in names] for package, names in SPOKEN.items()}

CONFIG = """\
protocols = imap pop3 lmtp
listen = {here}
log_path = /var/log/dovecot
mail_location = sdbox:/mail/%n
mail_fsync = {fsync}
first_valid_uid = 1
ssl = yes
ssl_cert = </etc/cert.pem
ssl_key = </etc/key.pem
disable_plaintext_auth = no
auth_username_format = %Ln
auth_cache_size = 10M
auth_cache_ttl = 1h
auth_failure_delay = 0
mail_max_userip_connections = 10000
lmtp_user_concurrency_limit = 10000
default_process_limit = 2000
default_client_limit = 10000
passdb {{
  driver = passwd-file
  args = username_format=%n /etc/users
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home=/mail/%n
}}
# what its documentation calls high-performance mode: login processes serve many connections
service imap-login {{
  service_count = 0
  process_min_avail = 2
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  service_count = 0
  process_min_avail = 2
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = {here}
    port = {lmtp}
  }}
}}
# which needs a library that nothing else does
service tcpwrap {{
  executable = /usr/lib/dovecot/log
}}
service anvil {{
  client_limit = 15000
}}
service auth {{
  client_limit = 15000
}}
"""


class Dovecot(InTree):
    package = "dovecot-core"

    def __init__(self, fsync: str = "optimized"):
        self.name = "Dovecot" if fsync == "optimized" else f"Dovecot, mail_fsync = {fsync}"
        self.fsync = fsync
        self.promise = ("the message's file, its folder and the mailbox's log are synced before the reply" + (
            "; what STORE changes is not" if fsync == "optimized" else "; what STORE changes, too"))
        self.tree = Tree(self.package, CORE, ["mail", "dovecot", "dovenull"], ALSO)
        self.in_group()
        chain, key = certificate()
        for name in ("etc/dovecot", "run/dovecot", "var/lib", "var/lib/dovecot"):
            self.tree.folder(name)
        self.tree.folder("mail", Tree.USER, "700")
        self.tree.put("etc/cert.pem", chain.read_text())
        self.tree.put("etc/key.pem", key.read_text())
        self.tree.put("etc/users", "".join(f"u{n}:{{PLAIN}}{PASSWORD}\n" for n in range(USERS)))
        self.ports = {name: free_port() for name in ("imap", "imaps", "pop3", "pop3s", "lmtp")}

    def start(self) -> None:
        self.tree.put("etc/dovecot/dovecot.conf", CONFIG.format(here=HERE, fsync=self.fsync, **self.ports))
        self.tree.start("/usr/sbin/dovecot", "-F")
        until(self.name, self.listens)

    def listens(self) -> bool:
        assert self.tree.is_alive(), f"it ended at once: {self.log()}"
        with socket.socket() as s:
            return s.connect_ex((HERE, self.ports["imap"])) == 0 and s.recv(100).startswith(b"* OK")

    def forget(self) -> None:
        """What it has cached of messages, in a file of each mailbox; nobody is logged in."""
        run_as_root("find", self.tree.path / "mail", "-name", "dovecot.index.cache", "-delete")

    def log(self) -> str:
        return self.tree.read("var/log/dovecot")
