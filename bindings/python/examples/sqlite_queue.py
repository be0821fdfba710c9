"""Mail on its way out in the same SQLite file: what a store adds to take mail for elsewhere, and to have it sent."""
from mailsrv import Refused, Status, c
from sqlite_inbox import PAGE, SqliteInbox

# A body is one for all recipients of a message, and none of a mailbox: either goes when its last reader does.  A number
# is never given again (AUTOINCREMENT).
SCHEMA = """
CREATE TABLE IF NOT EXISTS queue(number INTEGER PRIMARY KEY AUTOINCREMENT, due_us INTEGER, lane BLOB, record BLOB,
    octets INTEGER, prefix BLOB, body INTEGER);
CREATE INDEX IF NOT EXISTS queue_due ON queue(due_us, number);
CREATE INDEX IF NOT EXISTS queue_lane ON queue(lane, due_us, number);
CREATE INDEX IF NOT EXISTS queue_body ON queue(body);
CREATE TRIGGER IF NOT EXISTS queue_went AFTER DELETE ON queue BEGIN
    DELETE FROM body WHERE id = old.body AND NOT EXISTS (SELECT 1 FROM queue WHERE body = old.body);
END;
"""

# Of each order: which items, and what they are sorted by.
DUE = "(due_us, number) > (:due, :number) AND due_us <= :most"
ORDERS = {
    c.MAILSRV_QUEUE_BY_NUMBER: ("number > :number", "number"),
    c.MAILSRV_QUEUE_BY_DUE: (DUE, "due_us, number"),
    c.MAILSRV_QUEUE_BY_LANE: (f"lane = :lane AND {DUE}", "due_us, number"),
}
NUMBER_MAX = 2**63 - 1


class SqliteQueue(SqliteInbox):
    def __init__(self, path, **more):
        super().__init__(path, **more)
        self.db.executescript(f"BEGIN;{SCHEMA}COMMIT;")

    def body_begin(self, op):
        begun = super().body_begin(op)
        return begun | {"features": begun["features"] | c.MAILSRV_BODY_TAKES_QUEUE}

    def keep(self, arg, target, bodies):
        if target.kind != c.MAILSRV_TARGET_QUEUE:
            return super().keep(arg, target, bodies)
        staged, place = arg.bodies[target.body_index], ("queue", target.body_index)
        if place not in bodies:
            bodies[place] = self.keep_body(staged)
        octets = len(target.prefix) + staged.octets
        done = self.db.execute("INSERT INTO queue(due_us, lane, record, octets, prefix, body) VALUES (?, ?, ?, ?, ?, ?)",
                               (target.due_us, target.lane, target.record, octets, target.prefix, bodies[place]))
        return {"queue": done.lastrowid}

    def queue_scan(self, op):
        """A page goes on behind the last item of the one before, which may have gone: its place is the cursor."""
        arg, most = op.arg, min(op.arg.limit, PAGE)
        first = (arg.due_min_us, NUMBER_MAX) if arg.order != c.MAILSRV_QUEUE_BY_NUMBER else (0, 0)
        due, number = place_of(arg.cursor) if any(arg.cursor) else first
        which, order = ORDERS[arg.order]
        found = self.db.execute(f"SELECT * FROM queue WHERE {which} ORDER BY {order} LIMIT :n",
                                {"due": due, "number": number, "most": arg.due_max_us, "lane": arg.lane,
                                 "n": most + 1}).fetchall()
        page = found[:most]
        items = [{"queue": item["number"]} | {name: item[name] for name in ("octets", "record", "due_us", "lane")}
                 for item in page]
        more = len(found) > most
        return {"items": items, "more": int(more), "next": cursor_of(page[-1]) if more else bytes(32)}

    def queue_update(self, op):
        with self.change():
            done = self.db.execute("UPDATE queue SET record = ?, due_us = ?, lane = ? WHERE number = ?",
                                   (op.arg.record, op.arg.due_us, op.arg.lane, op.arg.queue))
            if not done.rowcount:
                raise Refused(Status.NONEXISTENT)

    def queue_delete(self, op):
        with self.change():
            self.db.executemany("DELETE FROM queue WHERE number = ?", ((number,) for number in op.arg.queues))

    def read(self, op):
        if op.arg.mbox or op.arg.body:
            return super().read(op)
        found = self.one("SELECT prefix, body FROM queue WHERE number = ?", op.arg.queue)
        if found is None:
            raise Refused(Status.GONE)
        return self.piece(*found, op.arg)


def cursor_of(item):
    return (item["due_us"].to_bytes(8, "big", signed=True) + item["number"].to_bytes(8, "big")).ljust(32, b"\0")


def place_of(cursor):
    return int.from_bytes(cursor[:8], "big", signed=True), int.from_bytes(cursor[8:16], "big")
