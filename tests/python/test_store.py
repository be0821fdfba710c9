"""Stores, those in Python and the one in memory; what is lent; and that nothing is left behind."""
import ctypes
import gc
import random
import unittest
import weakref

import tap
from dict_store import DictStore
from mailsrv import LATER, Engine, Error, Kind, MemoryStore, Status, c, kit
from peer import LETTER, MESSAGE, MX, POP3, Peer, end

ACCOUNTS = [kit.Account("pat@here.test", "pat", "secret"), kit.Account("kim@here.test", "kim", "hush")]
RECEIVE = c.MAILSRV_KIT_RECEIVE | c.MAILSRV_KIT_ATOMIC | c.MAILSRV_KIT_READS_STAGED
WHOLE = RECEIVE | c.MAILSRV_KIT_POP3 | c.MAILSRV_KIT_LOCKS | c.MAILSRV_KIT_STRUCTURE


def make(kind: type = DictStore):
    return kind({account.user: (account.password, account.address) for account in ACCOUNTS})


class Late(DictStore):
    """Answers when it is driven, the last question first."""

    def bind(self, engine):
        self.asked = []
        for kind in Kind:
            if handler := getattr(self, kind.name.lower(), None):
                engine.serve(kind, lambda op, handler=handler: self.asked.append((op, handler)) or LATER)

    def drive(self):
        if not self.asked:
            return False
        op, handler = self.asked.pop()
        with op.engine._answering(op):
            op.engine._finish(op, handler(op))
        return True


class Forgetful(DictStore):
    """Loses the last octet of what it is given."""

    def body_write(self, op):
        self.handles[op.arg.body] += op.arg.octets[:-1]


class Broken(DictStore):
    def body_begin(self, op):
        raise OSError("the disk is gone")


class Receiver(DictStore):
    """The tier Receive alone."""

    def bind(self, engine):
        kinds = Kind.RESOLVE, Kind.BODY_BEGIN, Kind.BODY_WRITE, Kind.BODY_COMMIT, Kind.BODY_CLOSE
        engine.bind({kind: getattr(self, kind.name.lower()) for kind in kinds})


class Endless(DictStore):
    def free(self):
        raise OSError("the disk is gone")


class Kit(unittest.TestCase):
    def of(self, kind: type, covers: int = WHOLE, **more) -> dict[str, str]:
        outcomes = kit.run(lambda: make(kind), covers, ACCOUNTS, "nobody@here.test",
                           handles=lambda store: len(store.handles), **more)
        return {outcome.check: outcome.outcome for outcome in outcomes}

    def test_a_store_in_python(self):
        outcomes = self.of(DictStore)
        self.assertEqual([check for check, outcome in outcomes.items() if outcome == "failed"], [])
        self.assertGreater(list(outcomes.values()).count("passed"), 45)

    def test_a_store_that_answers_late(self):
        outcomes = self.of(Late, drive=lambda store: store.drive())
        self.assertEqual([check for check, outcome in outcomes.items() if outcome == "failed"], [])
        self.assertGreater(list(outcomes.values()).count("passed"), 45)

    def test_a_store_that_only_receives(self):
        self.assertNotIn("failed", self.of(Receiver, RECEIVE).values())

    def test_a_store_that_forgets_is_found(self):
        check = "a commit gives the whole message"
        self.assertEqual(self.of(DictStore, only=check)[check], "passed")
        self.assertEqual(self.of(Forgetful, only=check)[check], "failed")

    def test_a_store_that_fails_is_found(self):
        with self.assertLogs("mailsrv"):
            self.assertEqual(self.of(Broken, only="features are told"), {"features are told": "failed"})

    def test_what_fails_no_check_fails_the_run(self):
        with self.assertLogs("mailsrv"), self.assertRaises(OSError):
            self.of(Endless, only="features are told")

    def test_what_cannot_be_made_fails(self):
        def nothing():
            raise OSError("there is no room for a store")

        with self.assertLogs("mailsrv"):
            outcomes = kit.run(nothing, WHOLE, ACCOUNTS, "nobody@here.test")
        self.assertNotIn("passed", {outcome.outcome for outcome in outcomes})
        self.assertIn("failed", {outcome.outcome for outcome in outcomes})

    def test_the_names_of_all_checks(self):
        self.assertEqual(set(self.of(DictStore)), set(kit.checks()))
        self.assertRaises(Error, self.of, DictStore, only="no such check")


def fetch(engine: Engine, user: bytes = b"pat", password: bytes = b"secret", number: int = 1) -> bytes:
    peer = Peer(engine, POP3)
    peer.say(b"USER " + user)
    assert peer.say(b"PASS " + password).startswith(b"+OK")
    reply = peer.say(b"RETR %d" % number)
    assert reply.startswith(b"+OK") and peer.say(b"QUIT").startswith(b"+OK")
    lines = reply.split(b"\r\n")[1:-2]
    return b"".join(line.removeprefix(b".") + b"\r\n" for line in lines)


class Whole(unittest.TestCase):
    """In by SMTP and out by POP3."""

    def setUp(self):
        self.engine = Engine()
        self.addCleanup(lambda: end(self.engine) if self.engine._pointer else None)

    def test_by_a_store_in_python(self):
        self.engine.bind(store := make())
        self.assertEqual(Peer(self.engine).send()[:3], b"250")
        self.assertTrue(fetch(self.engine).endswith(b"\r\n" + MESSAGE))
        end(self.engine)
        self.assertEqual(store.handles, {})

    def test_big_messages(self):
        big = b"".join(b"%06d %s\r\n" % (i, b"x" * (i % 70)) for i in range(20_000))
        self.engine.bind(store := make())
        self.assertEqual(Peer(self.engine).send(big)[:3], b"250")
        self.assertTrue(fetch(self.engine).endswith(b"\r\n" + big))
        end(self.engine)
        self.assertEqual((store.handles, self.engine.lent), ({}, {}))

    def test_by_the_store_in_memory(self):
        with MemoryStore(epoch=7) as store:
            pat = store.add_account("pat", "secret", "pat@here.test", "postmaster@here.test")
            kim = store.add_account("kim", b"hush")
            store.add_address("both@here.test", pat, kim)
            self.engine.bind(store)
            self.assertEqual(Peer(self.engine).send()[:3], b"250")
            peer = Peer(self.engine)
            for line in (b"EHLO a.test", b"MAIL FROM:<>", b"RCPT TO:<both@here.test>", b"DATA"):
                peer.say(line)
            self.assertEqual(peer.say(b"", b"twice", b".")[:3], b"250")
            self.assertEqual([len(store.messages(account)) for account in (pat, kim)], [2, 1])
            self.assertEqual(fetch(self.engine), store.messages(pat)[0])
            self.assertTrue(fetch(self.engine, b"kim", b"hush").endswith(b"\r\n\r\ntwice\r\n"))
            store.append(kim, MESSAGE)
            self.assertEqual(fetch(self.engine, b"kim", b"hush", 2), MESSAGE)
            self.assertEqual(store.stat(c.MAILSRV_MEMORY_STAT_MESSAGES), 4)
            store.set("quota", 1, pat)
            self.assertEqual(Peer(self.engine).send()[:9], b"452 4.2.2")
            with self.assertRaises(Error) as caught:
                store.free()
            self.assertEqual(caught.exception.status, Status.E_BUSY)
            end(self.engine)
        self.assertRaisesRegex(Error, "E_CLOSED", store.messages, pat)

    def test_wrong_words_to_the_store_in_memory(self):
        self.assertRaises(KeyError, MemoryStore, no_such_knob=1)
        with MemoryStore() as store:
            store.add_account("pat", "secret")
            self.assertRaisesRegex(Error, "ALREADYEXISTS", store.add_account, "pat", "other")
            self.assertRaisesRegex(Error, "NONEXISTENT", store.add_address, "x@here.test", bytes(16))
            self.assertRaises(ValueError, store.messages, b"short")

    def test_handlers_over_a_store(self):
        with MemoryStore() as store:
            pat = store.add_account("pat", "secret", "pat@here.test")
            self.engine.bind(store)
            self.engine.bind({Kind.AUTH_VERIFY: lambda op: {"account": pat} if op.arg.password == b"other" else 1 / 0})
            store.append(pat, MESSAGE)
            self.assertEqual(fetch(self.engine, b"anybody", b"other"), MESSAGE)
            end(self.engine)


class Lending(unittest.TestCase):
    OCTETS = random.Random(1).randbytes(3000).hex().encode() * 3 + b"\r\n"

    def setUp(self):
        self.engine = Engine()
        self.addCleanup(lambda: end(self.engine) if self.engine._pointer else None)

    def retr(self, give) -> Peer:
        """A peer that has asked for the message, whose READs `give` answers, and has heard nothing yet."""
        store = make()
        self.engine.bind(store)
        self.engine.serve(Kind.READ, lambda op: {"octets": give(self.OCTETS, op.arg)})
        self.assertEqual(Peer(self.engine).send()[:3], b"250")
        message, = store.users[b"pat"].messages.values()
        message.octets = self.OCTETS
        peer = Peer(self.engine, POP3)
        peer.say(b"USER pat"), peer.say(b"PASS secret")
        self.assertEqual(peer.session.feed(b"RETR 1\r\n"), 8)
        while self.engine.turn():
            pass
        return peer

    def test_many_octets_are_lent_until_they_are_sent(self):
        peer = self.retr(lambda octets, arg: octets[arg.offset:arg.offset + arg.octets])
        self.assertNotEqual(self.engine.lent, {})
        gc.collect()
        self.assertIn(self.OCTETS, peer.heard())
        self.assertEqual(self.engine.lent, {})

    def test_what_can_change_is_copied(self):
        given = []

        def give(octets, arg):
            given.append(bytearray(octets[arg.offset:arg.offset + arg.octets]))
            return given[-1] if len(given) % 2 else memoryview(given[-1])

        peer = self.retr(give)
        for octets in given:
            octets[:] = bytes(len(octets))
        self.assertIn(self.OCTETS, peer.heard())

    def test_few_octets_are_not_lent(self):
        peer = self.retr(lambda octets, arg: octets[arg.offset:arg.offset + min(arg.octets, 100)])
        self.assertEqual(self.engine.lent, {})
        self.assertIn(self.OCTETS, peer.heard())

    def test_they_come_back_when_the_answer_is_none(self):
        """More than was asked for: the answer is refused, and nobody waits for a release."""
        with self.assertLogs("mailsrv"):
            peer = self.retr(lambda octets, arg: octets.ljust(arg.octets + 1))
        self.assertEqual(self.engine.lent, {})
        self.assertTrue(peer.heard().startswith(b"-ERR [SYS/TEMP]"))

    def test_they_come_back_when_the_session_goes(self):
        peer = self.retr(lambda octets, arg: octets[arg.offset:arg.offset + arg.octets])
        self.assertNotEqual(self.engine.lent, {})
        peer.session.free()
        end(self.engine)
        self.assertEqual(self.engine.lent, {})

    def test_they_come_back_when_all_is_abandoned(self):
        self.retr(lambda octets, arg: octets[arg.offset:arg.offset + arg.octets])
        self.assertNotEqual(self.engine.lent, {})
        for session in list(self.engine.sessions.values()):
            session.free()
        self.engine.free(abandon=True)
        self.assertEqual(self.engine.lent, {})


class Counting:
    """An allocator that counts what is out."""

    def __init__(self):
        self.libc = ctypes.CDLL(None)
        self.libc.malloc.restype, self.libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
        self.libc.free.restype, self.libc.free.argtypes = None, [ctypes.c_void_p]
        self.octets = self.blocks = self.asked = 0
        alloc, release = getattr(c, "mailsrv_allocator.alloc"), getattr(c, "mailsrv_allocator.release")
        self.made = c.mailsrv_allocator(alloc=alloc(self.alloc), release=release(self.release))

    def alloc(self, user, n):
        self.octets, self.blocks, self.asked = self.octets + n, self.blocks + 1, self.asked + 1
        return self.libc.malloc(n)

    def release(self, user, p, n):
        self.octets, self.blocks = self.octets - n, self.blocks - 1
        self.libc.free(p)


class Remains(unittest.TestCase):
    """After the end nothing is left, in C or in Python."""

    def setUp(self):
        self.counting = Counting()
        self.engine = Engine(allocator=self.counting.made)

    def tearDown(self):
        self.assertEqual((self.counting.octets, self.counting.blocks), (0, 0))
        self.assertGreater(self.counting.asked, 0)
        self.assertEqual((self.engine.open, self.engine.lent, self.engine.sessions, self.engine.tasks),
                         ({}, {}, {}, set()))
        gone = weakref.ref(self.engine)
        self.engine = None
        gc.collect()
        self.assertIsNone(gone())

    def test_an_idle_engine(self):
        self.engine.free()

    def test_sessions_and_messages(self):
        self.engine.bind(make())
        for _ in range(3):
            Peer(self.engine).send()
            fetch(self.engine)
        end(self.engine)

    def test_handlers(self):
        def resolve(op):
            raise AssertionError

        self.engine.bind({Kind.RESOLVE: resolve})
        there = weakref.ref(resolve)
        del resolve
        gc.collect()
        self.assertIsNotNone(there())
        self.engine.free()
        gc.collect()
        self.assertIsNone(there())

    def test_an_inbox(self):
        self.engine.inbox(lambda *_: Status.OK)
        Peer(self.engine).send()
        Peer(self.engine).begin()
        end(self.engine)

    def test_what_is_owed_and_abandoned(self):
        self.engine.bind(store := make(Late))
        peer = Peer(self.engine)
        peer.say(*LETTER[:3])
        self.assertEqual(len(store.asked), 1)
        peer.session.free()
        self.engine.free(abandon=True)

    def test_a_profile_that_cannot_be_served(self):
        for profile in (MX, POP3):
            peer = Peer(self.engine, profile)
            peer.say(b"QUIT")
        end(self.engine)


if __name__ == "__main__":
    tap.main()
