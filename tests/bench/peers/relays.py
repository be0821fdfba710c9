"""Servers that give mail on by SMTP: the same next hops for each, in maps of its own kind, and no TLS on the way.

What others have to be fast is set as their documentation says, and is more than a distribution gives them: as many
processes and connections as ours, no pause that slows the sender down, no pause between connections."""
import exim
import postfix
from peers.exim import Exim
from peers.mailserverd import MORE, Mailserverd
from peers.opensmtpd import OpenSMTPD
from peers.postfix import Postfix
from tree import HERE

DESTINATIONS = 100
DEAD = {"refused.test": "127.0.3.1", "silent.test": "127.0.2.1"}  # nobody listens; who listens says nothing
CONNECTIONS, PER_DESTINATION = 100, 20  # at most; ours has them so by default


def domain(n: int) -> str:
    return f"d{n}.dest.test"


def hop(n: int) -> str:
    return f"127.0.1.{n + 1}"


def zone() -> dict:
    """Each destination has one mail exchanger."""
    at = {**{domain(n): hop(n) for n in range(DESTINATIONS)}, **DEAD}
    return {key: value for name, address in at.items() for key, value in (
        (name, {"MX": [f"10 mx.{name}"]}), (f"mx.{name}", {"A": [address]}))}


class OurRelay(Mailserverd):
    """It asks a name server, as it does by default; the ports are not 25, which takes a route."""

    promise = "its log is synced before the reply, once for all messages that came meanwhile, and so for what was delivered"
    listeners = ["mx"]

    def __init__(self, port: int, names: int, more: str = "", name: str = ""):
        super().__init__(name=name)
        self.server.configure(
            f"[listener mx]\nprotocol = mx\naddress = {HERE}:0\ntls = no\n{MORE}", f"[queue]\ndns = {HERE}:{names}\n{more}",
            f"[route all]\nfor = *\nhost = mx:{port}\n", memory="2G", message_size="200M", relay_networks="127.0.0.0/8")

    def start(self) -> None:
        super().start()
        self.ports = {"smtp": self.ports["mx"]}

    def queue(self) -> list[str]:
        return self.server.must("queue", "list", "--json").splitlines()


POSTFIX = f"""\
transport_maps = texthash:/etc/postfix/routes
smtp_tls_security_level = none
smtpd_tls_security_level = none
# all pause who sends, until the queue is short
in_flow_delay = 0
default_process_limit = {CONNECTIONS}
default_destination_concurrency_limit = {PER_DESTINATION}
initial_destination_concurrency = {PER_DESTINATION}
qmgr_message_recipient_limit = 100000
qmgr_message_active_limit = 100000
smtp_connection_cache_on_demand = yes
"""


class PostfixRelay(Postfix):
    promise = "the file in its queue is synced before the 250, and unlinked without a sync"

    def __init__(self, port: int):
        self.server = postfix.Postfix(POSTFIX, "", retries="")
        self.tree = self.server.tree
        self.in_group()
        self.tree.put("etc/postfix/routes", "".join(f"{domain(n)} smtp:[{hop(n)}]:{port}\n" for n in range(DESTINATIONS)))
        self.ports = {"smtp": self.server.port}


EXIM = """\
queue_only = false
smtp_accept_max = 200
smtp_connect_backlog = 200
smtp_accept_queue_per_connection = 0
smtp_accept_max_per_connection = 0
acl_smtp_data = accept
message_logs = false
split_spool_directory = true
queue_run_max = 20
remote_max_parallel = 20
begin routers
away:
  driver = manualroute
  route_data = ${lookup{$domain}lsearch{/etc/exim4/routes}}
  self = send
  transport = away
begin transports
away:
  driver = smtp
  port = 25
  hosts_avoid_tls = *
  hosts_try_chunking =
"""


class EximRelay(Exim):
    """Each message is delivered at once by a process of its own, over a connection of its own."""

    promise = "two files of its spool and their folder are synced before the 250, a journal at the delivery"

    def __init__(self, port: int):
        self.server = exim.Exim(EXIM, "")
        self.tree = self.server.tree
        self.in_group()
        self.tree.put("etc/exim4/routes", "".join(f"{domain(n)}: {hop(n)}::{port}\n" for n in range(DESTINATIONS)))
        self.ports = {"smtp": self.server.port}


SMTPD = f"""\
smtp max-message-size "200M"
smtp limit max-mails 1000000
mta limit max-conn-per-host {PER_DESTINATION} max-conn-per-route {PER_DESTINATION}
mta limit max-conn-per-source {CONNECTIONS} max-conn-per-connector {PER_DESTINATION}
mta limit conn-delay-relay 0 conn-delay-domain 0 conn-delay-route 0 reconn-delay-route 0
mta limit task-hiwat 1000 task-lowat 500 task-release 500 session-mail-max 1000
"""


class OpenSMTPDRelay(OpenSMTPD):
    promise = "nothing is synced before the 250: it promises less"

    def __init__(self, port: int):
        super().__init__()
        actions = "".join(f'action "a{n}" relay host "smtp+notls://{hop(n)}:{port}"\n' for n in range(DESTINATIONS))
        rules = "".join(f'match from any for domain "{domain(n)}" action "a{n}"\n' for n in range(DESTINATIONS))
        listen = f"listen on {HERE} port {self.ports['smtp']} hostname smtpd.remote.test\n"
        self.tree.put("etc/smtpd.conf", SMTPD + listen + actions + rules)

    def queue(self) -> list[str]:
        """Each message has a folder of its own, which may go while it is looked into."""
        try:
            return super().queue()
        except AssertionError:
            return ["a message that has just gone"]
