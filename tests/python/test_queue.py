"""Mail that goes out, over sockets of 127.0.0.1: to servers that tests/hosts has, by a name server of the same house.  No
test waits for a clock: what is due later skips it."""
import asyncio
import email
import email.policy
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "tests/hosts"), str(ROOT / "bindings/python/examples")]

import tap
from dns_server import NameServer
from liar import GOOD, HANGS_UP, OK, STAGES, Liar, Silence, hello, once
from mailsrv import (CLOSE, READ, TLS, DurableStore, Engine, Error, Kind, MemoryStore, Profile, Queue, Refused, Server,
                     Session, Status, c)
from mailsrv.dns import Resolver
from sqlite_queue import SqliteQueue
from test_host import HANG_S, in_loop

PAT, KIM = "pat@here.test", "kim@there.test"
MESSAGE = b"From: pat@here.test\r\nSubject: hello\r\n\r\nIt is I.\r\n.a line with a dot\r\n"
LATER_REPLY = b"451 4.3.0 not now\r\n"
NO = b"550 5.1.1 nobody\r\n"


def zone(*domains: str) -> dict:
    made = {}
    for domain in domains:
        made |= {domain: {"MX": [f"10 mx.{domain}"]}, f"mx.{domain}": {"A": ["127.0.0.1"]}}
    return made


class Skipping(Server):
    """Its date is put forward with the clock of the loop."""

    def unix_us(self):
        return super().unix_us() + int(self.loop.skipped * 1e6)


class Sender:
    """A server that only sends: to whoever the domain's port is."""

    def __init__(self, store=None, ports: dict[str, int] = {}, handlers: dict = {}, names: dict | None = None, **queue):
        self.store, self.ports, self.queue_settings = store or MemoryStore(), ports, queue
        self.names = NameServer(zone(*ports) if names is None else names)
        self.events = []
        self.server = Skipping(self.store, {Kind.ROUTE: self.route} | handlers, on_event=self.events.append, grace_s=HANG_S)

    def route(self, op):
        return {"kind": c.MAILSRV_ROUTE_MX, "port": self.ports[op.arg.route.decode() or op.arg.domain.decode()]}

    async def __aenter__(self) -> "Sender":
        self.names.__enter__()
        await self.server.__aenter__()
        settings = {"dns": f"127.0.0.1:{self.names.port}", "hostname": "out.here.test"} | self.queue_settings
        self.queue = self.server.queue(**settings)
        return self

    async def __aexit__(self, *wrong) -> None:
        await self.server.__aexit__(*wrong)
        self.names.__exit__()

    async def until(self, done) -> None:
        async with asyncio.timeout(HANG_S):
            await self.server.until(done)

    async def told(self, what: int, n: int = 1) -> list[bytes]:
        """The texts of so many events."""
        await self.until(lambda: len([e for e in self.events if e.what == what]) >= n)
        return [e.text for e in self.events if e.what == what]

    async def items(self, lane: str = "") -> list:
        return [item async for item in self.queue.waiting(lane)]

    async def item(self, is_so):
        """The only one, once that is so."""
        async with asyncio.timeout(HANG_S):
            while not (len(items := await self.items()) == 1 and is_so(items[0])):
                await asyncio.sleep(0.01)
        return items[0]

    async def emptied(self) -> None:
        async with asyncio.timeout(HANG_S):
            while await self.items():
                await asyncio.sleep(0.01)

    def skip(self, seconds: float) -> None:
        asyncio.get_running_loop().skipped += seconds
        self.server.soon()


class Sending(unittest.TestCase):
    def setUp(self):
        self.peer = Liar()
        self.addCleanup(self.peer.close)

    def sender(self, *args, **more) -> Sender:
        return Sender(*args, ports={"there.test": self.peer.port}, **more)

    @in_loop
    async def test_a_message(self):
        async with self.sender() as sender:
            await sender.queue.send(PAT, [KIM], MESSAGE)
            text, = await sender.told(c.MAILSRV_EVENT_SENT)
            self.assertEqual(sender.queue.stat(c.MAILSRV_QUEUE_STAT_DELIVERED), 1)
            self.assertEqual(sender.names.asked[:2], [("there.test", "MX"), ("mx.there.test", "AAAA")])
            await sender.emptied()
        taken, = self.peer.taken
        self.assertEqual((taken.sender, taken.to), (PAT.encode(), [KIM.encode()]))
        self.assertTrue(taken.octets.endswith(MESSAGE))
        self.assertIn(b" kim@there.test mx.there.test 250 2.0.0 fine", text)

    @in_loop
    async def test_many_from_a_store_in_python(self):
        with tempfile.TemporaryDirectory() as where, SqliteQueue(Path(where) / "mail") as store:
            async with self.sender(store) as sender:
                to = [f"k{i}@there.test" for i in range(150)]
                await asyncio.gather(*(sender.queue.send(PAT, [one, "k@there.test"], MESSAGE) for one in to))
                await sender.told(c.MAILSRV_EVENT_SENT, 300)
                await sender.emptied()
            self.assertEqual(store.db.execute("SELECT count(*) FROM queue").fetchone()[0], 0)
            self.assertEqual(store.db.execute("SELECT count(*) FROM body").fetchone()[0], 0)
        self.assertEqual(sorted(one for taken in self.peer.taken for one in taken.to),
                         sorted([*map(str.encode, to), *[b"k@there.test"] * 150]))

    @in_loop
    async def test_a_bounce(self):
        """The recipient is refused: his sender hears of it, by the mail exchanger of his domain."""
        self.peer.always = {"RCPT": {b"kim@there.test": NO}}
        home = Liar()
        self.addCleanup(home.close)
        async with Sender(ports={"there.test": self.peer.port, "here.test": home.port}) as sender:
            await sender.queue.send(PAT, [{"address": KIM, "notify": c.MAILSRV_NOTIFY_FAILURE}, "ann@there.test"], MESSAGE,
                                    ret=c.MAILSRV_RETURN_HEADERS, envelope_id="number-1")
            await sender.told(c.MAILSRV_EVENT_FAILED)
            await sender.told(c.MAILSRV_EVENT_SENT, 2)
            self.assertEqual(sender.queue.stat(c.MAILSRV_QUEUE_STAT_NOTICES), 1)
        self.assertEqual([taken.to for taken in self.peer.taken], [[b"ann@there.test"]])
        notice, = home.taken
        self.assertEqual((notice.sender, notice.to), (b"", [PAT.encode()]))
        report = email.message_from_bytes(notice.octets, policy=email.policy.default)
        self.assertEqual(report.get_content_type(), "multipart/report")
        _, status, original = report.iter_parts()
        message, recipient = status.get_payload()
        self.assertEqual(message["Original-Envelope-Id"], "number-1")
        self.assertEqual((recipient["Action"], recipient["Status"]), ("failed", "5.1.1"))
        self.assertIn(KIM, recipient["Final-Recipient"])
        self.assertNotIn(b"It is I.", notice.octets)
        self.assertIn(b"Subject: hello", notice.octets)

    @in_loop
    async def test_a_retry(self):
        """By the schedule of the queue."""
        self.peer.always = {"RCPT": once(LATER_REPLY, OK)}
        async with self.sender(first_retry_s=100) as sender:
            await sender.queue.send(PAT, [KIM], MESSAGE)
            await sender.told(c.MAILSRV_EVENT_DEFERRED)
            item = await sender.item(lambda item: item.tries == 1)
            self.assertEqual((item.code, item.recipient), (451, KIM.encode()))
            self.assertEqual(self.peer.taken, [])
            sender.skip(200)
            await sender.told(c.MAILSRV_EVENT_SENT)
        self.assertEqual(len(self.peer.taken), 1)

    @in_loop
    async def test_when_to_try_again_is_asked(self):
        """RETRY: now; by another route; never."""
        self.peer.always = {"RCPT": LATER_REPLY}
        other, home = Liar(), Liar()
        other.always = {"RCPT": LATER_REPLY}
        for liar in (other, home):
            self.addCleanup(liar.close)
        asked = []

        async def retry(op):
            await asyncio.sleep(0)
            asked.append(op.arg)
            if len(asked) == 3:
                return {"verdict": c.MAILSRV_RETRY_GIVE_UP}
            if len(asked) == 1:
                return {"verdict": c.MAILSRV_RETRY_ROUTE, "route": b"other"}
            return {"verdict": c.MAILSRV_RETRY_WAIT, "due_us": op.arg.due_us + 10**6 * 10_000}

        ports = {"there.test": self.peer.port, "here.test": home.port, "other": other.port}
        async with Sender(ports=ports, handlers={Kind.RETRY: retry}) as sender:
            await sender.queue.send(PAT, [KIM], MESSAGE)
            await sender.until(lambda: len(asked) == 2)
            await sender.item(lambda item: item.due_us == asked[1].due_us + 10**6 * 10_000)
            sender.skip(100_000)
            await sender.told(c.MAILSRV_EVENT_FAILED)
            await sender.told(c.MAILSRV_EVENT_SENT)
        self.assertEqual([(arg.tries, arg.code, arg.recipient) for arg in asked],
                         [(n, 451, KIM.encode()) for n in (1, 2, 3)])
        self.assertEqual(len(home.taken), 1)

    @in_loop
    async def test_nobody_takes_what_cannot_be_connected_to(self):
        self.peer.close()
        async with self.sender() as sender:
            await sender.queue.send(PAT, [KIM], MESSAGE)
            text, = await sender.told(c.MAILSRV_EVENT_DEFERRED)
            self.assertIn(b"4.4.1 Connection refused", text)

    @in_loop
    async def test_a_peer_that_is_busy_behind_its_greeting(self):
        """421 with the reply to EHLO (RFC 5321 section 3.8): the connection has failed, and is not made again at once."""
        self.peer.always = {"EHLO": hello() + b"421 4.3.2 too busy\r\n"}
        async with self.sender() as sender:
            await sender.queue.send(PAT, [KIM], MESSAGE)
            await sender.told(c.MAILSRV_EVENT_DEFERRED)
            item = await sender.item(lambda item: item.tries == 1)
            self.assertGreater(item.due_us - item.tried_us, 200 * 10**6)
        self.assertEqual(len(self.peer.calls), 1)

    @in_loop
    async def test_what_would_come_back(self):
        """A mail exchanger with an address of ours is ourselves (RFC 5321 section 5.1)."""
        async with self.sender(own=["192.0.2.1", b"127.0.0.1"]) as sender:
            await sender.queue.send("", [KIM], MESSAGE)
            text, = await sender.told(c.MAILSRV_EVENT_FAILED)
            self.assertIn(b"5.4.6", text)
        self.assertEqual(self.peer.calls, [])

    @in_loop
    async def test_a_peer_that_hangs_up(self):
        self.peer.deeds = [{"text": 10}]
        async with self.sender(first_retry_s=1) as sender:
            await sender.queue.send(PAT, [KIM], MESSAGE)
            await sender.told(c.MAILSRV_EVENT_DEFERRED)
            sender.skip(10)
            await sender.told(c.MAILSRV_EVENT_SENT)
        self.assertEqual(len(self.peer.taken), 1)

    @in_loop
    async def test_a_peer_that_falls_silent(self):
        """Before any of its replies, or in the middle of a message: it is waited for as long as the standard says (RFC 5321
        section 4.5.3.2), and the mail arrives once."""
        limits = dict.fromkeys(STAGES, 300) | {"dot": 600}
        large = MESSAGE + (b"more than sockets hold, " * 40 + b"\r\n") * 20_000
        for stage, limit_s in limits.items():
            await self.falls_silent(Silence(), stage, limit_s, MESSAGE)
        await self.falls_silent(Silence(GOOD["DATA"]), "DATA", 180, large)

    async def falls_silent(self, silence: Silence, stage: str, limit_s: int, message: bytes) -> None:
        self.peer.deeds, self.peer.taken = [{stage: silence}], []
        self.addCleanup(silence.broken.set)
        loop = asyncio.get_running_loop()
        with self.subTest(stage=stage, octets=len(message)):
            async with self.sender(first_retry_s=1000) as sender:
                began = loop.time()
                await sender.queue.send(PAT, [KIM], message)
                async with asyncio.timeout(HANG_S):
                    while not silence.began.is_set():
                        await asyncio.sleep(0.01)
                skips = 0
                while not sender.queue.stat(c.MAILSRV_QUEUE_STAT_DEFERRED):
                    sender.skip(10)
                    sender.server.run()
                    await asyncio.sleep(0.01)
                    skips += 1
                self.assertGreaterEqual(loop.time() - began, limit_s)
                self.assertTrue(len(message) > len(MESSAGE) or skips <= limit_s / 10 + 3, skips)
                sender.skip(2000)
                await sender.told(c.MAILSRV_EVENT_SENT)
                await sender.emptied()
            taken, = self.peer.taken
            self.assertTrue(taken.octets.endswith(message))


class Smarthost(unittest.TestCase):
    """Our own submission server, with TLS and a login."""

    @in_loop
    async def test_login_under_tls(self):
        for password, comes in ((b"secret", True), (b"wrong", False)):
            with self.subTest(password=password), tempfile.TemporaryDirectory() as where:
                pem = certificate(Path(where))
                await self.relay(pem, password, comes)

    async def relay(self, pem: bytes, password: bytes, comes: bool) -> None:
        took, asked = [], []

        def resolve(op):
            return {"destinations": [{"kind": c.MAILSRV_TARGET_MAILBOX, "account": account}]}

        async def credential(op):
            asked.append(op.arg)
            return {"user": b"pat", "password": password}

        def route(op):
            return {"kind": c.MAILSRV_ROUTE_HOST, "host": b"localhost", "port": port, "name": b"smarthost",
                    "flags": c.MAILSRV_ROUTE_AUTH, "secure": c.MAILSRV_SECURE_VERIFY}

        with MemoryStore() as far:
            account = far.add_account("pat", "secret", PAT)
            async with Server(far, {Kind.RESOLVE: resolve}, on_event=took.append) as smarthost:
                port = await smarthost.submission("127.0.0.1", 0, hostname="localhost", tls_by=TLS((pem, pem)), auth_delay_ms=0)
                names = {"localhost": {"A": ["127.0.0.1"]}}
                async with Sender(names=names, handlers={Kind.ROUTE: route, Kind.CREDENTIAL: credential},
                                  tls_by=TLS.client(roots=pem)) as sender:
                    await sender.queue.send(PAT, [KIM], MESSAGE)
                    await sender.told(c.MAILSRV_EVENT_SENT if comes else c.MAILSRV_EVENT_DEFERRED)
            self.assertEqual([message.endswith(b"\r\n\r\nIt is I.\r\n.a line with a dot\r\n") for message in far.messages(account)], [True] * comes)
        self.assertEqual({(arg.route, arg.host, arg.secured, arg.verified) for arg in asked},
                         {(b"smarthost", b"localhost", 1, 1)})


def certificate(where: Path) -> bytes:
    """For localhost, by itself, with its key."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                    where / "key", "-out", where / "chain", "-days", "30", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    return (where / "chain").read_bytes() + (where / "key").read_bytes()


class Waiting(unittest.TestCase):
    """What an operator does with a queue that cannot get rid of anything."""

    def setUp(self):
        self.peer = Liar()
        self.reply = LATER_REPLY
        self.peer.always = {"MAIL": self.say}
        self.addCleanup(self.peer.close)

    def say(self, peer) -> bytes:
        reply = self.reply  # a test changes it
        peer.sendall(reply)
        return reply

    async def filled(self, sender: Sender) -> list[int]:
        for user in ("ann", "bob", "kim"):
            await sender.queue.send(PAT, [f"{user}@there.test"], MESSAGE)
        await sender.queue.send("", ["far@off.test"], MESSAGE)
        await sender.until(lambda: sender.queue.stat(c.MAILSRV_QUEUE_STAT_DEFERRED) >= 2)
        return [item.queue for item in await sender.items()]

    def sender(self) -> Sender:
        return Sender(ports={"there.test": self.peer.port, "off.test": self.peer.port}, first_retry_s=10_000)

    @in_loop
    async def test_lists(self):
        async with self.sender() as sender:
            numbers = await self.filled(sender)
            self.assertEqual(len(set(numbers)), 4)
            items = await sender.items()
            self.assertEqual([item.recipient for item in items],
                             [b"ann@there.test", b"bob@there.test", b"kim@there.test", b"far@off.test"])
            self.assertEqual([item.reverse_path for item in items], [PAT.encode()] * 3 + [b""])
            self.assertTrue(all(item.octets >= len(MESSAGE) and item.arrived_us for item in items))
            self.assertEqual([item.lane for item in await sender.items("off.test")], [b"off.test"])

    @in_loop
    async def test_pages(self):
        async with self.sender() as sender:
            to = [f"k{i}@there.test" for i in range(450)]
            await sender.queue.send(PAT, to, MESSAGE)
            self.assertEqual([item.recipient.decode() for item in await sender.items()], to)

    @in_loop
    async def test_control(self):
        async with self.sender() as sender:
            numbers = await self.filled(sender)
            control = sender.queue.control
            self.assertEqual(await control(c.MAILSRV_QUEUE_HOLD, queues=numbers[:1] + [12345]), 1)
            self.assertEqual(await control(c.MAILSRV_QUEUE_HOLD, recipient="bob@there.test"), 1)
            held = [item.queue for item in await sender.items() if item.flags & c.MAILSRV_QUEUED_HELD]
            self.assertEqual(held, numbers[:2])
            self.assertEqual(await control(c.MAILSRV_QUEUE_DROP, reverse_path="<>"), 1)
            self.assertEqual(await control(c.MAILSRV_QUEUE_DROP, flags=c.MAILSRV_QUEUED_HELD, queues=numbers[:1]), 1)
            self.assertEqual([item.queue for item in await sender.items()], numbers[1:3])
            self.reply = OK
            self.assertEqual(await control(c.MAILSRV_QUEUE_RELEASE), 1)
            await control(c.MAILSRV_QUEUE_RETRY, lane="there.test")
            await sender.told(c.MAILSRV_EVENT_SENT, 2)
            await sender.emptied()
            self.assertEqual(await control(c.MAILSRV_QUEUE_DROP), 0)
            with self.assertRaises(Error) as wrong:
                control(99)
            self.assertEqual(wrong.exception.status, Status.E_USAGE)
        self.assertEqual(sorted(one for taken in self.peer.taken for one in taken.to), [b"bob@there.test", b"kim@there.test"])

    @in_loop
    async def test_another_route(self):
        other = Liar()
        self.addCleanup(other.close)
        async with self.sender() as sender:
            sender.ports = sender.ports | {"other": other.port}
            await self.filled(sender)
            self.assertEqual(await sender.queue.control(c.MAILSRV_QUEUE_REROUTE, route="other", lane="there.test"), 3)
            await sender.told(c.MAILSRV_EVENT_SENT, 3)
        self.assertEqual(sum(len(taken.to) for taken in other.taken), 3)


class Ends(unittest.TestCase):
    @in_loop
    async def test_it_outlives_the_program(self):
        """In a directory: what waits is sent by the next one."""
        peer = Liar()
        peer.always = {"greeting": HANGS_UP}
        self.addCleanup(peer.close)
        with tempfile.TemporaryDirectory() as where:
            for n in range(2):
                with DurableStore(where) as store:
                    async with Sender(store, ports={"there.test": peer.port}) as sender:
                        if n == 0:
                            await sender.queue.send(PAT, [KIM], MESSAGE)
                            await sender.told(c.MAILSRV_EVENT_DEFERRED)
                        peer.always = {}
                        self.assertEqual([item.recipient for item in await sender.items()], [KIM.encode()])
                        if n == 1:
                            self.assertEqual(await sender.queue.control(c.MAILSRV_QUEUE_RETRY), 1)
                            await sender.told(c.MAILSRV_EVENT_SENT)
        self.assertEqual(len(peer.taken), 1)

    @in_loop
    async def test_while_nobody_replies(self):
        """Neither a name server nor a peer keeps it from ending, and what waits still does."""
        async def reach(op):
            await asyncio.Event().wait()

        for names, kind in (({"there.test": {"wrong": {"*": "silent"}}}, Kind.DNS), (zone("there.test"), Kind.CONNECT)):
            with MemoryStore() as store:
                async with Sender(store, ports={"there.test": 1}, names=names) as sender:
                    sender.server.out.reach = reach
                    await sender.queue.send(PAT, [KIM], MESSAGE)
                    await sender.until(lambda: any(op.kind == kind for op in sender.server.engine.open.values()))
                    await asyncio.sleep(0)
                    self.assertEqual(len(sender.server.out.tasks), 1)
                self.assertTrue(sender.queue.is_closed)
                async with Sender(store, ports={"there.test": 1}, names={}) as sender:
                    self.assertEqual(len(await sender.items()), 1)

    @in_loop
    async def test_closed_and_asked(self):
        async with Sender(ports={"there.test": 1}) as sender:
            await sender.queue.close()
            await sender.queue.close()
            for call in (lambda: sender.queue.send(PAT, [KIM], MESSAGE), lambda: sender.queue.stat(1),
                         lambda: sender.queue.control(c.MAILSRV_QUEUE_DROP)):
                with self.assertRaises(Error) as wrong:
                    call()
                self.assertEqual(wrong.exception.status, Status.E_CLOSED)

    @in_loop
    async def test_what_was_asked_is_told(self):
        """The store never answers, and the end comes: nobody waits for ever."""
        async def never(op):
            await asyncio.Event().wait()

        with MemoryStore() as store:
            async with Sender(store, ports={"there.test": 1}, handlers={Kind.BODY_COMMIT: never}) as sender:
                sender.server.grace_s = 0
                sent = sender.queue.send(PAT, [KIM], MESSAGE)
                await sender.until(lambda: any(op.kind == Kind.BODY_COMMIT for op in sender.server.engine.open.values()))
            with self.assertRaises(Error):
                await sent


class Wrong(unittest.TestCase):
    @in_loop
    async def test_what_is_none(self):
        async with Sender(ports={"there.test": 1}) as sender:
            for path, to, message in (("no address", [KIM], MESSAGE), (PAT, ["<>"], MESSAGE), (PAT, [KIM], b"a\nb\r\n")):
                with self.assertRaises(Error) as wrong:
                    sender.queue.send(path, to, message)
                self.assertEqual(wrong.exception.status, Status.E_VALUE)
            with self.assertRaises(TypeError):
                sender.queue.send(PAT, [{"addres": b"kim@there.test"}], MESSAGE)
            with self.assertRaises(Error) as wrong:
                sender.queue.send(PAT, [], MESSAGE)
            self.assertEqual(wrong.exception.status, Status.E_USAGE)
            self.assertEqual(await sender.items(), [])

    @in_loop
    async def test_settings(self):
        with MemoryStore() as store:
            async with Server(store) as server:
                for settings in ({}, {"hostname": "here.test", "expire": 1}, {"hostname": "here.test", "dns": "localhost"},
                                 {"hostname": "here.test", "own": ["here.test"]}):
                    with self.assertRaises((Error, TypeError, ValueError)):
                        server.queue(**settings)
        async with Server(on_message=print) as server:
            with self.assertRaises(Error) as wrong:
                server.queue(hostname="here.test")
            self.assertEqual(wrong.exception.status, Status.CANNOT)

    @in_loop
    async def test_a_second_one(self):
        """It is refused, and the first one goes on by its own name servers and connections."""
        peer = Liar()
        self.addCleanup(peer.close)
        async with Sender(ports={"there.test": peer.port}) as sender:
            with self.assertRaises(Error) as wrong:
                sender.server.queue(hostname="other.test", dns=lambda op: {"message": b""})
            self.assertEqual(wrong.exception.status, Status.INUSE)
            await sender.queue.send(PAT, [KIM], MESSAGE)
            await sender.told(c.MAILSRV_EVENT_SENT)
        self.assertEqual(len(peer.taken), 1)

    @in_loop
    async def test_the_store_is_full(self):
        def full(op):
            raise Refused(Status.FULL)

        async with Sender(ports={"there.test": 1}, handlers={Kind.BODY_COMMIT: full}) as sender:
            with self.assertRaises(Error) as wrong:
                await sender.queue.send(PAT, [KIM], MESSAGE)
            self.assertEqual(wrong.exception.status, Status.FULL)


class Names(unittest.TestCase):
    """The resolver against a name server that is not always kind."""

    async def ask(self, name: str, *servers: NameServer, skips: tuple = ()) -> bytes:
        """`skips`: of the first server, how often it was asked when time is put forward."""
        where = ",".join(f"127.0.0.1:{server.port}" for server in servers)
        resolver = Resolver(where, timeout_s=HANG_S, tries=2)
        skipping = asyncio.create_task(self.skip(servers[0], skips))
        try:
            return (await resolver(SimpleNamespace(arg=SimpleNamespace(name=name.encode(), type=15))))["message"]
        finally:
            await skipping

    async def skip(self, server: NameServer, skips: tuple) -> None:
        for n in skips:
            while len(server.asked) < n:
                await asyncio.sleep(0)
            asyncio.get_running_loop().skipped += 10 * HANG_S

    @in_loop
    async def test_over_udp_and_tcp(self):
        many = {"MX": [f"{i} mx{i}.there.test" for i in range(60)]}
        for entry in ({"MX": ["10 mx"]}, {"MX": ["10 mx"], "wrong": {"MX": "truncate"}}, many):
            with NameServer({"there.test": entry}) as names:
                message = await self.ask("there.test", names)
                self.assertEqual(message[6:8], len(entry["MX"]).to_bytes(2, "big"))

    @in_loop
    async def test_the_next_server_knows(self):
        good = {"MX": ["10 mx"]}
        for wrong, skips in (("servfail", ()), ("refused", ()), ("silent", (1,)), ("other", (1,)), ("junk", (1,)),
                             ("mute", (2,))):
            with self.subTest(wrong), NameServer({"there.test": good | {"wrong": {"MX": wrong}}}) as bad, \
                    NameServer({"there.test": good}) as names:
                message = await self.ask("there.test", bad, names, skips=skips)
                self.assertEqual((message[3] & 15, message[7]), (0, 1))

    @in_loop
    async def test_nobody_knows(self):
        with NameServer({"there.test": {"wrong": {"*": "silent"}}, "a.test": {"wrong": {"*": "servfail"}}}) as names:
            with self.assertRaises(Refused) as wrong:
                await self.ask("there.test", names, skips=(1, 2))
            self.assertEqual((wrong.exception.status, len(names.asked)), (Status.TEMP, 2))
            self.assertEqual((await self.ask("a.test", names))[3] & 15, 2)
            self.assertEqual((await self.ask("none.test", names))[3] & 15, 3)
            for name in ("a..test", "a" * 64 + ".test", "a.test." * 40):
                with self.assertRaises(Refused):
                    await self.ask(name, names)

    def test_servers(self):
        self.assertEqual(Resolver("127.0.0.1, [::1]:5353,127.0.0.2:54,::1").servers,
                         [("127.0.0.1", 53), ("::1", 5353), ("127.0.0.2", 54), ("::1", 53)])
        for wrong in ("localhost", "127.0.0.1:x", "127.0.0.1,,"):
            with self.assertRaises(ValueError):
                Resolver(wrong)


def carry(*ends: Session) -> None:
    """What each says to the other, until neither has more to say."""
    moved = True
    while moved:
        moved = False
        for one, other in (ends, ends[::-1]):
            while one.engine.turn():
                pass
            if (octets := one.output()) and other.wants & READ:
                one.sent(other.feed(octets))
                moved = True


class WithoutALoop(unittest.TestCase):
    def test_both_ends_in_memory(self):
        """A queue and a server, each on an engine of its own, and octets carried between them."""
        got, far, near, loop = [], Engine(), Engine(), asyncio.new_event_loop()
        self.addCleanup(loop.close)
        near.loop = loop
        far.inbox(lambda envelope, message: got.append(message))
        with MemoryStore() as store:
            near.bind(store)
            route = {"kind": c.MAILSRV_ROUTE_HOST, "host": b"[127.0.0.1]", "port": 2525}
            near.bind({Kind.ROUTE: lambda op: route, Kind.CONNECT: None})
            for engine in (far, near):
                engine.advance(0, time.time_ns() // 1000)
            queue = Queue(near, Profile("smtp_client", "client", hostname="mx.here.test"))
            sent = queue.send(PAT, [KIM], MESSAGE)
            near.turn()
            connect = near.next_op()
            self.assertEqual((connect.kind, connect.arg.port), (Kind.CONNECT, 2525))
            self.assertIsNone(sent.result())
            ends = [Session.out(connect, ("127.0.0.1", 2525)), Session(far, Profile("smtp", "mx", hostname="mx.there.test"))]
            carry(*ends)
            self.assertTrue(got[0].endswith(MESSAGE))
            with self.assertRaises(Error) as wrong:
                Session.out(connect)
            self.assertEqual(wrong.exception.status, Status.E_USAGE)
            closed = queue.close()
            carry(*ends)
            self.assertEqual([end.wants for end in ends], [CLOSE, CLOSE])
            for end in ends:
                end.free()
            while near.turn():
                pass
            self.assertIsNone(closed.result())
            for engine in (near, far):
                engine.free()


if __name__ == "__main__":
    tap.main()
