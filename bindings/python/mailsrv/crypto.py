"""Python's own hashes and random numbers, as the engine asks for them: for SCRAM, where no TLS library brings some."""
import ctypes
import hashlib
import hmac
import os
import stringprep
import unicodedata
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


# RFC 4013 section 2.3.
FORBIDDEN = (stringprep.in_table_c21_c22, stringprep.in_table_c3, stringprep.in_table_c4, stringprep.in_table_c5,
             stringprep.in_table_c6, stringprep.in_table_c7, stringprep.in_table_c8, stringprep.in_table_c9)


def prepared(password: str) -> str:
    """As clients prepare it before they make a proof (RFC 4013, section 2.1 to 2.3)."""
    mapped = "".join(" " if stringprep.in_table_c12(one) else one for one in password
                     if stringprep.in_table_c12(one) or not stringprep.in_table_b1(one))
    text = unicodedata.normalize("NFKC", mapped)
    if any(is_forbidden(one) for one in text for is_forbidden in FORBIDDEN):
        raise ValueError("there is a character in it that no password may hold")
    return text


def scram_keys(password: str, *, hash: int = c.MAILSRV_HASH_SHA256, salt: bytes | None = None,
               iterations: int = 4096) -> dict[str, Any]:
    """What a host keeps in place of a password, with the names that an answer to AUTH_SCRAM_KEYS has for it: that adds
    the `account`.  ValueError: no password is like that."""
    salt = os.urandom(16) if salt is None else salt
    salted = hashlib.pbkdf2_hmac(HASHES[hash], prepared(password).encode(), salt, iterations)
    client = hmac.digest(salted, b"Client Key", HASHES[hash])
    stored, server = hashlib.new(HASHES[hash], client).digest(), hmac.digest(salted, b"Server Key", HASHES[hash])
    return {"iterations": iterations, "salt": salt, "stored_key": stored, "server_key": server}
