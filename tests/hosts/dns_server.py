#!/usr/bin/env python3
"""Name servers for tests: answers for the names of one zone, over UDP and TCP on the same port of 127.0.0.1.

    dns_server.py [--port PORT] ZONE     prints its port, and serves until it is ended

ZONE is a file of JSON, or its text: {"a.test": {"MX": ["10 mx.a.test"]}, "mx.a.test": {"A": ["127.0.0.1"]}}.  Types: A,
AAAA, MX, TXT, CNAME (which is followed).  TTLs are 600, or what stands as "TTL" beside the types.  What goes wrong stands
beside them, too, for a type or for all of them ("*"): "wrong": {"MX": "servfail"}; see WRONG.  "signed": true stands for
records that can be trusted: a reply that is about such names alone has the AD bit, for those who ask for it.

From Python: `with NameServer(zone) as names:` has `names.port`; `names.zone` may be changed at any time, and
`names.asked` is what was asked: pairs of name and type."""
import argparse
import ipaddress
import json
import socket
import socketserver
import struct
import threading
from pathlib import Path

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "MX": 15, "TXT": 16, "AAAA": 28, "TLSA": 52, "*": 255}
NAMES = {number: name for name, number in TYPES.items()}
QR, AA, TC, RD, RA, AD = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080, 0x0020
NXDOMAIN, CHAIN_MAX, UDP_OCTETS_MAX, TTL = 3, 8, 512, 600
RCODES = {"formerr": 1, "servfail": 2, "nxdomain": NXDOMAIN, "notimp": 4, "refused": 5}
# silent: no reply at all; truncate: over UDP nothing but the wish for TCP; mute: the same, and over TCP no reply either;
# other: a reply to another question; junk: octets that are no reply
WRONG = {"silent", "truncate", "mute", "other", "junk", *RCODES}


def wire_name(name: str) -> bytes:
    labels = [label.encode() for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def data(kind: str, value: str) -> bytes:
    if kind in ("A", "AAAA"):
        return ipaddress.ip_address(value).packed
    if kind == "MX":
        preference, name = value.split()
        return struct.pack(">H", int(preference)) + wire_name(name)
    if kind == "TXT":
        text = value.encode()
        return b"".join(bytes([len(text[i:i + 255])]) + text[i:i + 255] for i in range(0, max(1, len(text)), 255))
    if kind == "TLSA":
        usage, selector, matching, octets = value.split()
        return bytes([int(usage), int(selector), int(matching)]) + bytes.fromhex(octets)
    return wire_name(value)


def record(name: str, kind: str, ttl: int, value: str) -> bytes:
    octets = data(kind, value)
    return wire_name(name) + struct.pack(">HHIH", TYPES[kind], 1, ttl, len(octets)) + octets


def question_of(message: bytes) -> tuple[str, int, int]:
    """Name, type, and where the question ends."""
    labels, at = [], 12
    while message[at] != 0:
        labels.append(message[at + 1:at + 1 + message[at]].decode("latin-1"))
        at += 1 + message[at]
    return ".".join(labels).lower(), struct.unpack(">H", message[at + 1:at + 3])[0], at + 5


class NameServer:
    def __init__(self, zone: dict, port: int = 0):
        self.zone, self.asked = zone, []
        for _ in range(100):  # until a port is free in both
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            udp.bind(("127.0.0.1", port))
            self.port = udp.getsockname()[1]
            try:
                self.tcp = Tcp(("127.0.0.1", self.port), Connection)
                break
            except OSError:
                udp.close()
                if port:
                    raise
        self.udp, self.tcp.names = udp, self
        self.threads = [threading.Thread(target=run, daemon=True) for run in (self.serve_udp, self.tcp.serve_forever)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.tcp.shutdown()
        self.tcp.server_close()
        self.udp.sendto(b"", ("127.0.0.1", self.port))  # its thread wakes, and sees that this is the end
        self.threads[0].join()
        self.udp.close()

    def serve_udp(self) -> None:
        while True:
            message, peer = self.udp.recvfrom(65535)
            if not message:
                return
            reply = self.reply(message, over_tcp=False)
            if reply is not None:
                self.udp.sendto(reply, peer)

    # ---- What is said ----

    def entry(self, name: str) -> dict | None:
        """Of this name; {}: it is there because one below it is (RFC 8020)."""
        found = self.zone.get(name)
        if found is None and any(other.endswith("." + name) for other in self.zone):
            return {}
        return found

    def wrong(self, name: str, kind: str) -> str | None:
        wrong = (self.entry(name) or {}).get("wrong", {})
        found = wrong.get(kind, wrong.get("*"))
        assert found is None or found in WRONG, found
        return found

    def answers(self, name: str, kind: str) -> tuple[list[bytes], bool]:
        """The records, and whether there is such a name."""
        found = []
        for _ in range(CHAIN_MAX):
            entry = self.entry(name)
            if entry is None:
                return found, False
            ttl = entry.get("TTL", TTL)
            found += [record(name, kind, ttl, value) for value in entry.get(kind, [])]
            alias = entry.get("CNAME")
            if alias is None or kind == "CNAME":
                break
            alias = alias if isinstance(alias, str) else alias[0]
            found.append(record(name, "CNAME", ttl, alias))
            name = alias.lower().rstrip(".")
        return found, True

    def is_signed(self, name: str) -> bool:
        """And what its CNAMEs lead to."""
        for _ in range(CHAIN_MAX):
            entry = self.entry(name) or {}
            if not entry.get("signed") or "CNAME" not in entry:
                return bool(entry.get("signed"))
            name = entry["CNAME"].lower().rstrip(".")
        return False

    def reply(self, message: bytes, over_tcp: bool) -> bytes | None:
        try:
            name, number, end = question_of(message)
        except (IndexError, struct.error):
            return None
        kind = NAMES.get(number, str(number))
        self.asked.append((name, kind))
        wrong = self.wrong(name, kind)
        if wrong == "silent" or (wrong == "mute" and over_tcp):
            return None
        asked = struct.unpack(">H", message[2:4])[0]
        bits = QR | AA | RA | (asked & RD) | (asked & AD if self.is_signed(name) else 0)
        question = message[12:end]
        if wrong == "junk":
            return message[:2] + b"\x80"
        if wrong == "other":
            question = wire_name("other." + name) + message[end - 4:end]
        if wrong in RCODES:
            return message[:2] + struct.pack(">HHHHH", bits | RCODES[wrong], 1, 0, 0, 0) + question
        found, there = self.answers(name, kind)
        octets = b"".join(found)
        if not over_tcp and (wrong in ("truncate", "mute") or len(octets) > UDP_OCTETS_MAX - 12 - len(question)):
            return message[:2] + struct.pack(">HHHHH", bits | TC, 1, 0, 0, 0) + question
        rcode = 0 if there else NXDOMAIN
        return message[:2] + struct.pack(">HHHHH", bits | rcode, 1, len(found), 0, 0) + question + octets


class Tcp(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads, names = True, True, None


class Connection(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while len(octets := self.rfile.read(2)) == 2:
            message = self.rfile.read(struct.unpack(">H", octets)[0])
            reply = self.server.names.reply(message, over_tcp=True)
            if reply is not None:
                self.wfile.write(struct.pack(">H", len(reply)) + reply)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, metavar="PORT")
    parser.add_argument("zone")
    args = parser.parse_args()
    text = args.zone if args.zone.lstrip().startswith("{") else Path(args.zone).read_text()
    with NameServer(json.loads(text), args.port) as names:
        print(names.port, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
