"""OpenSMTPD, with its mail.maildir, a process for each message.  It syncs a message once, in the Maildir: its queue is
not synced before the 250, so that it promises less than the others."""
from peers.server import DOMAIN, Maildirs
from tree import HERE, Tree, answers, free_port, until

CONFIG = """\
smtp max-message-size "200M"
smtp limit max-mails 1000000
table boxes {{ "@{domain}" = "mail" }}
listen on {here} port {port} hostname smtpd.remote.test
action "box" maildir "/mail/%{{dest.user}}" virtual <boxes>
match from any for domain "{domain}" action "box"
"""


class OpenSMTPD(Maildirs):
    name, package = "OpenSMTPD", "opensmtpd"
    promise = "nothing is synced before the 250: it promises less; the file in the Maildir is, later"

    def __init__(self):
        self.tree = Tree("opensmtpd", ["usr/sbin/smtpd", "usr/sbin/smtpctl", "usr/libexec/opensmtpd"],
                         ["mail", "opensmtpd", "opensmtpq"], machine=["bin/sh"])
        self.in_group()
        port = free_port()
        for name in ("var/run", "var/spool", "var/spool/smtpd", "var/lib/opensmtpd", "var/lib/opensmtpd/empty"):
            self.tree.folder(name, mode="711")
        self.tree.folder("mail", Tree.USER)
        self.tree.put("etc/mailname", "smtpd.remote.test\n")
        self.tree.put("etc/smtpd.conf", CONFIG.format(domain=DOMAIN, here=HERE, port=port))
        self.ports = {"smtp": port}

    def start(self) -> None:
        self.tree.start("/usr/sbin/smtpd", "-d", "-f", "/etc/smtpd.conf")
        until(self.name, lambda: answers(self.tree, self.ports["smtp"]))

    def queue(self) -> list[str]:
        return self.tree.find("var/spool/smtpd/queue", "var/spool/smtpd/incoming")
