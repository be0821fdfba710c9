"""A password check that is a function of Python's; exceptions as statuses; stores on a thread; TLS."""
import asyncio
import errno
import logging
import subprocess
import tempfile
import threading
import unittest
from pathlib import Path
from types import SimpleNamespace

import tap
from dict_store import DictStore
from mailsrv import (TLS, BlockingStore, Engine, Error, Kind, Profile, Refused, Secret, Server, Status, c, logins,
                     scram_keys)
from mailsrv.status import status_of
from peer import POP3, Peer, end

HANG_S = 120  # a guard; nothing that works takes so long
PAT = bytes(range(16))


class Logins(unittest.TestCase):
    def setUp(self):
        self.engine = Engine()
        self.engine.loop = asyncio.new_event_loop()
        self.addCleanup(self.engine.loop.close)
        self.addCleanup(end, self.engine)
        store = DictStore({"pat": ("", "pat@here.test")})
        store.by_id = dict.fromkeys([PAT], store.users[b"pat"])
        self.engine.bind(store)

    def login(self, check, user: bytes = b"pat", password: bytes = b"secret") -> bytes:
        self.engine.bind(logins(check))
        peer = Peer(self.engine, POP3)
        peer.say(b"USER " + user)
        heard = peer.say(b"PASS " + password)
        while tasks := {task for task in self.engine.tasks if not task.done()}:
            self.engine.loop.run_until_complete(asyncio.wait(tasks))
            heard += peer.heard()
        return heard

    def test_a_function(self):
        asked = []
        self.assertTrue(self.login(lambda *given: asked.append((given[0], bytes(given[1]))) or PAT).startswith(b"+OK"))
        self.assertEqual(asked, [("pat", b"secret")])

    def test_a_coroutine(self):
        async def check(user, password):
            await asyncio.sleep(0)
            return PAT if password == b"secret" else None

        self.assertTrue(self.login(check).startswith(b"+OK"))

    def test_a_coroutine_that_finds_nothing(self):
        async def check(user, password):
            return None

        self.assertTrue(self.login(check).startswith(b"-ERR [AUTH]"))

    def test_nothing_is_denied(self):
        self.assertTrue(self.login(lambda user, password: None).startswith(b"-ERR [AUTH]"))

    def test_what_is_no_text_is_denied(self):
        op = SimpleNamespace(arg=SimpleNamespace(user=b"p\xe4t", password=Secret(b"secret")))
        with self.assertRaises(Refused) as caught:
            logins(lambda user, password: PAT)[Kind.AUTH_VERIFY](op)
        self.assertEqual(caught.exception.status, Status.DENIED)

    def test_a_mistake_lets_nobody_in(self):
        async def late(user, password):
            raise OSError("the directory is away")

        for check in (lambda user, password: True, lambda user, password: b"", lambda user: PAT, late,
                      lambda user, password: 1 / 0):
            with self.subTest(check), self.assertLogs("mailsrv", logging.ERROR):
                self.setUp()
                self.assertTrue(self.login(check).startswith(b"-ERR [SYS/TEMP]"))

    def test_a_password_does_not_stay(self):
        kept = []

        async def check(user, password):
            kept.append(password)
            await asyncio.sleep(0)
            return PAT if bytes(password) == b"secret" else None

        self.assertTrue(self.login(check).startswith(b"+OK"))
        self.assertEqual((type(kept[0]), bytes(kept[0])), (Secret, bytes(6)))

    def test_who_has_no_keys_offers_no_scram(self):
        self.engine.bind(logins(lambda user, password: None))
        self.assertNotIn(b"SCRAM", Peer(self.engine, POP3).say(b"CAPA"))

    def test_keys(self):
        asked = []

        def keys(user, number):
            asked.append((user, number))
            return scram_keys("secret", hash=number) | {"account": PAT}

        self.engine.bind(logins(lambda user, password: None, keys))
        peer = Peer(self.engine, POP3)
        self.assertIn(b"SCRAM-SHA-256", peer.say(b"CAPA"))
        self.assertTrue(peer.say(b"AUTH SCRAM-SHA-256 biwsbj1wYXQscj1hYmNkZWZnaA==").startswith(b"+ cj1hYmNkZWZna"))
        self.assertEqual(asked, [("pat", c.MAILSRV_HASH_SHA256)])

    def test_keys_that_come_late(self):
        async def keys(user, number):
            await asyncio.sleep(0)
            return scram_keys("secret", hash=number) | {"account": PAT}

        self.engine.bind(logins(lambda user, password: None, keys))
        peer = Peer(self.engine, POP3)
        self.assertEqual(peer.say(b"AUTH SCRAM-SHA-256 biwsbj1wYXQscj1hYmNkZWZnaA=="), b"")
        self.engine.loop.run_until_complete(asyncio.wait(self.engine.tasks))
        self.assertTrue(peer.heard().startswith(b"+ cj1hYmNkZWZna"))

    def test_no_keys(self):
        """He is led on, and hears at the end what a wrong password hears."""
        self.engine.bind(logins(lambda user, password: None, lambda user, number: None))
        peer = Peer(self.engine, POP3)
        self.assertTrue(peer.say(b"AUTH SCRAM-SHA-256 biwsbj1wYXQscj1hYmNkZWZnaA==").startswith(b"+ "))


class Exceptions(unittest.TestCase):
    def test_statuses(self):
        for wrong, status in ((OSError(errno.ENOSPC, ""), Status.FULL), (OSError(errno.EDQUOT, ""), Status.FULL),
                              (OSError(errno.EIO, ""), Status.TEMP), (MemoryError(), Status.NOMEM),
                              (ValueError(), Status.TEMP), (asyncio.CancelledError(), Status.TEMP)):
            self.assertEqual(status_of(wrong), status)

    def test_a_full_disk(self):
        engine = Engine()

        def begin(op):
            raise OSError(errno.ENOSPC, "no space is left")

        engine.bind(DictStore({"pat": ("", "pat@here.test")}))
        engine.bind({Kind.BODY_BEGIN: begin})
        with self.assertLogs("mailsrv", logging.ERROR):
            self.assertEqual(Peer(engine).send()[:9], b"452 4.3.1")
        end(engine)


class Slow(DictStore, BlockingStore):
    """DictStore, with its methods on a thread."""

    handler = BlockingStore.handler

    def __init__(self, accounts):
        DictStore.__init__(self, accounts)
        BlockingStore.__init__(self)
        self.threads, self.begun, self.go = set(), threading.Event(), threading.Event()

    def body_commit(self, op):
        self.threads.add(threading.get_ident())
        self.begun.set()
        self.go.wait(HANG_S)
        return super().body_commit(op)


class Threads(unittest.TestCase):
    def test_the_loop_goes_on_meanwhile(self):
        async def main(store):
            async with Server(store) as server:
                port = await server.smtp("127.0.0.1", 0, hostname="here.test")
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                await reader.readline()
                for line, reply in ((b"HELO a.test", b"250"), (b"MAIL FROM:<>", b"250"),
                                    (b"RCPT TO:<pat@here.test>", b"250"), (b"DATA", b"354")):
                    writer.write(line + b"\r\n")
                    self.assertEqual((await reader.readline())[:3], reply)
                writer.write(b"\r\nhello\r\n.\r\n")
                await asyncio.to_thread(store.begun.wait, HANG_S)
                other, second = await asyncio.open_connection("127.0.0.1", port)
                await other.readline()
                second.write(b"NOOP\r\n")
                self.assertEqual((await other.readline())[:3], b"250")  # the commit has not ended
                call = asyncio.create_task(store.call(lambda: len(store.users[b"pat"].messages)))
                store.go.set()
                self.assertEqual((await reader.readline())[:3], b"250")
                self.assertEqual(await call, 1)  # it had its turn behind the commit
                for each in (writer, second):
                    each.close()

        with Slow({"pat": ("", "pat@here.test")}) as store:
            asyncio.run(main(store))
        self.assertEqual(len(store.threads), 1)
        self.assertNotIn(threading.get_ident(), store.threads)
        self.assertEqual(store.handles, {})


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as where:
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                            "-days", "2", "-subj", "/CN=here.test", "-keyout", f"{where}/key", "-out", f"{where}/cert"],
                           check=True, capture_output=True)
            cls.cert, cls.key = (Path(where, name).read_bytes() for name in ("cert", "key"))

    def test_what_cannot_be_used(self):
        self.assertRaisesRegex(Error, "certificate 1: expected", TLS, (b"nothing", self.key))
        self.assertRaisesRegex(Error, "certificate 2: expected", TLS, (self.cert, self.key), (self.cert, b"nothing"))
        self.assertRaises(Error, TLS)

    def test_a_profile_offers_it(self):
        """Also when the object that it was made with has gone."""
        old = TLS((self.cert, self.key))
        profile = Profile("smtp", "mx", hostname="here.test", tls_by=TLS((self.cert, self.key), tickets_of=old))
        del old
        engine = Engine()
        engine.bind({Kind.RESOLVE: lambda op: None})
        peer = Peer(engine, profile)
        self.assertIn(b"STARTTLS", peer.say(b"EHLO a.test"))
        self.assertTrue(peer.say(b"STARTTLS").startswith(b"220"))
        self.assertIsNone(peer.session.tls())
        self.assertEqual(peer.session.wants & c.MAILSRV_WANT_TLS_SERVER, 0)  # the host is not asked to do it
        end(engine)


class Notify(unittest.TestCase):
    def test_a_poke(self):
        engine = Engine()
        engine.notify()
        engine.notify(PAT, 7)
        self.assertRaises(ValueError, engine.notify, b"short")
        engine.free()


if __name__ == "__main__":
    tap.main()
