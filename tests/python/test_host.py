"""The host in asyncio, over sockets of 127.0.0.1.  No test waits for a clock: what has to time out skips it."""
import asyncio
import faulthandler
import functools
import logging
import os
import re
import signal
import smtplib
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

import tap
from dict_store import DictStore
from mailsrv import LATER, Connection, Error, Kind, MemoryStore, Profile, Refused, Server, Status, c
from mailsrv.session import peer_of
from peer import LETTER, MESSAGE

PYTHON = Path(__file__).resolve().parents[2] / "bindings" / "python"
HANG_S = 120  # a guard; nothing that works takes so long


class Loop(asyncio.SelectorEventLoop):
    """Its clock can be put forward."""

    skipped = 0

    def time(self) -> float:
        return super().time() + self.skipped


def in_loop(test):
    """Runs a test in a loop of its own, which must be left without tasks and without complaints."""

    @functools.wraps(test)
    def run(self):
        wrong = []

        async def guarded():
            asyncio.get_running_loop().set_exception_handler(lambda loop, context: wrong.append(context))
            await test(self)
            self.assertEqual(asyncio.all_tasks() - {asyncio.current_task()}, set())

        faulthandler.dump_traceback_later(HANG_S, exit=True)
        with asyncio.Runner(loop_factory=Loop) as runner:
            runner.run(guarded())
        faulthandler.cancel_dump_traceback_later()
        self.assertEqual(wrong, [])

    return run


def hears_of_interrupts() -> None:
    """In a process that begins: a shell has what it runs in the background ignore them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Client:
    @classmethod
    async def of(cls, port: int) -> "Client":
        self = cls()
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
        self.greeting = await self.reply()
        return self

    async def reply(self) -> bytes:
        """The last line of the next one."""
        while (line := await self.reader.readline())[3:4] == b"-":
            pass
        return line

    async def ask(self, line: bytes) -> bytes:
        self.writer.write(line + b"\r\n")
        return await self.reply()

    async def send(self, to: bytes = b"pat@here.test") -> bytes:
        for line in (b"EHLO a.test", b"MAIL FROM:<ann@remote.test>", b"RCPT TO:<" + to + b">", b"DATA"):
            reply = await self.ask(line)
        return await self.ask(MESSAGE.replace(b"\n.", b"\n..") + b".") if reply.startswith(b"354") else reply

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            pass


def store():
    return DictStore({"pat": ("secret", "pat@here.test"), "kim": ("hush", "kim@here.test")})


class Serving(unittest.TestCase):
    @in_loop
    async def test_a_message(self):
        seen = []
        async with Server(on_message=lambda envelope, message: seen.append(message)) as server:
            client = await Client.of(await server.smtp("127.0.0.1", 0, hostname="mx.here.test"))
            self.assertIn(b"mx.here.test", client.greeting)
            self.assertEqual((await client.send())[:3], b"250")
            self.assertEqual((await client.ask(b"QUIT"))[:3], b"221")
            self.assertEqual(await client.reader.read(), b"")
            await client.close()
        self.assertTrue(seen[0].endswith(MESSAGE))
        self.assertIn(b"[127.0.0.1]", seen[0])

    @in_loop
    async def test_one_profile_for_each_port(self):
        async with Server(on_message=lambda *_: None) as server:
            ports = [await listen("127.0.0.1", 0, hostname=name) for listen, name in
                     ((server.smtp, "a.test"), (server.lmtp, "b.test"))]
            clients = [await Client.of(port) for port in ports]
            self.assertIn(b"a.test", clients[0].greeting)
            self.assertEqual((await clients[1].ask(b"LHLO x.test"))[:3], b"250")
            for client in clients:
                await client.close()

    @in_loop
    async def test_in_and_out_of_the_store_in_memory(self):
        with MemoryStore() as memory:
            memory.add_account("pat", "secret", "pat@here.test")
            async with Server(memory) as server:
                smtp = await Client.of(await server.smtp("127.0.0.1", 0, hostname="here.test"))
                pop3 = await Client.of(await server.pop3("127.0.0.1", 0, hostname="here.test", plain_passwords=1))
                self.assertEqual((await smtp.send())[:3], b"250")
                for line in (b"USER pat", b"PASS secret", b"RETR 1"):
                    self.assertTrue((await pop3.ask(line)).startswith(b"+OK"))
                got = await pop3.reader.readuntil(b"\r\n.\r\n")
                self.assertTrue(got.replace(b"\n..", b"\n.").endswith(MESSAGE + b".\r\n"))
                for client in (smtp, pop3):
                    await client.close()

    @in_loop
    async def test_every_answer_late(self):
        class Slow(DictStore):
            def bind(self, engine):
                def late(handler):
                    async def answer(op):
                        await asyncio.sleep(0)
                        return handler(op)

                    return answer

                for kind in Kind:
                    if handler := getattr(self, kind.name.lower(), None):
                        engine.serve(kind, late(handler))

        slow = Slow({"pat": ("secret", "pat@here.test")})
        async with Server(slow) as server:
            port = await server.smtp("127.0.0.1", 0, hostname="here.test")
            for _ in range(3):
                client = await Client.of(port)
                self.assertEqual((await client.send())[:3], b"250")
                await client.close()
        self.assertEqual(len(slow.users[b"pat"].messages), 3)
        self.assertEqual(slow.handles, {})

    @in_loop
    async def test_an_answer_from_a_thread(self):
        threads = []

        def commit(op):
            loop = asyncio.get_running_loop()
            answer = functools.partial(op.answer, {"results": [{"uid": 1}]})
            threads.append(threading.Thread(target=loop.call_soon_threadsafe, args=(answer,)))
            threads[-1].start()
            return LATER

        async with Server(store(), {Kind.BODY_COMMIT: commit}) as server:
            client = await Client.of(await server.smtp("127.0.0.1", 0, hostname="here.test"))
            self.assertEqual((await client.send())[:3], b"250")
            await client.close()
        threads[0].join()

    @in_loop
    async def test_a_refusal(self):
        async def resolve(op):
            raise Refused(Status.NONEXISTENT, "nobody of that name")

        async with Server(store(), {Kind.RESOLVE: resolve}) as server:
            client = await Client.of(await server.smtp("127.0.0.1", 0, hostname="here.test"))
            for line in LETTER[:2]:
                await client.ask(line)
            reply = await client.ask(LETTER[2])
            self.assertEqual((reply[:3], b"nobody of that name" in reply), (b"550", True))
            await client.close()


class Flow(unittest.TestCase):
    @staticmethod
    def buffers(octets: int, *transports: asyncio.Transport) -> None:
        for transport in transports:
            for buffer in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, buffer, octets)

    async def deaf(self, server: Server):
        """A client that has stopped reading and sends until nothing more is taken; how much; the host's side of it."""
        client = await Client.of(await server.smtp("127.0.0.1", 0, hostname="here.test"))
        connection, = server.connections
        self.buffers(4096, connection.transport, client.writer.transport)
        client.writer.transport.pause_reading()
        sent = 0
        while server.due or connection.transport.is_reading():  # until nothing is left to do but to wait for him
            client.writer.write(b"NOOP\r\n" * 1000)
            sent += 1000
            await asyncio.sleep(0)
        return client, sent, connection

    @in_loop
    async def test_a_peer_that_does_not_read(self):
        """He is not read from either, little is kept for him, and he gets all of it later."""
        async with Server(on_message=lambda *_: None) as server:
            client, sent, connection = await self.deaf(server)
            self.assertGreater(connection.unsent, 0)
            self.assertLessEqual(connection.transport.get_write_buffer_size(), 65536)
            self.assertLess(len(connection.kept), 1 << 20)
            self.assertLess(connection.session.info().octets_in, sent * 6)
            self.buffers(1 << 20, connection.transport, client.writer.transport)  # the rest need not take that long
            client.writer.transport.resume_reading()
            for _ in range(sent):
                self.assertEqual((await client.reply())[:3], b"250")
            self.assertEqual((connection.full, connection.unsent), (False, 0))
            await client.close()

    @in_loop
    async def test_a_half_close(self):
        seen = []
        async with Server(on_message=lambda envelope, message: seen.append(message)) as server:
            client = await Client.of(await server.smtp("127.0.0.1", 0, hostname="here.test"))
            for line in LETTER:
                await client.ask(line)
            client.writer.write(MESSAGE.replace(b"\n.", b"\n..") + b".\r\n" + b"NOOP\r\n" * 500)
            client.writer.write_eof()
            replies = (await client.reader.read()).splitlines()
            self.assertEqual([reply[:3] for reply in replies[:501]], [b"250"] * 501)
            await client.close()
        self.assertEqual(len(seen), 1)

    @in_loop
    async def test_a_reset(self):
        async with Server(on_message=lambda *_: None) as server:
            client = await Client.of(await server.smtp("127.0.0.1", 0, hostname="here.test"))
            client.writer.transport.abort()
            self.assertTrue(await server.until(lambda: not server.connections))
            self.assertEqual(server.engine.sessions, {})

    @in_loop
    async def test_a_silent_peer_times_out(self):
        loop = asyncio.get_running_loop()
        async with Server(on_message=lambda *_: None) as server:
            client = await Client.of(await server.smtp("127.0.0.1", 0, hostname="here.test"))
            loop.skipped += 299
            self.assertEqual((await client.ask(b"NOOP"))[:3], b"250")
            loop.skipped += 299
            self.assertEqual((await client.ask(b"NOOP"))[:3], b"250")
            loop.skipped += 301
            self.assertEqual((await client.reply())[:3], b"421")
            self.assertEqual(await client.reader.read(), b"")
            await client.close()

    @in_loop
    async def test_a_peer_that_never_reads_times_out(self):
        loop = asyncio.get_running_loop()
        async with Server(on_message=lambda *_: None) as server:
            client, _, _ = await self.deaf(server)
            server.run()  # from here on his time counts
            loop.skipped += 301
            self.assertTrue(await server.until(lambda: not server.connections))
            client.writer.transport.abort()

    @in_loop
    async def test_no_room_for_another_session(self):
        async with Server(on_message=lambda *_: None, memory_max=128 << 10) as server:
            port = await server.smtp("127.0.0.1", 0, hostname="here.test")
            clients = []
            while not clients or clients[-1].greeting.startswith(b"220"):
                clients.append(await Client.of(port))
                self.assertLess(len(clients), 2000)
            self.assertIn(clients[-1].greeting[:3], (b"421", b""))
            for client in clients:
                await client.close()

    def test_peers(self):
        for peer, octets, port in (("", 0, 0), (None, 0, 0), (("127.0.0.1", 25), 4, 25),
                                   (("fe80::1%eth0", 26, 0, 2), 16, 26)):
            self.assertEqual((peer_of(peer).address_octets, peer_of(peer).port), (octets, port))
        self.assertEqual(bytes(peer_of(("127.0.0.1", 1)).address)[:4], b"\x7f\0\0\1")


class Wire:
    """A transport whose system takes only so many octets."""

    def __init__(self, room: int = 0):
        self.room, self.taken, self.buffer, self.ended, self.reading = room, b"", b"", "", True

    def get_extra_info(self, name):
        return None

    def set_write_buffer_limits(self, high):
        assert high == 0

    def write(self, octets: bytes):
        assert not self.buffer and not self.ended
        self.taken, self.buffer = self.taken + octets[:self.room], octets[self.room:]
        self.room -= min(self.room, len(octets))
        if self.buffer:
            self.protocol.pause_writing()

    def take(self):
        self.taken, self.buffer = self.taken + self.buffer, b""
        self.protocol.resume_writing()

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True

    def close(self):
        self.ended = self.ended or "closed"

    def abort(self):
        self.ended = self.ended or "aborted"

    @classmethod
    async def of(cls, server: Server, room: int = 0) -> "Wire":
        wire = cls(room)
        wire.protocol = Connection(server, Profile("smtp", "mx", hostname="here.test"))
        wire.protocol.connection_made(wire)
        await server.until(lambda: server.due is None)
        return wire


class ByHand(unittest.TestCase):
    @in_loop
    async def test_what_is_not_wanted_is_kept(self):
        lines = [b"VRFY <%d@here.test>" % i for i in range(500)] + [b"QUIT", b"EHLO a.test"]
        async with Server(on_message=lambda *_: None) as server:
            wire = await Wire.of(server, 1 << 20)
            octets = b"\r\n".join(lines)
            for i in range(0, len(octets), 2000):  # also what comes after it was asked to wait
                wire.protocol.data_received(octets[i:i + 2000])
            self.assertFalse(wire.reading)
            self.assertTrue(wire.protocol.eof_received())
            await server.until(lambda: wire.ended)
            self.assertEqual([reply[:3] for reply in wire.taken.splitlines()], [b"220"] + [b"252"] * 500 + [b"221"])
            wire.protocol.connection_lost(None)

    @in_loop
    async def test_what_the_system_has_not_is_not_sent(self):
        async with Server(on_message=lambda *_: None) as server:
            wire = await Wire.of(server, 5)
            sent = lambda: wire.protocol.session.info().octets_out
            self.assertEqual((sent(), wire.protocol.unsent), (0, 5 + len(wire.buffer)))
            wire.protocol.data_received(b"NOOP\r\nQUIT\r\n")
            server.run()
            self.assertEqual((sent(), wire.ended), (0, ""))
            wire.room = 1 << 20
            wire.take()
            self.assertEqual((sent(), wire.protocol.unsent), (len(wire.taken), 0))
            self.assertEqual([reply[:3] for reply in wire.taken.splitlines()], [b"220", b"250", b"221"])
            self.assertEqual(wire.ended, "closed")
            wire.protocol.connection_lost(None)

    @in_loop
    async def test_who_takes_nothing_is_cut_off(self):
        async with Server(on_message=lambda *_: None) as server:
            wire = await Wire.of(server)
            asyncio.get_running_loop().skipped += 301
            await server.until(lambda: wire.ended)
            self.assertEqual(wire.ended, "aborted")  # or it would wait for him for ever
            wire.protocol.connection_lost(None)

    @in_loop
    async def test_what_was_fed_is_forgotten(self):
        async with Server(on_message=lambda *_: None) as server:
            wire = await Wire.of(server, 1 << 20)
            wire.protocol.data_received(b"NOOP\r\nNO")
            self.assertEqual(wire.protocol.kept, b"")
            wire.protocol.connection_lost(None)


class Ends(unittest.TestCase):
    @in_loop
    async def test_idle_sessions_are_told(self):
        async with Server(on_message=lambda *_: None) as server:
            client = await Client.of(await server.smtp("127.0.0.1", 0, hostname="here.test"))
        self.assertEqual((await client.reply())[:3], b"421")
        self.assertRaisesRegex(Error, "E_CLOSED", server.engine.turn)
        await client.close()

    @in_loop
    async def test_who_takes_long_is_cut_off(self):
        keeping = store()
        async with Server(keeping, grace_s=0) as server:
            client = await Client.of(await server.smtp("127.0.0.1", 0, hostname="here.test"))
            for line in LETTER:
                await client.ask(line)
            client.writer.write(b"the beginning of a message\r\n")
        self.assertEqual(keeping.handles, {})
        await client.close()

    @in_loop
    async def test_who_ends_in_time_is_waited_for(self):
        finish, keeping = asyncio.Event(), store()

        async def commit(op):
            await finish.wait()
            return keeping.body_commit(op)

        async with Server(keeping, {Kind.BODY_COMMIT: commit}, grace_s=HANG_S) as server:
            client = await Client.of(await server.smtp("127.0.0.1", 0, hostname="here.test"))
            sending = asyncio.create_task(client.send())
            await server.until(lambda: any(op.kind == Kind.BODY_COMMIT for op in server.engine.open.values()))
            asyncio.get_running_loop().call_later(0.01, finish.set)
        self.assertEqual((await sending)[:3], b"250")
        await client.close()

    @in_loop
    async def test_coroutines_are_cancelled(self):
        cancelled = []

        async def resolve(op):
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.append(op)

        async with Server(store(), {Kind.RESOLVE: resolve}, grace_s=0) as server:
            client = await Client.of(await server.smtp("127.0.0.1", 0, hostname="here.test"))
            for line in LETTER[:2]:
                await client.ask(line)
            client.writer.write(LETTER[2] + b"\r\n")
            await server.until(lambda: server.engine.tasks)
        self.assertEqual(len(cancelled), 1)
        self.assertEqual(server.engine.tasks, set())
        await client.close()

    @in_loop
    async def test_what_is_never_answered_is_abandoned(self):
        asked = []
        async with Server(store(), {Kind.RESOLVE: lambda op: asked.append(op) or LATER}, grace_s=0) as server:
            client = await Client.of(await server.smtp("127.0.0.1", 0, hostname="here.test"))
            for line in LETTER[:2]:
                await client.ask(line)
            client.writer.write(LETTER[2] + b"\r\n")
            await server.until(lambda: asked)
        self.assertFalse(asked[0].is_open)
        await client.close()

    @in_loop
    async def test_nobody_new(self):
        async with Server(on_message=lambda *_: None) as server:
            port = await server.smtp("127.0.0.1", 0, hostname="here.test")
        with self.assertRaises(ConnectionRefusedError):
            await Client.of(port)

    @in_loop
    async def test_again(self):
        server = Server(on_message=lambda *_: None)
        for _ in range(2):
            async with server:
                client = await Client.of(await server.smtp("127.0.0.1", 0, hostname="here.test"))
                self.assertEqual((await client.send())[:3], b"250")
                await client.close()

    @in_loop
    async def test_a_beginning_that_fails(self):
        for wrong in (Server(42), Server({999: None}), Server(on_message=self.test_again.__wrapped__)):
            with self.assertRaises((AttributeError, Error, TypeError)):
                async with wrong:
                    self.fail("it has begun")
            self.assertRaisesRegex(Error, "E_CLOSED", wrong.engine.turn)
        async with Server(on_message=lambda *_: None) as server:
            port = await server.smtp("127.0.0.1", 0, hostname="here.test")
            with self.assertRaises(OSError):
                await server.smtp("127.0.0.1", port, hostname="here.test")

    @in_loop
    async def test_cancelled_while_it_serves(self):
        async def main():
            async with Server(on_message=lambda *_: None) as server:
                begun.set_result(server)
                await server.serve_forever()

        begun = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(main())
        server = await begun
        task.cancel()
        await asyncio.wait([task])
        self.assertTrue(task.cancelled())
        self.assertRaisesRegex(Error, "E_CLOSED", server.engine.turn)

    @in_loop
    async def test_events(self):
        events = []
        async with Server(on_message=lambda *_: None, on_event=events.append) as server:
            client = await Client.of(await server.smtp("127.0.0.1", 0, hostname="here.test"))
            await client.send()
            await client.close()
        what = [event.what for event in events]
        for event in (c.MAILSRV_EVENT_SESSION_BEGAN, c.MAILSRV_EVENT_MESSAGE_ACCEPTED, c.MAILSRV_EVENT_SESSION_ENDED):
            self.assertIn(event, what)


class Programs(unittest.TestCase):
    def run_python(self, *argv: object, **env: str) -> subprocess.CompletedProcess:
        return subprocess.run([sys.executable, *map(str, argv)], env=os.environ | env, capture_output=True, text=True,
                              timeout=HANG_S)

    def test_receive(self):
        with subprocess.Popen([sys.executable, PYTHON / "examples/receive.py", "0"], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, preexec_fn=hears_of_interrupts) as process:
            port = int(re.fullmatch(rb"smtp 127\.0\.0\.1:(\d+)\n", process.stdout.readline())[1])
            with smtplib.SMTP("127.0.0.1", port, timeout=HANG_S) as client:
                client.sendmail("ann@remote.test", ["pat@here.test", "kim@here.test"], MESSAGE)
            process.send_signal(signal.SIGINT)
            said = process.stdout.read()
        self.assertTrue(said.startswith(b"ann@remote.test to pat@here.test kim@here.test\n"), said)
        self.assertTrue(said.endswith(MESSAGE), said)

    def test_it_is_about_twenty_lines(self):
        self.assertLessEqual(len((PYTHON / "examples/receive.py").read_text().splitlines()), 25)

    def test_without_symbols(self):
        done = self.run_python("-c", "import mailsrv", MAILSRV_SYMBOLS="/nowhere/symbols.csv")
        self.assertIn("/nowhere/symbols.csv", done.stderr)
        self.assertNotEqual(done.returncode, 0)

    def test_without_a_library(self):
        done = self.run_python("-c", "import mailsrv", MAILSRV_LIBRARY="/nowhere/libmailserver.so")
        self.assertIn("/nowhere", done.stderr)
        self.assertNotEqual(done.returncode, 0)

    def test_installed(self):
        """The package, symbols.csv and the library alone, each where it is installed; no store is there."""
        library = Path(os.environ["MAILSRV_LIBRARY"])
        with tempfile.TemporaryDirectory() as where:
            site, lib = Path(where) / "site", Path(where) / "lib"
            site.mkdir()
            lib.mkdir()
            for source, target in ((PYTHON / "mailsrv", site), (library.resolve(), lib / "libmailserver.so.1"),
                                   (PYTHON.parents[1] / "docs/symbols.csv", site / "mailsrv")):
                subprocess.run(["cp", "-r", source, target], check=True)
            env = {"PYTHONPATH": str(site), "LD_LIBRARY_PATH": str(lib), "MAILSRV_LIBRARY": "", "MAILSRV_SYMBOLS": ""}
            done = self.run_python("-c", "import mailsrv; print(mailsrv.__file__, mailsrv.c.symbols, mailsrv.version())\n"
                                   "mailsrv.MemoryStore()", **env)
            self.assertIn(f"{site}/mailsrv/__init__.py {site}/mailsrv/symbols.csv", done.stdout)
            self.assertIn("OSError: libmailserver-memory.so.1", done.stderr)


if __name__ == "__main__":
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    tap.main()
