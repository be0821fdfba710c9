"""Who may log in: names, accounts and what is kept in the place of passwords, in a table of an SQLite file."""
import asyncio
import hashlib
import hmac
import os
import sqlite3

from mailsrv import c, scram_keys

HASH = {"n": 1 << 14, "r": 8, "p": 1}  # of scrypt: 16 MiB and some 50 ms for each try
COLUMNS = "account, salt, hash, iterations, scram_salt, stored_key, server_key"


class Users:
    def __init__(self, path):
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.execute(f"CREATE TABLE IF NOT EXISTS user(name TEXT PRIMARY KEY, {COLUMNS})")
        self.nobody = os.urandom(16)

    def set(self, name, password, account):
        salt, keys = os.urandom(16), scram_keys(password)
        self.db.execute(f"INSERT OR REPLACE INTO user(name, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                        (name, account, salt, hashlib.scrypt(password.encode(), salt=salt, **HASH), keys["iterations"],
                         keys["salt"], keys["stored_key"], keys["server_key"]))

    def find(self, name, columns):
        return self.db.execute(f"SELECT {columns} FROM user WHERE name = ?", (name,)).fetchone()

    async def check(self, name, password):
        """For mailsrv.logins.  A name that nobody has costs as much time as a wrong password."""
        account, salt, right = self.find(name, "account, salt, hash") or (None, self.nobody, bytes(64))
        made = await asyncio.to_thread(hashlib.scrypt, password, salt=salt, **HASH)
        return account if hmac.compare_digest(made, right) else None

    def keys(self, name, hash):
        """The same, for SCRAM."""
        found = self.find(name, "account, iterations, scram_salt, stored_key, server_key")
        if found is None or hash != c.MAILSRV_HASH_SHA256:
            return None
        return dict(zip(("account", "iterations", "salt", "stored_key", "server_key"), found))

    def close(self):
        self.db.close()
