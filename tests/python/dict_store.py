"""A store of the tiers Receive and POP3 in Python: dictionaries and nothing else."""
import hmac
import itertools
from dataclasses import dataclass, field

from mailsrv import Refused, Status, Store, c

PAGE = 100


@dataclass
class Message:
    uid: int
    modseq: int
    email: bytes
    flags: int
    internal_us: int
    octets: bytes
    structure: bytes
    prefix_octets: int


@dataclass
class Account:
    id: bytes
    password: bytes
    messages: dict[int, Message] = field(default_factory=dict)
    uidnext: int = 1
    modseq: int = 1


class DictStore(Store):
    def __init__(self, accounts: dict[str, tuple[str, str]]):
        """`accounts`: user: (password, address)."""
        self.numbers = itertools.count(1)
        self.users, self.by_id, self.by_address = {}, {}, {}
        for user, (password, address) in accounts.items():
            account = Account(next(self.numbers).to_bytes(16, "big"), password.encode())
            self.users[user.encode()] = self.by_id[account.id] = self.by_address[address.encode()] = account
        self.handles = {}  # whatever is open: a bytearray, an account
        self.locked = set()

    def give(self, thing) -> int:
        handle = next(self.numbers)
        self.handles[handle] = thing
        return handle

    def close(self, op) -> None:
        self.locked.discard(op.arg.handle)
        del self.handles[op.arg.handle]

    body_close = store_close = mbox_close = read_close = unlock = close

    # ---- Receive ----

    def resolve(self, op):
        if not (account := self.by_address.get(op.arg.address.lower())):
            raise Refused(Status.NONEXISTENT)
        return {"destinations": [{"kind": c.MAILSRV_TARGET_MAILBOX, "account": account.id}]}

    def body_begin(self, op):
        return {"features": c.MAILSRV_BODY_ATOMIC, "body": self.give(bytearray())}

    def body_write(self, op):
        self.handles[op.arg.body] += op.arg.octets

    def body_commit(self, op):
        accounts = [self.by_id.get(target.account) for target in op.arg.targets]
        if op.arg.atomic and None in accounts:
            raise Refused(Status.NONEXISTENT)
        return {"results": [self.keep(account, op.arg, target) for account, target in zip(accounts, op.arg.targets)]}

    def keep(self, account, arg, target):
        if account is None:
            return {"status": Status.NONEXISTENT}
        body = arg.bodies[target.body_index]
        octets = target.prefix + self.handles[body.body]
        account.modseq += 1
        email = next(self.numbers).to_bytes(16, "big")
        account.messages[account.uidnext] = Message(account.uidnext, account.modseq, email, target.flags,
                                                    target.internal_us, octets, body.structure, len(target.prefix))
        account.uidnext += 1
        return {"uidvalidity": 1, "uid": account.uidnext - 1, "modseq": account.modseq, "email": email}

    # ---- POP3 ----

    def auth_verify(self, op):
        account = self.users.get(op.arg.user)
        if account is None or not hmac.compare_digest(account.password, op.arg.password):
            raise Refused(Status.DENIED)
        return {"account": account.id}

    def store_open(self, op):
        if op.account not in self.by_id:
            raise Refused(Status.NONEXISTENT)
        return {"store": self.give(self.by_id[op.account])}

    def lock(self, op):
        account = self.handles[op.arg.store]
        if any(self.handles[lock] is account for lock in self.locked):
            raise Refused(Status.INUSE)
        self.locked.add(lock := self.give(account))
        return {"lock": lock}

    def mbox_open(self, op):
        account = self.handles[op.arg.store]
        if op.arg.mailbox != account.id and (op.arg.mailbox != bytes(16) or op.arg.name.upper() != b"INBOX"):
            raise Refused(Status.NONEXISTENT)
        return {"mbox": self.give(account), "mailbox": account.id, "uidvalidity": 1, "exists": len(account.messages),
                "modseq": account.modseq, "uidnext": account.uidnext}

    def rows(self, op):
        messages = self.handles[op.arg.mbox].messages
        first = int.from_bytes(op.arg.cursor, "big")
        uids = [uid for uid in sorted(messages) if uid >= first and any(uid in run for run in op.arg.uids)]
        most = min(op.arg.limit, PAGE)
        if op.arg.fields & c.MAILSRV_ROW_STRUCTURE:
            sizes = itertools.accumulate(len(messages[uid].structure) for uid in uids)
            most = min(most, max(1, sum(1 for size in sizes if size <= c.MAILSRV_ROWS_STRUCTURE_MAX)))
        page, rest = uids[:most], uids[most:]
        return {"rows": [self.row(messages[uid]) for uid in page], "more": int(bool(rest)),
                "next": (rest[0] if rest else 0).to_bytes(32, "big")}

    @staticmethod
    def row(message):
        return {"uid": message.uid, "modseq": message.modseq, "octets": len(message.octets), "email": message.email,
                "flags": message.flags, "internal_us": message.internal_us, "structure": message.structure,
                "prefix_octets": message.prefix_octets}

    def read(self, op):
        if op.arg.mbox:
            message = self.handles[op.arg.mbox].messages.get(op.arg.uid)
            if message is None:
                raise Refused(Status.GONE)
            octets = message.octets
        else:
            octets = self.handles[op.arg.body]
        return {"octets": octets[op.arg.offset:op.arg.offset + op.arg.octets]}

    def expunge(self, op):
        account = self.handles[op.arg.mbox]
        going = [uid for uid, message in account.messages.items() if any(uid in run for run in op.arg.uids)
                 and (message.flags & c.MAILSRV_FLAG_DELETED or not op.arg.only_deleted)]
        if not going:
            return {"modseq": 0}
        for uid in going:
            del account.messages[uid]
        account.modseq += 1
        return {"modseq": account.modseq}
