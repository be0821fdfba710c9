"""Postfix's smtp-sink, which throws everything away: what SMTP costs when nothing is done with a message."""
import socket
import subprocess

from host import HANG_S, ROOT
from peers.group import Group
from peers.server import debian_version
from tree import HERE, free_port, until


class Sink:
    name = "smtp-sink"
    promise = "it stores nothing"

    def __init__(self):
        self.group = Group(self.name)
        self.ports = {"smtp": free_port()}

    def start(self) -> None:
        self.process = subprocess.Popen([*self.group.enter(), ROOT / "build/bin/smtp-sink", "-u", "nobody",
                                         f"{HERE}:{self.ports['smtp']}", "1000"])
        until(self.name, self.listens)

    def listens(self) -> bool:
        with socket.socket() as s:
            return s.connect_ex((HERE, self.ports["smtp"])) == 0

    def version(self) -> str:
        return f"smtp-sink of Postfix {debian_version('postfix')}"

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(HANG_S)
        self.group.end()
