#!/usr/bin/env python3
"""receive.py BUILD: how many messages a second are received over loopback, by us into the store in memory and, beside
it, by Postfix's smtp-sink, which keeps nothing; under the same generators, by turns.  What counts is that every message
arrives; the rates are told."""
import os
import pwd
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[2] / "build" / "bin"
MESSAGES = int(os.environ.get("BENCH_MESSAGES", "5000"))
CONNECTIONS, OCTETS, ROUNDS = 20, 4096, 3
SOURCE_FLAGS = ["-s", CONNECTIONS, "-m", MESSAGES, "-l", OCTETS, "-f", "sender@remote.test", "-t", "pat@here.test"]


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.05)
    sys.exit(f"Bail out! nobody listens on port {port}")


def start_sink() -> tuple[subprocess.Popen, int]:
    port = free_port()
    user = ["-u", pwd.getpwnam("nobody").pw_name] if os.getuid() == 0 else []
    sink = subprocess.Popen([TOOLS / "smtp-sink", *user, f"127.0.0.1:{port}", "1000"])
    wait_for(port)
    return sink, port


def start_ours(build: Path) -> tuple[subprocess.Popen, int]:
    ours = subprocess.Popen([build / "bench-receive"], stdout=subprocess.PIPE, text=True)
    return ours, int(ours.stdout.readline().split()[1])


def generators(build: Path) -> dict[str, list]:
    """PORT stands for the port."""
    source = [TOOLS / "smtp-source", *SOURCE_FLAGS]
    return {"smtp-source, a connection for each message": [*source, "127.0.0.1:PORT"],
            "smtp-source -d, many messages over each": [*source, "-d", "127.0.0.1:PORT"],
            "our own, pipelined": [build / "bench-source", "PORT", CONNECTIONS, MESSAGES, OCTETS]}


def rate(command: list, port: int) -> float:
    since = time.monotonic()
    done = subprocess.run([str(word).replace("PORT", str(port)) for word in command], capture_output=True, text=True)
    if done.returncode != 0 or "acknowledged" in done.stdout and done.stdout.split()[1] != str(MESSAGES):
        sys.exit(f"Bail out! {command[0]}: {done.stdout}{done.stderr}")
    return MESSAGES / (time.monotonic() - since)


def main() -> None:
    build = Path(sys.argv[1])
    if not (TOOLS / "smtp-sink").exists():
        sys.exit("Bail out! no smtp-sink: tests/build/setup unpack:postfix fetches it")
    ours, our_port = start_ours(build)
    sink, sink_port = start_sink()
    try:
        for name, command in generators(build).items():
            pairs = [(rate(command, our_port), rate(command, sink_port)) for _ in range(ROUNDS)]
            us, them = (statistics.median(side) for side in zip(*pairs))
            print(f"# summary: received by {name}: {us:.0f} messages a second, smtp-sink {them:.0f}, "
                  f"ratio {us / them:.2f}", flush=True)
    finally:
        sink.terminate()
        ours.terminate()
        sink.wait()
    said = ours.communicate()[0]
    expected = f"messages {len(generators(build)) * ROUNDS * MESSAGES}"
    print(f"{'ok' if said.strip() == expected else 'not ok'} 1 - all are there: {said.strip()}\n1..1")
    sys.exit(said.strip() != expected or ours.returncode != 0)


main()
