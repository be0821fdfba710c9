"""Exim, with appendfile(5) into Maildirs, each message delivered at once by a process of its own."""
import exim
from peers.server import DOMAIN, USERS, Maildirs
from tree import Tree

CONFIG = f"""\
queue_only = false
smtp_accept_max = 200
smtp_connect_backlog = 200
smtp_accept_queue_per_connection = 0
smtp_accept_max_per_connection = 0
acl_smtp_data = accept
begin routers
here:
  driver = accept
  local_parts = lsearch;/etc/exim4/boxes
  domains = {DOMAIN}
  transport = box
begin transports
box:
  driver = appendfile
  directory = /mail/$local_part_data
  create_directory
  maildir_format
  delivery_date_add
  envelope_to_add
  return_path_add
  user = Debian-exim
  group = Debian-exim
  mode = 0600
"""


class Exim(Maildirs):
    name, package = "Exim", "exim4-daemon-light"
    promise = "two files of its spool and their folder are synced before the 250, a journal and the file in the Maildir later"

    def __init__(self):
        self.server = exim.Exim(CONFIG, "")
        self.tree = self.server.tree
        self.in_group()
        self.tree.put("etc/exim4/boxes", "".join(f"u{n}: u{n}\n" for n in range(USERS)))
        self.tree.folder("mail", Tree.USER)
        self.ports = {"smtp": self.server.port}

    def start(self) -> None:
        self.server.start(tries_each="30m")

    def queue(self) -> list[str]:
        return self.server.queue()
