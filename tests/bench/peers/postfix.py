"""Postfix, with virtual(8) into Maildirs.  It syncs a message twice: in its queue before the 250, and in the Maildir."""
import postfix
from peers.server import DOMAIN, USERS, Maildirs
from tree import Tree

MAIN = f"""\
virtual_mailbox_domains = {DOMAIN}
virtual_mailbox_base = /mail
virtual_mailbox_maps = texthash:/etc/postfix/boxes
virtual_uid_maps = static:{Tree.USER}
virtual_gid_maps = static:{Tree.USER}
virtual_mailbox_limit = 0
smtpd_tls_security_level = none
"""


class Postfix(Maildirs):
    name, package = "Postfix", "postfix"
    promise = "the file in its queue is synced before the 250, that in the Maildir later"

    def __init__(self):
        self.server = postfix.Postfix(MAIN, "", retries="")
        self.tree = self.server.tree
        self.in_group()
        self.tree.put("etc/postfix/boxes", "".join(f"u{n}@{DOMAIN} u{n}/\n" for n in range(USERS)))
        self.tree.folder("mail", Tree.USER)
        self.ports = {"smtp": self.server.port}

    def start(self) -> None:
        self.server.start()

    def queue(self) -> list[str]:
        return self.server.queue()
