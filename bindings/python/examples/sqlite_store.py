"""A mail store over SQLite: everything, durable, in one file.  What mailboxes, flags, copies and changes need is here;
sqlite_inbox.py and sqlite_queue.py have the rest.
"""
from mailsrv import Refused, Status, c
from sqlite_inbox import FEATURES, INBOX, NONE, PAGE, UIDS_END, canonical, packed, row, unpacked
from sqlite_queue import SqliteQueue


class SqliteStore(SqliteQueue):
    # ---- Messages ----

    def changes(self, op):
        if not op.arg.mbox:
            return self.changes_of_names(op)
        box = self.box(op.arg.mbox)
        upto, uid, gone = cut(op.arg.cursor)
        upto, most = upto or self.modseq(box["account"]), min(op.arg.limit, PAGE)
        found = self.db.execute("SELECT *, x'' AS structure FROM message WHERE mailbox = ? AND uid >= ? AND modseq > ? "
                                "AND appeared <= ? ORDER BY uid LIMIT ?",
                                (box["id"], uid, op.arg.since, upto, most + 1))
        rows = [row(message) for message in found]
        found = self.db.execute("SELECT uid FROM vanished WHERE mailbox = ? AND uid >= ? AND modseq > ? AND modseq <= "
                                "? ORDER BY uid LIMIT ?", (box["id"], gone, op.arg.since, upto, most + 1))
        vanished = [uid for uid, in found]
        next_uid = rows[most]["uid"] if len(rows) > most else UIDS_END
        next_gone = vanished[most] if len(vanished) > most else UIDS_END
        return {"upto": upto, "rows": rows[:most], "vanished": runs(vanished[:most]),
                "more": int(min(next_uid, next_gone) < UIDS_END), "next": cursor(upto, next_uid, next_gone),
                "keywords": self.dictionary(box["id"])[op.arg.n_keywords:]}

    def flags(self, op):
        arg, missed = op.arg, []
        with self.change():
            box, changed = self.box(arg.mbox), []
            word = self.word_of(box["id"], arg.keywords, adds=arg.how != c.MAILSRV_FLAGS_REMOVE, all_or_none=True)
            for message in self.messages(box["id"], arg.uids):
                flags = combined(arg.how, message["flags"], arg.flags)
                keywords = packed(combined(arg.how, unpacked(message["keywords"]), word))
                if message["modseq"] > arg.unchanged_since:
                    missed.append(message["uid"])
                elif (flags, keywords) != (message["flags"], message["keywords"]):
                    changed.append((flags, keywords, message["uid"]))
            modseq = self.next_modseq(box["account"]) if changed else 0
            self.db.executemany("UPDATE message SET flags = ?, keywords = ?, modseq = ? WHERE mailbox = ? AND uid = ?",
                                ((flags, keywords, modseq, box["id"], uid) for flags, keywords, uid in changed))
        return {"modseq": modseq, "modified": runs(missed)}

    def copy(self, op, moves=False):
        with self.change():
            box = self.box(op.arg.mbox)
            to = self.target(box["account"], op.arg.to)
            there = list(self.messages(box["id"], op.arg.uids))
            if not there:
                return {"uidvalidity": to["uidvalidity"]}
            if not moves:
                self.has_room(box["account"], sum(message["octets"] for message in there))
            modseq = self.next_modseq(box["account"])
            came = self.put(there, self.dictionary(box["id"]), to, modseq, op.arg.saved_us)
            went = [message["uid"] for message in there]
            if moves:
                self.remove(box, went, modseq)
        return {"uidvalidity": to["uidvalidity"], "modseq": modseq, "from": runs(went), "to": runs(came)}

    def move(self, op):
        return self.copy(op, moves=True)

    def put(self, messages, dictionary, to, modseq, saved_us=None):
        """Copies into a mailbox, whose dictionary has other numbers for the same keywords; their UIDs."""
        mailbox, first = to["id"], to["uidnext"]
        if first + len(messages) > UIDS_END:
            raise Refused(Status.LIMIT)
        made = []
        for uid, m in enumerate(messages, first):
            names = [name for number, name in enumerate(dictionary) if unpacked(m["keywords"]) >> number & 1]
            keywords = packed(self.word_of(mailbox, names)) if names else m["keywords"]
            saved = m["saved_us"] if saved_us is None else saved_us
            made.append((mailbox, uid, modseq, modseq, m["flags"], keywords, m["octets"], m["internal_us"], saved,
                         m["email"], m["uidl"], m["prefix"], m["body"]))
        self.db.executemany("INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", made)
        self.db.execute("UPDATE mailbox SET uidnext = ? WHERE id = ?", (first + len(messages), mailbox))
        return range(first, first + len(messages))

    # ---- Mailboxes ----

    def mbox_status(self, op):
        box = self.find(op.arg)
        kept = {name: box[name] for name in ("uidvalidity", "uidnext", "unseen", "deleted", "octets")}
        return kept | {"mailbox": box["id"], "exists": box["messages"], "modseq": self.modseq(box["account"]),
                       "recent": self.recent.get(box["id"], 0), "features": FEATURES, "rights": c.MAILSRV_RIGHTS_ALL}

    def mbox_list(self, op):
        account, first = self.handles[op.arg.store], int.from_bytes(op.arg.cursor, "big")
        entries, rest = self.entries(account, first, min(op.arg.limit, PAGE), "(mailbox IS NOT NULL OR subscribed)")
        return {"entries": entries, "more": int(rest != 0), "next": rest.to_bytes(32, "big")}

    def changes_of_names(self, op):
        account, (upto, first, _) = self.handles[op.arg.store], cut(op.arg.cursor)
        upto = upto or self.modseq(account)
        entries, rest = self.entries(account, first, min(op.arg.limit, PAGE), "modseq > ?", op.arg.since)
        return {"entries": entries, "upto": upto, "more": int(rest != 0), "next": cursor(upto, rest, 0)}

    def entries(self, account, first, most, where, *values):
        """A page of names, from the one with the number `first` on, and the number of the one behind it; 0: none."""
        found = self.db.execute(
            "SELECT name.*, coalesce(special, 0) AS special FROM name LEFT JOIN mailbox ON id = mailbox WHERE "
            "name.account = ? AND name >= coalesce((SELECT name FROM name WHERE number = ?), x'') AND "
            f"{where} ORDER BY name LIMIT ?",
            (account, first, *values, most + 1)).fetchall()
        entries = [{"name": name["name"], "mailbox": name["mailbox"] or NONE, "modseq": name["modseq"],
                    "attributes": name["special"] | name["subscribed"] * c.MAILSRV_NAME_SUBSCRIBED} for name in found]
        return entries[:most], found[most]["number"] if len(found) > most else 0

    def mbox_create(self, op):
        arg, account, name = op.arg, self.handles[op.arg.store], proper(op.arg.name)
        with self.change():
            there = self.one("SELECT * FROM name WHERE account = ? AND name = ?", account, name)
            if there and arg.uidvalidity and there["highest"] >= arg.uidvalidity:
                raise Refused(Status.ALREADYEXISTS)
            if there and there["mailbox"]:
                mailbox = self.import_inbox(account, name, arg.uidvalidity)
            else:
                mailbox = self.make(account, name, arg.unix_us, arg.uidvalidity, arg.attributes)
            box = self.target(account, mailbox)
            return {"uidvalidity": box["uidvalidity"], "mailbox": mailbox, "modseq": self.modseq(account)}

    def import_inbox(self, account, name, uidvalidity):
        """INBOX gets another UIDVALIDITY and keeps its id, while it has never held a message."""
        box = self.named(account, name)
        if name != INBOX or not uidvalidity or box["uidnext"] > 1:
            raise Refused(Status.ALREADYEXISTS)
        self.db.execute("UPDATE mailbox SET uidvalidity = ? WHERE id = ?", (uidvalidity, box["id"]))
        self.give_name(account, name, box["id"], 0, self.next_modseq(account))
        return box["id"]

    def mbox_delete(self, op):
        with self.change():
            account, box = self.handles[op.arg.store], self.target(self.handles[op.arg.store], op.arg.mailbox)
            if self.name_of(box) == INBOX:
                raise Refused(Status.CANNOT)
            for table in ("message", "vanished", "keyword"):
                self.db.execute(f"DELETE FROM {table} WHERE mailbox = ?", (box["id"],))
            self.db.execute("UPDATE name SET mailbox = NULL, modseq = ? WHERE mailbox = ?",
                            (self.next_modseq(account), box["id"]))
            self.db.execute("DELETE FROM mailbox WHERE id = ?", (box["id"],))

    def name_of(self, box):
        return self.one("SELECT name FROM name WHERE mailbox = ?", box["id"])[0]

    def mbox_rename(self, op):
        new = proper(op.arg.name)
        with self.change():
            account, box = self.handles[op.arg.store], self.target(self.handles[op.arg.store], op.arg.mailbox)
            old = self.name_of(box)
            if new.startswith(old + b"/"):
                raise Refused(Status.CANNOT)
            if old == INBOX:
                return self.rename_inbox(box, new, op.arg.unix_us)
            going = self.db.execute("SELECT * FROM name WHERE account = ? AND mailbox IS NOT NULL AND (name = ? OR "
                                    "substr(name, 1, ?) = ?)", (account, old, len(old) + 1, old + b"/")).fetchall()
            names = [proper(new + name["name"][len(old):]) for name in going]
            for name in names:
                self.is_free(account, name)
            modseq = self.next_modseq(account)
            self.db.executemany("UPDATE name SET mailbox = NULL, modseq = ? WHERE number = ?",
                                ((modseq, name["number"]) for name in going))
            for name, was in zip(names, going):
                self.give_name(account, name, was["mailbox"], op.arg.unix_us, modseq)

    def is_free(self, account, name):
        if self.one("SELECT 1 FROM name WHERE account = ? AND name = ? AND mailbox IS NOT NULL", account, name):
            raise Refused(Status.ALREADYEXISTS)

    def rename_inbox(self, inbox, new, unix_us):
        """Its messages go into a new mailbox, and it stays."""
        self.is_free(inbox["account"], new)
        to = self.target(inbox["account"], self.make(inbox["account"], new, unix_us))
        messages = list(self.messages(inbox["id"], [range(1, UIDS_END)]))
        modseq = self.next_modseq(inbox["account"])
        self.put(messages, self.dictionary(inbox["id"]), to, modseq)
        self.remove(inbox, [message["uid"] for message in messages], modseq)

    def mbox_subscribe(self, op):
        account, name = self.handles[op.arg.store], proper(op.arg.name)
        with self.change():
            self.db.execute("INSERT INTO name(account, name, subscribed, modseq) VALUES (?, ?, ?, ?) ON CONFLICT DO "
                            "UPDATE SET subscribed = excluded.subscribed, modseq = excluded.modseq",
                            (account, name, op.arg.on, self.next_modseq(account)))


def proper(name):
    """It, if it can be the name of a mailbox."""
    try:
        text = name.decode()
    except UnicodeDecodeError:
        raise Refused(Status.CANNOT) from None
    controls = any(ord(letter) < 32 or ord(letter) == 127 for letter in text)
    if controls or len(name) > c.MAILSRV_MBOX_NAME_MAX or b"" in name.split(b"/"):
        raise Refused(Status.CANNOT)
    return canonical(name)


def combined(how, have, given):
    if how == c.MAILSRV_FLAGS_SET:
        return given
    return have | given if how == c.MAILSRV_FLAGS_ADD else have & ~given


def runs(uids):
    """Ascending numbers as runs that do not touch."""
    made = []
    for uid in uids:
        if made and made[-1]["last"] == uid - 1:
            made[-1]["last"] = uid
        else:
            made.append({"first": uid, "last": uid})
    return made


def cursor(*numbers):
    return b"".join(number.to_bytes(8, "big") for number in numbers).ljust(32, b"\0")


def cut(cursor):
    return [int.from_bytes(cursor[i:i + 8], "big") for i in (0, 8, 16)]
