"""Mail in one SQLite file: a store that receives, and that POP3 reads.  sqlite_queue.py adds mail
on its way out, sqlite_store.py what IMAP asks.

Each change is one transaction, and is answered when that is on the disk.  The methods run one by one on a thread of the
store's own (BlockingStore), so what they read is what was answered, and the loop waits for no disk.
"""
import contextlib
import itertools
import sqlite3
import tempfile
import time
import uuid

from mailsrv import BlockingStore, Refused, Status, c

NONE = bytes(16)
INBOX = b"INBOX"
PAGE = 500
UIDS_END = 2**32
FEATURES = c.MAILSRV_MBOX_HISTORY | c.MAILSRV_MBOX_KEYWORDS
IN_MEMORY_OCTETS = 256 << 10  # a body of more is staged in a file

SCHEMA = """
CREATE TABLE IF NOT EXISTS account(id BLOB PRIMARY KEY, modseq INTEGER DEFAULT 1, uidvalidity INTEGER DEFAULT 0,
    octets_max INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS address(address BLOB PRIMARY KEY, account BLOB) WITHOUT ROWID;
-- A name stays when its mailbox goes, with its subscription and the highest UIDVALIDITY that it bore.
CREATE TABLE IF NOT EXISTS name(number INTEGER PRIMARY KEY, account BLOB, name BLOB, mailbox BLOB,
    subscribed INTEGER DEFAULT 0, highest INTEGER DEFAULT 0, modseq INTEGER, UNIQUE(account, name));
CREATE TABLE IF NOT EXISTS mailbox(id BLOB PRIMARY KEY, account BLOB, uidvalidity INTEGER, uidnext INTEGER DEFAULT 1,
    special INTEGER DEFAULT 0, messages INTEGER DEFAULT 0, unseen INTEGER DEFAULT 0, deleted INTEGER DEFAULT 0,
    octets INTEGER DEFAULT 0) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS keyword(mailbox BLOB, number INTEGER, name BLOB, PRIMARY KEY(mailbox, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS body(id INTEGER PRIMARY KEY, octets BLOB, structure BLOB);
CREATE TABLE IF NOT EXISTS message(mailbox BLOB, uid INTEGER, modseq INTEGER, appeared INTEGER, flags INTEGER,
    keywords BLOB, octets INTEGER, internal_us INTEGER, saved_us INTEGER, email BLOB, uidl BLOB, prefix BLOB,
    body INTEGER, PRIMARY KEY(mailbox, uid)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS vanished(mailbox BLOB, uid INTEGER, modseq INTEGER, PRIMARY KEY(mailbox, uid)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS message_body ON message(body);
CREATE INDEX IF NOT EXISTS message_modseq ON message(mailbox, modseq);
CREATE INDEX IF NOT EXISTS vanished_modseq ON vanished(mailbox, modseq);
CREATE INDEX IF NOT EXISTS name_mailbox ON name(mailbox);
-- The counts of a mailbox are kept: nobody counts when a client asks for the STATUS of all.
CREATE TRIGGER IF NOT EXISTS message_came AFTER INSERT ON message BEGIN
    UPDATE mailbox SET messages = messages + 1, octets = octets + new.octets, unseen = unseen + (new.flags & 1 = 0),
        deleted = deleted + (new.flags & 8 != 0) WHERE id = new.mailbox;
END;
CREATE TRIGGER IF NOT EXISTS message_changed AFTER UPDATE OF flags ON message BEGIN
    UPDATE mailbox SET unseen = unseen + (new.flags & 1 = 0) - (old.flags & 1 = 0),
        deleted = deleted + (new.flags & 8 != 0) - (old.flags & 8 != 0) WHERE id = new.mailbox;
END;
CREATE TRIGGER IF NOT EXISTS message_went AFTER DELETE ON message BEGIN
    UPDATE mailbox SET messages = messages - 1, octets = octets - old.octets, unseen = unseen - (old.flags & 1 = 0),
        deleted = deleted - (old.flags & 8 != 0) WHERE id = old.mailbox;
    DELETE FROM body WHERE id = old.body AND NOT EXISTS (SELECT 1 FROM message WHERE body = old.body);
END;
"""


class SqliteInbox(BlockingStore):
    def __init__(self, path, *, octets_max=900 << 20):  # of a body: SQLite itself takes 10^9 octets
        super().__init__()
        self.octets_max = octets_max
        self.db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)  # used by one at a time
        self.db.row_factory = sqlite3.Row
        for pragma in ("journal_mode = WAL", "synchronous = FULL"):  # durable at each commit
            self.db.execute(f"PRAGMA {pragma}")
        self.db.executescript(f"BEGIN;{SCHEMA}COMMIT;")
        self.numbers = itertools.count(1)
        self.handles = {}  # what was given and not closed: bodies, accounts, mailboxes, locks
        self.locked = set()  # accounts
        self.recent = {}  # mailboxes: the highest UID that was shown to somebody

    def free(self):
        super().free()
        self.db.close()

    # ---- For who runs it: before it serves, or by `call` ----

    def add_account(self, *addresses):
        """The new account's id; it has an INBOX."""
        account = uuid.uuid4().bytes
        with self.change():
            self.db.execute("INSERT INTO account(id) VALUES (?)", (account,))
            self.make(account, INBOX, time.time_ns() // 1000)
            for address in addresses:
                self.db.execute("INSERT INTO address VALUES (?, ?)", (address.lower().encode(), account))
        return account

    def limit(self, account, octets):
        self.db.execute("UPDATE account SET octets_max = ? WHERE id = ?", (octets, account))

    # ---- What the methods are made of ----

    @contextlib.contextmanager
    def change(self):
        """A transaction: all of it or nothing."""
        try:
            self.db.execute("BEGIN IMMEDIATE")
            yield
            self.db.execute("COMMIT")
        except BaseException as wrong:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            if isinstance(wrong, sqlite3.Error) and wrong.sqlite_errorcode == sqlite3.SQLITE_FULL:
                raise Refused(Status.FULL) from wrong
            raise

    def one(self, sql, *values):
        return self.db.execute(sql, values).fetchone()

    def give(self, thing):
        handle = next(self.numbers)
        self.handles[handle] = thing
        return handle

    def close(self, op):
        self.handles.pop(op.arg.handle)

    def box(self, handle, gone=Status.NONEXISTENT):
        """The mailbox of a handle, if it is still the one that was opened."""
        mailbox, uidvalidity = self.handles[handle]
        found = self.one("SELECT * FROM mailbox WHERE id = ? AND uidvalidity = ?", mailbox, uidvalidity)
        if found is None:
            raise Refused(gone)
        return found

    def next_modseq(self, account):
        return self.one("UPDATE account SET modseq = modseq + 1 WHERE id = ? RETURNING modseq", account)[0]

    def modseq(self, account):
        return self.one("SELECT modseq FROM account WHERE id = ?", account)[0]

    def make(self, account, name, unix_us, uidvalidity=0, attributes=0):
        """A new mailbox; its id."""
        mailbox = uuid.uuid4().bytes
        self.db.execute("INSERT INTO mailbox(id, account, uidvalidity, special) VALUES (?, ?, ?, ?)",
                        (mailbox, account, uidvalidity, attributes & ~c.MAILSRV_NAME_SUBSCRIBED))
        self.give_name(account, name, mailbox, unix_us, self.next_modseq(account))
        if attributes & c.MAILSRV_NAME_SUBSCRIBED:
            self.db.execute("UPDATE name SET subscribed = 1 WHERE mailbox = ?", (mailbox,))
        return mailbox

    def give_name(self, account, name, mailbox, unix_us, modseq):
        """It bears the name from now on.  A name never bears a UIDVALIDITY twice, and they only grow."""
        self.db.execute("INSERT OR IGNORE INTO name(account, name) VALUES (?, ?)", (account, name))
        bore, = self.one("SELECT highest FROM name WHERE account = ? AND name = ?", account, name)
        given, = self.one("SELECT uidvalidity FROM account WHERE id = ?", account)
        mine, = self.one("SELECT uidvalidity FROM mailbox WHERE id = ?", mailbox)
        if mine <= bore:
            mine = max(unix_us // 1_000_000, given + 1)
            self.db.execute("UPDATE mailbox SET uidvalidity = ? WHERE id = ?", (mine, mailbox))
        self.db.execute("UPDATE account SET uidvalidity = ? WHERE id = ?", (max(given, mine), account))
        self.db.execute("UPDATE name SET mailbox = ?, highest = ?, modseq = ? WHERE account = ? AND name = ?",
                        (mailbox, mine, modseq, account, name))

    # ---- Receive ----

    def resolve(self, op):
        found = self.one("SELECT account FROM address WHERE address = ?", op.arg.address.lower())
        if found is None:
            raise Refused(Status.NONEXISTENT)
        return {"destinations": [{"kind": c.MAILSRV_TARGET_MAILBOX, "account": found[0]}]}

    def body_begin(self, op):
        body = tempfile.SpooledTemporaryFile(IN_MEMORY_OCTETS)
        return {"features": c.MAILSRV_BODY_ATOMIC, "body": self.give(body)}

    def body_write(self, op):
        if op.arg.offset + len(op.arg.octets) > self.octets_max:
            raise Refused(Status.TOOBIG)
        self.handles[op.arg.body].write(op.arg.octets)

    def body_close(self, op):
        self.handles.pop(op.arg.handle).close()

    def body_commit(self, op):
        bodies, results = {}, []
        with self.change():
            for target in op.arg.targets:
                try:
                    results.append(self.keep(op.arg, target, bodies))
                except Refused as no:
                    if op.arg.atomic:
                        raise
                    results.append({"status": no.status})
        return {"results": results}

    def keep(self, arg, target, bodies):
        """A message for one target; nothing is changed before it is sure that it can be kept."""
        mailbox = self.target(target.account, target.mailbox)
        staged = arg.bodies[target.body_index]
        octets = len(target.prefix) + staged.octets
        self.has_room(target.account, octets)
        uid = target.uid or mailbox["uidnext"]
        if uid < mailbox["uidnext"]:
            raise Refused(Status.ALREADYEXISTS)
        if uid >= UIDS_END:
            raise Refused(Status.LIMIT)
        if target.body_index not in bodies:
            bodies[target.body_index] = self.keep_body(staged)
        modseq, email = self.next_modseq(target.account), uuid.uuid4().bytes
        keywords = packed(self.word_of(mailbox["id"], target.keywords))
        self.db.execute("INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                        (mailbox["id"], uid, modseq, modseq, target.flags, keywords, octets, target.internal_us,
                         arg.saved_us, email, self.free_uidl(mailbox["id"], target.uidl), target.prefix,
                         bodies[target.body_index]))
        self.db.execute("UPDATE mailbox SET uidnext = ? WHERE id = ?", (uid + 1, mailbox["id"]))
        return {"uidvalidity": mailbox["uidvalidity"], "uid": uid, "modseq": modseq, "email": email}

    def keep_body(self, staged):
        file = self.handles[staged.body]
        body = self.db.execute("INSERT INTO body(octets, structure) VALUES (zeroblob(?), ?)",
                               (staged.octets, staged.structure)).lastrowid
        file.seek(0)
        with self.db.blobopen("body", "octets", body) as blob:
            while piece := file.read(IN_MEMORY_OCTETS):
                blob.write(piece)
        return body

    def target(self, account, mailbox):
        """A mailbox of an account; zero: its INBOX."""
        if mailbox == NONE:
            return self.named(account, INBOX)
        found = self.one("SELECT * FROM mailbox WHERE account = ? AND id = ?", account, mailbox)
        if found is None:
            raise Refused(Status.NONEXISTENT)
        return found

    def named(self, account, name):
        found = self.one("SELECT mailbox.* FROM name JOIN mailbox ON id = mailbox WHERE name.account = ? AND name = ?",
                         account, canonical(name))
        if found is None:
            raise Refused(Status.NONEXISTENT)
        return found

    def has_room(self, account, octets):
        most, = self.one("SELECT octets_max FROM account WHERE id = ?", account)
        if most is not None:
            have, = self.one("SELECT sum(octets) FROM mailbox WHERE account = ?", account)
            if have + octets > most:
                raise Refused(Status.OVERQUOTA)

    def free_uidl(self, mailbox, uidl):
        taken = uidl and self.one("SELECT 1 FROM message WHERE mailbox = ? AND uidl = ?", mailbox, uidl)
        return b"" if taken else uidl

    # ---- Keywords: a dictionary for each mailbox, to which names are only added ----

    def dictionary(self, mailbox):
        found = self.db.execute("SELECT name FROM keyword WHERE mailbox = ? ORDER BY number", (mailbox,))
        return [name for name, in found]

    def word_of(self, mailbox, names, *, adds=True, all_or_none=False):
        """The word with their bits; names for which there is no room are left out."""
        known = {name.lower(): number for number, name in enumerate(self.dictionary(mailbox))}
        for name in names if adds else ():
            if name.lower() not in known:
                if len(known) < c.MAILSRV_KEYWORDS_MAX:
                    self.db.execute("INSERT INTO keyword VALUES (?, ?, ?)", (mailbox, len(known), name))
                    known[name.lower()] = len(known)
                elif all_or_none:
                    raise Refused(Status.LIMIT)
        return sum({1 << known[name.lower()] for name in names if name.lower() in known})

    # ---- POP3 ----

    def store_open(self, op):
        if not self.one("SELECT 1 FROM account WHERE id = ?", op.account):
            raise Refused(Status.NONEXISTENT)
        return {"store": self.give(op.account)}

    store_close = read_close = close

    def lock(self, op):
        account = self.handles[op.arg.store]
        if account in self.locked:
            raise Refused(Status.INUSE)
        self.locked.add(account)
        return {"lock": self.give(account)}

    def unlock(self, op):
        self.locked.discard(self.handles.pop(op.arg.handle))

    def mbox_open(self, op):
        box = self.find(op.arg)
        mailbox, uidnext = box["id"], box["uidnext"]
        recent = self.recent.get(mailbox, 0)
        if op.arg.for_writing:
            self.recent[mailbox] = uidnext - 1
        return {"mbox": self.give((mailbox, box["uidvalidity"])), "mailbox": mailbox, "uidvalidity": box["uidvalidity"],
                "exists": box["messages"], "modseq": self.modseq(box["account"]), "uidnext": uidnext, "recent": recent,
                "features": FEATURES, "keywords": self.dictionary(mailbox),
                "rights": c.MAILSRV_RIGHTS_ALL}

    def mbox_close(self, op):
        mailbox, _ = self.handles.pop(op.arg.handle)
        self.recent[mailbox] = max(self.recent.get(mailbox, 0), op.arg.told)

    def find(self, arg):
        """A mailbox by id or by name."""
        account = self.handles[arg.store]
        return self.named(account, arg.name) if arg.mailbox == NONE else self.target(account, arg.mailbox)

    def rows(self, op):
        mailbox, first = self.box(op.arg.mbox)["id"], int.from_bytes(op.arg.cursor, "big")
        most, rows, octets = min(op.arg.limit, PAGE), [], 0
        for message in self.messages(mailbox, op.arg.uids, op.arg.fields, first):
            octets += len(message["structure"])
            if len(rows) == most or rows and octets > c.MAILSRV_ROWS_STRUCTURE_MAX:
                return {"rows": rows, "more": 1, "next": message["uid"].to_bytes(32, "big")}
            rows.append(row(message))
        return {"rows": rows}

    def messages(self, mailbox, uids, fields=0, first=0):
        """The rows of some UIDs, ascending; a structure is read where it is asked for alone."""
        structure = "(SELECT structure FROM body WHERE id = body)" if fields & c.MAILSRV_ROW_STRUCTURE else "x''"
        for run in uids:
            which = (mailbox, max(run.start, first), run.stop - 1)
            yield from self.db.execute(f"SELECT *, {structure} AS structure FROM message WHERE mailbox = ? AND "
                                       "uid BETWEEN ? AND ? ORDER BY uid", which)

    def read(self, op):
        if not op.arg.mbox:
            body = self.handles[op.arg.body]
            body.seek(op.arg.offset)
            octets = body.read(op.arg.octets)
            body.seek(0, 2)
            return {"octets": octets}
        mailbox = self.box(op.arg.mbox, gone=Status.GONE)["id"]
        found = self.one("SELECT prefix, body FROM message WHERE mailbox = ? AND uid = ?", mailbox, op.arg.uid)
        if found is None:
            raise Refused(Status.GONE)
        return self.piece(*found, op.arg)

    def piece(self, prefix, body, arg):
        """What READ asked of a prefix and the body behind it."""
        if arg.offset < len(prefix):
            return {"octets": prefix[arg.offset:arg.offset + arg.octets]}
        with self.db.blobopen("body", "octets", body, readonly=True) as blob:
            blob.seek(min(arg.offset - len(prefix), len(blob)))
            return {"octets": blob.read(arg.octets)}

    def expunge(self, op):
        with self.change():
            box = self.box(op.arg.mbox)
            going = [m["uid"] for m in self.messages(box["id"], op.arg.uids)
                     if m["flags"] & c.MAILSRV_FLAG_DELETED or not op.arg.only_deleted]
            return {"modseq": self.remove(box, going, self.next_modseq(box["account"])) if going else 0}

    def remove(self, box, uids, modseq):
        """They leave behind when they went."""
        self.db.executemany("INSERT INTO vanished VALUES (?, ?, ?)", ((box["id"], uid, modseq) for uid in uids))
        self.db.executemany("DELETE FROM message WHERE mailbox = ? AND uid = ?", ((box["id"], uid) for uid in uids))
        return modseq


def canonical(name):
    """INBOX has no case, also as the first level."""
    first, slash, rest = name.partition(b"/")
    return INBOX + slash + rest if first.upper() == INBOX else name


def row(message):
    word = unpacked(message["keywords"])
    same = ("uid", "modseq", "flags", "octets", "internal_us", "saved_us", "email", "uidl", "structure")
    return {name: message[name] for name in same} | {"keywords": (word & (1 << 64) - 1, word >> 64),
                                                     "prefix_octets": len(message["prefix"])}


def packed(word):
    return word.to_bytes(16, "little")


def unpacked(octets):
    return int.from_bytes(octets, "little")
