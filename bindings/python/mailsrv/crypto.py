"""Python's own hashes and random numbers, as the engine asks for them: for SCRAM, where no TLS library brings some."""
import ctypes
import hashlib
import hmac
import os
from typing import Any

from .library import c
from .status import Status

HASHES = {c.MAILSRV_HASH_SHA1: "sha1", c.MAILSRV_HASH_SHA256: "sha256", c.MAILSRV_HASH_SHA512: "sha512"}


def joined(parts: Any, n: int) -> bytes:
    return b"".join(ctypes.string_at(parts[i].p, parts[i].n) for i in range(n) if parts[i].n)


def put(out: Any, octets: bytes) -> int:
    ctypes.memmove(out, octets, len(octets))
    return Status.OK


def _hash(user: Any, number: int, parts: Any, n: int, out: Any) -> int:
    if number not in HASHES:
        return Status.E_VALUE
    return put(out, hashlib.new(HASHES[number], joined(parts, n)).digest())


def _hmac(user: Any, number: int, key: Any, parts: Any, n: int, out: Any) -> int:
    if number not in HASHES:
        return Status.E_VALUE
    return put(out, hmac.digest(joined(key, 1), joined(parts, n), HASHES[number]))


def _random(user: Any, out: Any, n: int) -> int:
    return put(out, os.urandom(n))


# What Engine takes if it is told nothing else.
TABLE = c.mailsrv_crypto(hash=getattr(c, "mailsrv_crypto.hash")(_hash), hmac=getattr(c, "mailsrv_crypto.hmac")(_hmac),
                         random=getattr(c, "mailsrv_crypto.random")(_random))


def scram_keys(password: str, *, hash: int = c.MAILSRV_HASH_SHA256, salt: bytes | None = None,
               iterations: int = 4096) -> dict[str, Any]:
    """What a host keeps in place of a password, with the names that an answer to AUTH_SCRAM_KEYS has for it: that adds
    the `account`."""
    salt = os.urandom(16) if salt is None else salt
    salted = hashlib.pbkdf2_hmac(HASHES[hash], password.encode(), salt, iterations)
    client = hmac.digest(salted, b"Client Key", HASHES[hash])
    stored, server = hashlib.new(HASHES[hash], client).digest(), hmac.digest(salted, b"Server Key", HASHES[hash])
    return {"iterations": iterations, "salt": salt, "stored_key": stored, "server_key": server}
