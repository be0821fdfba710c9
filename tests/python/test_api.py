"""The package without sockets: answers of every sort, and what must not happen whatever a handler does."""
import asyncio
import contextlib
import ctypes
import gc
import hashlib
import hmac
import logging
import re
import threading
import unittest
from base64 import b64decode, b64encode
from unittest import mock

import tap
from dict_store import DictStore
from mailsrv import LATER, Engine, Error, Kind, Profile, Refused, Secret, Session, Status, c, scram_keys, version
from mailsrv.crypto import TABLE
from mailsrv.status import check
from mailsrv.values import convert
from peer import LETTER, MESSAGE, MX, POP3, Peer, end

PAT = b"pat.............."[:16]


def here(op):
    return {"destinations": [{"kind": c.MAILSRV_TARGET_MAILBOX, "account": PAT}]}


class Case(unittest.TestCase):
    def setUp(self):
        self.engine = Engine()
        self.addCleanup(lambda: end(self.engine) if self.engine._pointer else None)

    @contextlib.contextmanager
    def logged(self, what: type[Exception]):
        """An exception of that class is logged inside, once."""
        with self.assertLogs("mailsrv", logging.ERROR) as log:
            yield
        self.assertEqual([record.exc_info[0] for record in log.records], [what])


class Counting(Case):
    def test_commands_are_counted_with_a_clock_of_the_hosts(self):
        times = iter(range(0, 1_000_000, 5))
        how = c.mailsrv_counting(size=ctypes.sizeof(c.mailsrv_counting))
        how.now_us = type(how.now_us)(lambda user: next(times))
        check(c.mailsrv_engine_count(self.engine.pointer, how))
        self.engine.serve(Kind.RESOLVE, lambda op: here(op))
        Peer(self.engine).say(b"NOOP", b"NOOP", b"NONSENSE")
        seen = {}
        for number in range(c.MAILSRV_TALLIES):
            tally = c.mailsrv_tally(size=ctypes.sizeof(c.mailsrv_tally))
            if c.mailsrv_engine_tally(self.engine.pointer, c.MAILSRV_FACE_MX, number, ctypes.byref(tally)) == c.MAILSRV_OK and tally.done:
                seen[tally.name] = (tally.done, tally.refused, tally.total_us)
                self.assertEqual(c.mailsrv_engine_tally_bucket(self.engine.pointer, c.MAILSRV_FACE_MX, number, 5), tally.done)
        self.assertEqual(seen, {b"NOOP": (2, 0, 10), b"?": (1, 1, 5)})
        self.assertEqual((c.mailsrv_bucket(5), c.mailsrv_bucket_limit(5)), (5, 6))


class Basics(unittest.TestCase):
    def test_version(self):
        self.assertEqual(version(), "{}.{}.{}".format(*divmod(c.MAILSRV_VERSION // 1000, 1000),
                                                      c.MAILSRV_VERSION % 1000))

    def test_no_such_name(self):
        self.assertRaises(AttributeError, getattr, c, "mailsrv_no_such_thing")

    def test_a_profile_says_what_is_wrong(self):
        with self.assertRaisesRegex(Error, "hostname") as caught:
            Profile("smtp", "mx")
        self.assertEqual(caught.exception.status, Status.E_VALUE)
        self.assertRaisesRegex(Error, "recipients_max: 1", Profile, "smtp", "mx", hostname="a.test", recipients_max=1)
        self.assertRaises(TypeError, Profile, "smtp", "mx", hostname="a.test", no_such_key=1)

    def test_a_profile_outlives_its_object(self):
        engine, profile = Engine(), Profile("smtp", "mx", hostname="passing.test", without=["chunking"])
        engine.bind({Kind.RESOLVE: here})
        engine.advance(0, 0)
        session = Session(engine, profile)
        session.profile = None
        del profile
        gc.collect()
        session.feed(b"EHLO a.test\r\n")
        engine.turn()
        self.assertIn(b"passing.test", session.output())
        self.assertNotIn(b"CHUNKING", session.output())
        end(engine)

    def test_what_was_freed_says_so(self):
        engine = Engine()
        engine.bind({Kind.RESOLVE: here})
        peer = Peer(engine)
        self.assertEqual(peer.session.info().octets_in, 0)
        self.assertRaises(Error, engine.free)  # a session lives
        peer.session.free()
        peer.session.free()
        self.assertRaisesRegex(Error, "E_CLOSED", peer.session.output)
        engine.free()
        self.assertRaisesRegex(Error, "E_CLOSED", engine.turn)


    def test_output_by_pieces(self):
        engine = Engine()
        engine.bind({Kind.RESOLVE: here})
        engine.advance(0, 0)
        session, heard = Session(engine, MX), b""
        session.feed(b"NOOP\r\n" * 40)
        engine.turn()
        while piece := session.output(100):
            self.assertLessEqual(len(piece), 100)
            self.assertEqual(session.output(100), piece)  # it was not told as sent
            session.sent(len(piece))
            heard += piece
        self.assertEqual(heard.count(b"\r\n250"), 40)
        end(engine)


class Inbox(Case):
    def deliver(self, on_message, **more):
        self.engine.inbox(on_message, **more)
        return Peer(self.engine).send()

    def test_a_message_comes_whole(self):
        seen = []
        self.assertTrue(self.deliver(lambda *args: seen.append(args)).startswith(b"250"))
        (envelope, message), = seen
        self.assertEqual(envelope.reverse_path, b"ann@remote.test")
        self.assertEqual(envelope.recipients, (b"pat@here.test",))
        self.assertGreater(envelope.session_id, 0)
        self.assertTrue(message.endswith(b"\r\n" + MESSAGE), message)
        self.assertTrue(message.startswith(b"Return-Path: <ann@remote.test>"))

    def test_what_it_returns_is_the_reply(self):
        for status, reply in ((Status.OK, b"250"), (None, b"250"), (Status.TEMP, b"451"), (-504, b"554"), (1, b"451")):
            with self.subTest(status):
                self.setUp()
                self.assertEqual(self.deliver(lambda envelope, message: status)[:3], reply)

    def test_refused(self):
        def refuse(envelope, message):
            raise Refused(Status.CANNOT)

        self.assertEqual(self.deliver(refuse)[:3], b"554")

    def test_an_exception_is_never_success(self):
        with self.logged(ZeroDivisionError):
            self.assertEqual(self.deliver(lambda envelope, message: 1 / 0)[:3], b"451")

    def test_nonsense_is_never_success(self):
        for nonsense in ("yes", 2**32, -7, [], b""):
            with self.subTest(nonsense), self.logged(ValueError):
                self.setUp()
                self.assertEqual(self.deliver(lambda envelope, message: nonsense)[:3], b"451")

    def test_an_interrupt_is_raised_behind_c(self):
        def interrupted(envelope, message):
            raise KeyboardInterrupt

        self.engine.inbox(interrupted)
        peer = Peer(self.engine)
        peer.begin()
        self.assertRaises(KeyboardInterrupt, peer.say, b".")
        self.assertEqual(peer.heard()[:3], b"451")

    def test_a_coroutine_is_refused_at_once(self):
        async def on_message(envelope, message):
            pass

        self.assertRaises(TypeError, self.engine.inbox, on_message)

    def test_more_than_there_is_room_for(self):
        self.engine.inbox(lambda *_: None, octets_max=10_000)
        self.assertEqual(Peer(self.engine).send(b"x" * 70 + b"\r\n" + b"y" * 900 * 100 + b"\r\n")[:3], b"452")


class Handlers(Case):
    """RESOLVE by Python, the bodies by mailsrv_inbox."""

    def resolve(self, handler) -> Peer:
        self.engine.inbox(lambda *_: None)
        self.engine.bind({Kind.RESOLVE: handler})
        peer = Peer(self.engine)
        peer.say(*LETTER[:2])
        return peer

    def rcpt(self, handler) -> bytes:
        return self.resolve(handler).say(LETTER[2])

    def test_now(self):
        seen = []
        self.assertEqual(self.rcpt(lambda op: seen.append(op) or here(op))[:3], b"250")
        self.assertEqual((seen[0].kind, seen[0].arg.address, seen[0].arg.local_part, seen[0].arg.domain),
                         (Kind.RESOLVE, b"pat@here.test", b"pat", b"here.test"))
        self.assertEqual(seen[0].arg.reverse_path, b"ann@remote.test")
        self.assertEqual(seen[0].session.peer, ("127.0.0.1", 4711))
        self.assertFalse(seen[0].is_open)

    def test_refused_with_a_text(self):
        def resolve(op):
            raise Refused(Status.NONEXISTENT, "no pat here")

        reply = self.rcpt(resolve)
        self.assertEqual(reply[:3], b"550")
        self.assertIn(b"no pat here", reply)

    def test_an_exception_is_temporary(self):
        with self.logged(ZeroDivisionError):
            self.assertEqual(self.rcpt(lambda op: 1 / 0)[:3], b"451")

    def test_a_wrong_answer_is_temporary(self):
        for answer, wrong in ((None, Error), ({}, Error), ({"no_such_field": 1}, TypeError), (7, AttributeError),
                              ({"destinations": [{"account": b"short"}]}, ValueError),
                              ({"destinations": [{"kind": "one"}]}, TypeError)):
            with self.subTest(answer), self.logged(wrong):
                self.setUp()
                self.assertEqual(self.rcpt(lambda op: answer)[:3], b"451")

    def test_a_wrong_refusal_is_temporary(self):
        for status, wrong in ((Status.OK, Error), ("no", TypeError)):
            def resolve(op):
                raise Refused(status)

            async def late(op):
                raise Refused(status)

            async def main():
                peer = self.resolve(late)
                self.assertEqual(peer.say(LETTER[2]), b"")
                await asyncio.wait(self.engine.tasks)
                return peer.heard()

            with self.subTest(status), self.logged(wrong):
                self.setUp()
                self.assertEqual(self.rcpt(resolve)[:3], b"451")
            with self.subTest(status), self.logged(wrong):
                self.setUp()
                self.assertEqual(asyncio.run(main())[:3], b"451")

    def test_an_interrupt_is_raised_behind_c(self):
        def interrupted(op):
            raise SystemExit(3)

        peer = self.resolve(interrupted)
        self.assertRaises(SystemExit, peer.say, LETTER[2])
        self.assertEqual(peer.heard()[:3], b"451")

    def test_later(self):
        asked = []
        peer = self.resolve(lambda op: asked.append(op) or LATER)
        self.assertEqual(peer.say(LETTER[2]), b"")
        self.assertTrue(asked[0].is_open)
        asked[0].answer(here(asked[0]))
        self.assertEqual(peer.heard()[:3], b"250")
        with self.assertRaises(Error) as caught:
            asked[0].refuse(Status.TEMP)
        self.assertEqual(caught.exception.status, Status.E_STALE)

    def test_who_answers_himself_may_return_none(self):
        with self.assertNoLogs("mailsrv"):
            self.assertEqual(self.rcpt(lambda op: op.refuse(Status.NOPERM))[:3], b"550")

    def test_a_question_that_cannot_be_read_is_answered(self):
        peer = self.resolve(here)
        with mock.patch("mailsrv.operation.read", side_effect=MemoryError), self.logged(MemoryError):
            self.assertEqual(peer.say(LETTER[2])[:3], b"451")

    def test_answered_and_then_failed(self):
        def resolve(op):
            op.answer(here(op))
            raise RuntimeError

        with self.logged(RuntimeError):
            self.assertEqual(self.rcpt(resolve)[:3], b"250")

    def test_another_thread_is_sent_back(self):
        asked, caught = [], []
        peer = self.resolve(lambda op: asked.append(op) or LATER)
        peer.say(LETTER[2])

        def elsewhere():
            for call in (lambda: asked[0].answer(here(asked[0])), self.engine.turn, peer.session.output,
                         peer.session.free, self.engine.free):
                try:
                    call()
                except Error as error:
                    caught.append(error.status)

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        self.assertEqual(caught, [Status.E_USAGE] * 5)
        asked[0].answer(here(asked[0]))
        self.assertEqual(peer.heard()[:3], b"250")

    def test_a_coroutine(self):
        async def resolve(op):
            await asyncio.sleep(0)
            if op.arg.local_part == b"kim":
                raise Refused(Status.NONEXISTENT)
            if op.arg.local_part == b"eve":
                raise OSError
            return here(op)

        async def main():
            peer = self.resolve(resolve)
            replies = []
            for who in (b"pat", b"kim", b"eve"):
                self.assertEqual(peer.say(b"RCPT TO:<" + who + b"@here.test>"), b"")
                await asyncio.wait(self.engine.tasks)
                replies.append(peer.heard()[:3])
            return replies

        with self.logged(OSError):
            self.assertEqual(asyncio.run(main()), [b"250", b"550", b"451"])
        self.assertEqual(self.engine.tasks, set())

    def test_a_coroutine_that_is_cancelled(self):
        async def main():
            peer = self.resolve(lambda op: asyncio.Event().wait())
            peer.say(LETTER[2])
            tasks = set(self.engine.tasks)
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            return peer.heard()[:3], [task.cancelled() for task in tasks]

        self.assertEqual(asyncio.run(main()), (b"451", [True]))

    def test_a_coroutine_without_a_loop(self):
        async def resolve(op):
            return here(op)

        with self.logged(RuntimeError):
            self.assertEqual(self.rcpt(resolve)[:3], b"451")

    def test_pulled(self):
        peer = self.resolve(None)
        self.assertIsNone(self.engine.next_op())
        self.assertEqual(peer.say(LETTER[2]), b"")
        op = self.engine.next_op()
        self.assertEqual(op.arg.address, b"pat@here.test")
        self.assertIsNone(self.engine.next_op())
        op.answer(here(op))
        self.assertEqual(peer.heard()[:3], b"250")

    def test_not_inside(self):
        caught = []

        def resolve(op):
            try:
                self.engine.turn()
            except Error as error:
                caught.append(error.status)
            return here(op)

        self.assertEqual(self.rcpt(resolve)[:3], b"250")
        self.assertEqual(caught, [Status.E_USAGE])

    def test_the_session_has_gone(self):
        asked = []
        peer = self.resolve(lambda op: asked.append(op) or LATER)
        peer.say(LETTER[2])
        peer.session.free()
        with self.assertRaises(Error) as caught:
            self.engine.free()
        self.assertEqual(caught.exception.status, Status.E_BUSY)
        asked[0].answer(here(asked[0]))
        self.engine.free()

    def test_abandoned(self):
        asked = []
        peer = self.resolve(lambda op: asked.append(op) or LATER)
        peer.say(LETTER[2])
        peer.session.free()
        self.engine.free(abandon=True)
        self.assertFalse(asked[0].is_open)
        with self.assertRaises(Error) as caught:
            asked[0].answer(here(asked[0]))
        self.assertEqual(caught.exception.status, Status.E_CLOSED)

    def test_notices(self):
        seen, asked = [], []
        self.engine.bind({Kind.CANCEL: lambda op: seen.append((op.id, op.arg.kind, op.arg.id))})
        peer = self.resolve(lambda op: asked.append(op) or LATER)
        peer.say(LETTER[2])
        peer.session.free()
        self.engine.turn()
        self.assertEqual(seen, [(0, Kind.RESOLVE, asked[0].id)])
        asked[0].refuse(Status.TEMP)

    def test_a_notice_that_fails(self):
        asked = []
        self.engine.bind({Kind.CANCEL: lambda op: 1 / 0})
        peer = self.resolve(lambda op: asked.append(op) or LATER)
        peer.say(LETTER[2])
        peer.session.free()
        with self.logged(ZeroDivisionError):
            self.engine.turn()
        asked[0].refuse(Status.TEMP)

    def test_after_the_first_session(self):
        self.rcpt(here)
        self.assertRaisesRegex(Error, "E_USAGE", self.engine.serve, Kind.RESOLVE, here)

    def test_events_and_statistics(self):
        self.resolve(here)
        self.assertEqual(self.engine.stat(c.MAILSRV_STAT_SESSIONS), 1)
        self.assertIn(c.MAILSRV_EVENT_SESSION_BEGAN, [event.what for event in self.engine.events()])
        self.assertEqual(list(self.engine.events()), [])


class Scram(Case):
    """A login by SCRAM (RFC 5802), with Python's own hashes on both sides."""

    def login(self, hash: str, number: int, password: str) -> bytes:
        keys = scram_keys("secret", hash=number)
        self.engine.bind(DictStore({"pat": ("secret", "pat@here.test")}))
        self.engine.serve(Kind.AUTH_SCRAM_KEYS, lambda op: self.asked.append(op.arg) or {"account": PAT, **keys})
        peer = Peer(self.engine, POP3)
        mechanism = f"SCRAM-SHA-{hash[3:]}".encode()
        self.assertIn(mechanism, peer.say(b"CAPA"))
        first = b64decode(peer.say(b"AUTH " + mechanism + b" " + b64encode(b"n,,n=pat,r=abc"))[2:])
        salt, iterations = re.fullmatch(rb"r=abc.+,s=(.+),i=(\d+)", first).groups()
        salted = hashlib.pbkdf2_hmac(hash, password.encode(), b64decode(salt), int(iterations))
        client = hmac.digest(salted, b"Client Key", hash)
        final = b"c=biws," + first.partition(b",")[0]
        signed = b",".join([b"n=pat,r=abc", first, final])
        signature = hmac.digest(hashlib.new(hash, client).digest(), signed, hash)
        proof = bytes(a ^ b for a, b in zip(client, signature))
        said = peer.say(b64encode(final + b",p=" + b64encode(proof)))
        if said.startswith(b"+ "):
            server = hmac.digest(hmac.digest(salted, b"Server Key", hash), signed, hash)
            self.assertEqual(b64decode(said[2:]), b"v=" + b64encode(server))
            said = peer.say(b"")
        return said

    def setUp(self):
        super().setUp()
        self.asked = []

    def test_it_lets_in(self):
        said = self.login("sha256", c.MAILSRV_HASH_SHA256, "secret")
        self.assertFalse(said.startswith(b"-ERR [AUTH]"), said)
        self.assertEqual((self.asked[0].user, self.asked[0].mechanism, self.asked[0].service),
                         (b"pat", b"SCRAM-SHA-256", b"pop"))

    def test_with_sha1(self):
        self.assertFalse(self.login("sha1", c.MAILSRV_HASH_SHA1, "secret").startswith(b"-ERR [AUTH]"))

    def test_a_wrong_password(self):
        self.assertTrue(self.login("sha256", c.MAILSRV_HASH_SHA256, "Secret").startswith(b"-ERR [AUTH]"))

    def test_without_crypto_it_is_not_offered(self):
        engine = Engine(crypto=None)
        engine.bind(DictStore({"pat": ("secret", "pat@here.test")}))
        engine.serve(Kind.AUTH_SCRAM_KEYS, lambda op: None)
        self.assertNotIn(b"SCRAM", Peer(engine, POP3).say(b"CAPA"))
        end(engine)

    @staticmethod
    def keys_of_the_library(password: str) -> tuple[bytes, bytes]:
        keep = []
        text, salt = (convert(c.mailsrv_bytes, octets, keep) for octets in (password.encode(), b"salt"))
        stored, server = (ctypes.c_uint8 * 32)(), (ctypes.c_uint8 * 32)()
        check(c.mailsrv_scram_keys(ctypes.byref(TABLE), c.MAILSRV_HASH_SHA256, ctypes.byref(text), ctypes.byref(salt),
                                   4096, stored, server))
        return bytes(stored), bytes(server)

    def test_the_keys_are_those_of_the_library(self):
        for password in ("secret", "a\u00a0b", "a\u00adb", "a\u200bb", "p\u00e4ss", "\U0001f511"):
            with self.subTest(password):
                keys = scram_keys(password, salt=b"salt")
                self.assertEqual((keys["stored_key"], keys["server_key"]), self.keys_of_the_library(password))

    def test_passwords_are_prepared(self):
        """RFC 4013 section 3; a client may send any of these forms."""
        for password, same in (("I\u00adX", "IX"), ("\u00aa", "a"), ("\u2168", "IX"), ("pa\u0308ss", "p\u00e4ss")):
            self.assertEqual(scram_keys(password, salt=b"salt"), scram_keys(same, salt=b"salt"))
        for password in ("\u0007", "a\ufffd", "\ue000"):
            self.assertRaises(ValueError, scram_keys, password)
            self.assertRaises(Error, self.keys_of_the_library, password)


class Passwords(Case):
    def login(self, handler) -> bytes:
        self.engine.bind(DictStore({"pat": ("secret", "pat@here.test")}))
        self.engine.serve(Kind.AUTH_VERIFY, handler)
        peer = Peer(self.engine, POP3)
        peer.say(b"USER pat")
        return peer.say(b"PASS secret")

    def test_it_is_wiped_when_it_was_answered(self):
        seen = []

        def verify(op):
            seen.append((op.arg.password, bytes(op.arg.password), repr(op.arg), str(op.arg.password), op))
            raise Refused(Status.DENIED)

        self.assertTrue(self.login(verify).startswith(b"-ERR [AUTH]"))
        password, then, shown, text, op = seen[0]
        self.assertIsInstance(password, Secret)
        self.assertEqual(then, b"secret")
        self.assertEqual(password, bytes(6))
        for what in (shown, text, repr(op), repr(op.arg), f"{op.arg.password}"):
            self.assertNotIn("secret", what)

    def test_it_is_wiped_when_it_was_not(self):
        asked = []
        self.assertEqual(self.login(lambda op: asked.append(op) or LATER), b"")
        self.assertEqual(asked[0].arg.password, b"secret")
        for session in list(self.engine.sessions.values()):
            session.free()
        self.engine.free(abandon=True)
        self.assertEqual(asked[0].arg.password, bytes(6))

    def test_it_is_in_no_log(self):
        def verify(op):
            raise RuntimeError("cannot look it up")

        with self.assertLogs("mailsrv", logging.ERROR) as log:
            self.assertTrue(self.login(verify).startswith(b"-ERR [SYS/TEMP]"))
        self.assertNotIn("secret", "\n".join(log.output))


if __name__ == "__main__":
    tap.main()
