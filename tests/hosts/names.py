#!/usr/bin/env python3
"""Where mail goes, as real name servers say it: an NSD has the zones, an Unbound resolves by it; what both answer is read
by the library, and gives the plans that the zones stand for.  names.py PROGRAM    (PROGRAM is built from routed.c)

Neither is installed: each runs in a tree of its own (tree.py)."""
import socket
import struct
import subprocess
import sys

from dns_server import RD, TC, TYPES, NameServer, wire_name
from host import HANG_S
from tap import Tap
from tree import HERE, Tree, can_be_root, free_port, unpacked, until

US = "us.test"

# Everything that a zone may say of a domain's mail; ourselves are us.test.
ZONE = """\
$ORIGIN test.
$TTL 1800
@ SOA ns.test. hostmaster.test. 1 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
us A 192.0.2.99
mx1 A 192.0.2.1
mx1 AAAA 2001:db8::1
mx2 A 192.0.2.2
mx3 400 A 192.0.2.3
plain MX 10 mx1
plain MX 20 mx2
short MX 10 mx3
www CNAME plain
www2 CNAME www
aliased MX 10 mxalias
mxalias CNAME mx2
onlya A 192.0.2.4
onlyaaaa AAAA 2001:db8::4
nothing TXT "nothing"
dead MX 0 .
dead A 192.0.2.5
beside MX 0 .
beside MX 10 mx2
nowhere MX 10 gone
nowhere A 192.0.2.6
numbers MX 10 10.0.0.1.
ours MX 10 us
ours MX 20 mx1
worse MX 10 mx2
worse MX 20 us
worse MX 30 mx1
xn--bcher-kva MX 10 mx2
loop1 CNAME loop2
loop2 CNAME loop1
*.wild MX 10 mx2
""" + "".join(f"many MX {i + 1} a-rather-long-name-of-an-exchanger-{i}\na-rather-long-name-of-an-exchanger-{i} A 192.0.2.{i + 100}\n"
              for i in range(40))
MANY = " ".join(f"a-rather-long-name-of-an-exchanger-{i}.test/192.0.2.{i + 100}" for i in range(10))

PLANS = {
    "plain.test": "mx1.test/2001:db8::1 mx1.test/192.0.2.1 mx2.test/192.0.2.2 ttl 1800",
    "PLAIN.Test": "mx1.test/2001:db8::1 mx1.test/192.0.2.1 mx2.test/192.0.2.2 ttl 1800",
    "short.test": "mx3.test/192.0.2.3 ttl 400",
    "www.test": "mx1.test/2001:db8::1 mx1.test/192.0.2.1 mx2.test/192.0.2.2 ttl 1800",
    "www2.test": "mx1.test/2001:db8::1 mx1.test/192.0.2.1 mx2.test/192.0.2.2 ttl 1800",
    "aliased.test": "mxalias.test/192.0.2.2 ttl 1800",
    "onlya.test": "onlya.test/192.0.2.4 ttl 1800",
    "onlyaaaa.test": "onlyaaaa.test/2001:db8::4 ttl 1800",
    "nothing.test": "550 5.4.4 nothing.test has no mail exchanger and no address ttl 300",
    "there-is-none.test": "550 5.1.2 there is no domain there-is-none.test ttl 300",
    "dead.test": "556 5.1.10 dead.test takes no mail (null MX) ttl 300",
    "beside.test": "mx2.test/192.0.2.2 ttl 1800",
    "nowhere.test": "550 5.4.4 no mail exchanger of nowhere.test has an address ttl 300",
    "numbers.test": "550 5.4.4 no mail exchanger of numbers.test has an address ttl 300",
    "ours.test": "554 5.4.6 mail for ours.test would come back to us ttl 300",
    "worse.test": "mx2.test/192.0.2.2 ttl 1800",
    "bücher.test": "mx2.test/192.0.2.2 ttl 1800",
    "any.wild.test": "mx2.test/192.0.2.2 ttl 1800",
    "many.test": f"{MANY} ttl 1800",  # truncated over UDP
}
LATER = {"loop1.test": "451 4.4.3 the name servers have no answer for loop1.test: SERVFAIL"}

# What our own name server does wrong, and a resolver makes of it.
WRONG = {"servfail.wrong": {"wrong": {"MX": "servfail"}, "A": ["192.0.2.7"]},
         "refused.wrong": {"wrong": {"MX": "refused"}, "A": ["192.0.2.7"]},
         "host.wrong": {"MX": ["10 mx.wrong"]}, "mx.wrong": {"wrong": {"*": "servfail"}},
         "fine.wrong": {"MX": ["10 truncated.wrong"]},
         "truncated.wrong": {"wrong": {"*": "truncate"}, "A": ["192.0.2.8"]},
         "wrong": {"SOA": [], "NS": []}}
OF_WRONG = {"servfail.wrong": "451 4.4.3 the name servers have no answer for servfail.wrong: SERVFAIL",
            "refused.wrong": "451 4.4.3 the name servers have no answer for refused.wrong: SERVFAIL",
            "host.wrong": "451 4.4.3 the name servers have no answer for mx.wrong: SERVFAIL",
            "fine.wrong": "truncated.wrong/192.0.2.8 ttl 600"}


class Nsd:
    """It has the zone `test`, and more of them by name."""

    def __init__(self, zone: str = ZONE, more: dict[str, str] = {}):
        self.tree, self.port = Tree("nsd", ["usr/sbin/nsd", "usr/sbin/nsd-control"], ["nsd"]), free_port()
        self.tree.folder("var/lib/nsd", Tree.USER)
        zones = {"test": zone, **more}
        for name, text in zones.items():
            self.put(name, text)
        self.tree.put("etc/nsd.conf", f"""\
server:
  ip-address: {HERE}
  port: {self.port}
  username: nsd
  chroot: ""
  zonesdir: "/etc"
  database: ""
  pidfile: "/run/nsd.pid"
  xfrdfile: "/var/lib/nsd/xfrd.state"
  zonelistfile: "/var/lib/nsd/zone.list"
  xfrdir: "/var/lib/nsd"
  cookie-secret-file: ""
  rrl-ratelimit: 0
remote-control:
  control-enable: yes
  control-interface: "/run/nsd.control"
""" + "".join(f'zone:\n  name: "{name}."\n  zonefile: "{name}.zone"\n' for name in zones))

    def put(self, name: str, zone: str) -> None:
        self.tree.put(f"etc/{name}.zone", zone)

    def start(self) -> None:
        self.tree.start("/usr/sbin/nsd", "-d", "-c", "/etc/nsd.conf")

    def reload(self) -> None:
        """It begins to; when it has done so its answers tell."""
        self.tree.run("/usr/sbin/nsd-control", "-c", "/etc/nsd.conf", "reload")


class Unbound:
    """A resolver that knows a few zones, and nobody else.  With `anchors`, which are records of zones' keys, it validates."""

    def __init__(self, zones: dict[str, int], anchors: str = ""):
        self.tree = Tree("unbound", ["usr/sbin/unbound", "usr/sbin/unbound-control"], ["unbound"])
        self.port = free_port()
        stubs = "".join(f'stub-zone:\n  name: "{zone}."\n  stub-addr: {HERE}@{port}\n' for zone, port in zones.items())
        nodefault = "".join(f'  local-zone: "{zone}." nodefault\n' for zone in zones)
        self.tree.put("etc/anchors", anchors)
        validates = '  trust-anchor-file: "/etc/anchors"\n' if anchors else ""
        self.tree.put("etc/unbound.conf", f"""\
server:
  interface: {HERE}
  port: {self.port}
  username: unbound
  chroot: ""
  directory: "/etc"
  pidfile: ""
  use-syslog: no
  module-config: "{'validator ' if anchors else ''}iterator"
  do-not-query-localhost: no
  do-ip6: no
  do-daemonize: no
  num-threads: 1
{nodefault}{validates}remote-control:
  control-enable: yes
  control-interface: "/run/unbound.control"
  control-use-cert: no
{stubs}stub-zone:
  name: "."
  stub-addr: {HERE}@{free_port()}
""")

    def start(self) -> None:
        self.tree.start("/usr/sbin/unbound", "-d", "-c", "/etc/unbound.conf")

    def control(self, *command: str) -> str:
        return self.tree.run("/usr/sbin/unbound-control", "-c", "/etc/unbound.conf", *command)


def exactly(s: socket.socket, n: int) -> bytes:
    octets = b""
    while len(octets) < n:
        more = s.recv(n - len(octets))
        assert more, "it ended within a reply"
        octets += more
    return octets


def ask(port: int, kind: str, name: str, wait_s: float = HANG_S, flags: int = RD) -> bytes:
    """By UDP, and by TCP where there is more."""
    question = struct.pack(">HHHHHH", 7, flags, 1, 0, 0, 0) + wire_name(name) + struct.pack(">HH", TYPES[kind], 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(wait_s)
        udp.connect((HERE, port))
        udp.send(question)
        reply = udp.recv(65535)
    if not struct.unpack(">H", reply[2:4])[0] & TC:
        return reply
    with socket.create_connection((HERE, port), timeout=HANG_S) as tcp:
        tcp.sendall(struct.pack(">H", len(question)) + question)
        return exactly(tcp, struct.unpack(">H", exactly(tcp, 2))[0])


def answers(tree: Tree, port: int, name: str = "mx2.test") -> bool:
    assert tree.is_alive(), "it ended at once"
    try:
        return struct.unpack(">H", ask(port, "A", name, 1)[2:4])[0] & 15 == 0
    except OSError:
        return False


def plan(program: str, domain: str, port: int) -> str:
    with subprocess.Popen([program, domain, US], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as asking:
        for line in asking.stdout:
            mark, rest = line.rstrip("\n").split(" ", 1)
            if mark == "=":
                break
            kind, name = rest.split()
            asking.stdin.write(ask(port, kind, name).hex() + "\n")
            asking.stdin.flush()
    assert asking.returncode == 0 and mark == "=", f"{asking.returncode} {rest}"
    return rest


def check(program: str, domain: str, port: int, wanted: str) -> None:
    found = plan(program, domain, port)
    assert found == wanted, f"{domain}: {found}, not {wanted}"


def check_cached(program: str, domain: str, port: int, wanted: str) -> None:
    """A resolver's TTLs go down while it keeps a record."""
    found = plan(program, domain, port)
    assert found.split(" ttl ")[0] == wanted.split(" ttl ")[0], f"{domain}: {found}, not {wanted}"


def run(tap: Tap, program: str) -> None:
    nsd = Nsd()
    with NameServer(WRONG) as wrong:
        unbound = Unbound({"test": nsd.port, "wrong": wrong.port})
        try:
            for server in (nsd, unbound):
                server.start()
                until("a name server", lambda: answers(server.tree, server.port))
            for domain, wanted in PLANS.items():
                tap.run(f"NSD: {domain}", check, program, domain, nsd.port, wanted)
            for domain, wanted in (PLANS | LATER | OF_WRONG).items():
                tap.run(f"Unbound: {domain}", check_cached, program, domain, unbound.port, wanted)
        finally:
            unbound.tree.end()
            nsd.tree.end()


def main() -> None:
    tap = Tap()
    missing = [package for package in ("nsd", "unbound") if not unpacked(package)]
    if missing or not can_be_root():
        tap.skip("name servers", f"{' and '.join(missing)} not unpacked" if missing else "nobody here can be root")
    else:
        run(tap, sys.argv[1])
    tap.end()


if __name__ == "__main__":
    main()
