"""Structs to Python's terms and back, also those of an older or a newer library."""
import ctypes
import unittest

import tap
from mailsrv import Record, Secret, c
from mailsrv.values import copy_of, fill, read

TARGET = ctypes.sizeof(c.mailsrv_target)


def octets(text: bytes):
    made = c.mailsrv_bytes(ctypes.cast(ctypes.c_char_p(text), ctypes.c_void_p).value, len(text))
    made.keep = text
    return made


class Reading(unittest.TestCase):
    def test_octets_are_not_ended_by_nul(self):
        self.assertEqual(read(octets(b"a\0b")), b"a\0b")
        self.assertEqual(read(c.mailsrv_bytes()), b"")

    def test_ids_cursors_and_runs(self):
        self.assertEqual(read(c.mailsrv_id((ctypes.c_uint8 * 16)(*range(16)))), bytes(range(16)))
        self.assertEqual(read(c.mailsrv_cursor()), bytes(32))
        self.assertEqual(read(c.mailsrv_run(7, 9)), range(7, 10))
        self.assertEqual(len(read(c.mailsrv_run(1, 2**32 - 1))), 2**32 - 1)

    def test_arrays(self):
        runs = (c.mailsrv_run * 2)((1, 1), (5, 2**32 - 1))
        got = read(c.mailsrv_arg_expunge(mbox=4, uids=runs, n_uids=2))
        self.assertEqual(got, Record(only_deleted=0, mbox=4, mailbox=bytes(16),
                                     uids=(range(1, 2), range(5, 2**32))))
        numbers = (ctypes.c_uint64 * 2)(3, 2**64 - 1)
        self.assertEqual(read(c.mailsrv_arg_queue_delete(n=2, queues=numbers)).queues, (3, 2**64 - 1))
        self.assertEqual(read(c.mailsrv_arg_queue_delete()).queues, ())

    def commit(self, stride: int):
        """A COMMIT with two targets of a library whose struct has `stride` octets."""
        room = (ctypes.c_uint8 * (2 * stride))(*b"\xaa" * (2 * stride))
        words = [octets(b"\\one"), octets(b"two")]
        keywords = (c.mailsrv_bytes * 2)(*words)
        for i in range(2):
            target = c.mailsrv_target(uid=i + 7, body_index=i, prefix=octets(b"P: %d\r\n" % i), keywords=keywords,
                                      n_keywords=2)
            ctypes.memmove(ctypes.addressof(room) + i * stride, ctypes.addressof(target), min(stride, TARGET))
        pointer = ctypes.cast(room, ctypes.POINTER(c.mailsrv_target))
        return read(c.mailsrv_arg_body_commit(n_targets=2, target_stride=stride, targets=pointer)).targets

    def test_structs_of_a_newer_library(self):
        targets = self.commit(TARGET + 24)
        self.assertEqual([(t.uid, t.body_index, t.keywords) for t in targets],
                         [(7, 0, (b"\\one", b"two")), (8, 1, (b"\\one", b"two"))])

    def test_structs_of_an_older_library(self):
        targets = self.commit(c.mailsrv_target.uid.offset)
        self.assertEqual([(t.uid, t.uidl, t.keywords) for t in targets], [(0, b"", (b"\\one", b"two"))] * 2)
        room = (ctypes.c_uint8 * 64)(*b"\xaa" * 64)
        self.assertEqual(copy_of(c.mailsrv_arg_read, ctypes.addressof(room), 8).mbox, 0)

    def test_numbers(self):
        self.assertEqual(read(c.mailsrv_row(keywords=(ctypes.c_uint64 * 2)(1, 2**63))).keywords, (1, 2**63))
        self.assertEqual(read(c.mailsrv_tls_setup(ticket_s=3)).ticket_s, 3)  # it points to another, and is no array

    def test_secrets(self):
        arg = read(c.mailsrv_arg_auth_verify(user=octets(b"pat"), password=octets(b"a\0b")))
        self.assertEqual((arg.user, arg.password, type(arg.password)), (b"pat", b"a\0b", Secret))
        arg.password.wipe()
        self.assertEqual(arg.password, bytes(3))
        self.assertEqual(read(c.mailsrv_arg_auth_verify()).password, b"")


class Filling(unittest.TestCase):
    def test_sizes_counts_and_strides(self):
        rows = fill(c.mailsrv_rows, {"rows": [{"uid": 1}, {"uid": 9, "uidl": b"x" * 70}], "next": bytes(range(32))}, [])
        self.assertEqual((rows.size, rows.n, rows.stride, rows.more),
                         (ctypes.sizeof(c.mailsrv_rows), 2, ctypes.sizeof(c.mailsrv_row), 0))
        self.assertEqual(read(rows).rows[1].uidl, b"x" * 70)
        self.assertEqual(read(rows).next, bytes(range(32)))

    def test_what_is_read_can_be_filled_in(self):
        value = {"status": -400, "uid": 4, "modseq": 2**63, "email": bytes(range(16)), "text": b"no"}
        committed = read(fill(c.mailsrv_committed, {"results": [value]}, []))
        self.assertEqual(vars(committed.results[0]), {"uidvalidity": 0, "queue": 0} | value)

    def test_each_array_has_its_own_stride(self):
        value = {"rows": [{"uid": 3}, {"uid": 4}], "vanished": [{"first": 1, "last": 2}], "keywords": [b"one", b"two"],
                 "entries": [{"name": b"INBOX"}, {"name": b"a/b", "attributes": c.MAILSRV_NAME_SENT}]}
        changes = read(fill(c.mailsrv_changes, value, []))
        self.assertEqual([row.uid for row in changes.rows], [3, 4])
        self.assertEqual((changes.vanished, changes.keywords), ((range(1, 3),), (b"one", b"two")))
        self.assertEqual([(e.name, e.attributes) for e in changes.entries], [(b"INBOX", 0), (b"a/b", 64)])
        listed = read(fill(c.mailsrv_mbox_listed, {"entries": value["entries"], "more": 1}, []))
        self.assertEqual(([e.name for e in listed.entries], listed.more), ([b"INBOX", b"a/b"], 1))

    def test_numbers(self):
        self.assertEqual(list(fill(c.mailsrv_row, {"keywords": (1, 2**64 - 1)}, []).keywords), [1, 2**64 - 1])
        for numbers in ((1,), (1, 2, 3), (1, 2**64), (1, -1)):
            self.assertRaises(ValueError, fill, c.mailsrv_row, {"keywords": numbers}, [])

    def test_octets_of_every_sort(self):
        for text in (b"abc", bytearray(b"abc"), memoryview(b"xabc")[1:]):
            keep = []
            self.assertEqual(read(fill(c.mailsrv_read_bytes, {"octets": text}, keep)).octets, b"abc")
            self.assertEqual(keep, [b"abc"])

    def test_what_is_wrong(self):
        for fields, wrong in (({"octet": b""}, TypeError), ({"octets": "text"}, TypeError), ({"octets": 3}, TypeError),
                              ({"handle": b"1"}, TypeError)):
            self.assertRaises(wrong, fill, c.mailsrv_read_bytes, fields, [])
        for number in (-1, 2**32):
            self.assertRaises(ValueError, fill, c.mailsrv_row, {"uid": number}, [])
        self.assertRaises(ValueError, fill, c.mailsrv_identity, {"account": bytes(15)}, [])
        self.assertRaises(TypeError, fill, c.mailsrv_resolved, {"destinations": 1}, [])


if __name__ == "__main__":
    tap.main()
