"""Sends mail: send.py DIRECTORY HOSTNAME [HOST]:PORT [FROM TO...] < MESSAGE

What is given to it is in the queue of DIRECTORY when it says so; then it sends whatever waits there, until SIGTERM: to the
smarthost HOST or, without one, to each domain's own mail exchangers.  DNS_SERVERS in the environment ("127.0.0.1:5353")
takes the place of the system's name servers.
"""
import asyncio
import email.policy
import os
import signal
import sys

import mailsrv
from mailsrv import Kind, c

LINE_END = email.policy.SMTP.linesep.encode()
TOLD = {c.MAILSRV_EVENT_SENT: "sent", c.MAILSRV_EVENT_DEFERRED: "waits", c.MAILSRV_EVENT_FAILED: "failed"}


def as_it_is(file):
    """But for the ends of its lines."""
    return b"".join(line.removesuffix(LINE_END).removesuffix(b"\n") + LINE_END for line in file)


def on_event(event):
    if event.what in TOLD:
        print(TOLD[event.what], event.text.decode(errors="replace"), flush=True)


async def main(directory, hostname, way, *envelope):
    end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
    host, _, port = way.rpartition(":")
    route = {"kind": c.MAILSRV_ROUTE_HOST if host else c.MAILSRV_ROUTE_MX, "host": host.encode(), "port": int(port)}
    with mailsrv.DurableStore(directory) as store:
        async with mailsrv.Server(store, {Kind.ROUTE: lambda op: route}, on_event=on_event, grace_s=1) as server:
            queue = server.queue(hostname=hostname, dns=os.environ.get("DNS_SERVERS"))
            if envelope:
                await queue.send(envelope[0], envelope[1:], as_it_is(sys.stdin.buffer))
                print("queued", flush=True)
            await end.wait()


asyncio.run(main(*sys.argv[1:]))
