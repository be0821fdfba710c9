#!/usr/bin/env python3
"""Each demand on the comments of headers, left unmet once: it must be found."""
import shutil
import sys
import tempfile
from pathlib import Path

import demands
from comments import read_all

ROOT = Path(__file__).resolve().parents[2]

# header, what is there, what stands there instead, what is to be found
CHANGES = [
    ("base.h", "/* The version of the library that is running, in the same form.  Any thread. */", "",
     "mailsrv_version has no comment"),
    ("base.h", "NUL-ended and static; ", "", "mailsrv_strerror does not say how long"),
    ("ask.h", " * Threads: as the engine.", "", "does not say on which threads"),
    ("ask.h", "/* mailsrv/ask.h - operations", "/* operations", "does not begin with its name"),
    ("ask.h", "MAILSRV_API void mailsrv_asked_free(mailsrv_asked *asked);", "",
     "mailsrv_ask makes a mailsrv_asked, which nothing ends"),
    ("engine.h", "all defaults.  MAILSRV_OK or MAILSRV_NOMEM.", "all defaults.", "mailsrv_engine_new does not say"),
    ("engine.h", "/* NULL is fine. */", "/* Frees it. */", "mailsrv_config_free does not say whether NULL is fine"),
    ("engine.h", "may hold; default 64 MiB, at least", "may hold; at least",
     "MAILSRV_CONFIG_MEMORY_MAX has no default"),
    ("engine.h", "NULL: malloc.  It is copied, and becomes", "It becomes", "what becomes of the allocator"),
    ("engine.h", "Takes the oldest event; it is valid until the next call.", "Takes the oldest event.",
     "mailsrv_engine_next_event does not say how long"),
    ("profile.h", "/* RFC 2177 */", "/* waits */", "MAILSRV_EXT_IDLE does not name its RFC"),
    ("session.h", "uint64_t memory;     /* octets", "uint64_t wait; /* time", "wait has no unit"),
    ("op.h", "/* ---- RESOLVE: where", "/* ---- Where", "operation RESOLVE: no comment"),
    ("op.h", "without gaps.  No value. ---- */", "without gaps. ---- */",
     "operation BODY_WRITE: its comment says nothing"),
]


def found(header: str, there: str, instead: str) -> list[str]:
    with tempfile.TemporaryDirectory() as where:
        include = Path(shutil.copytree(ROOT / "include", Path(where) / "include"))
        file = include / "mailsrv" / header
        text = file.read_text()
        if text.count(there) != 1:
            return [f"{header} has no longer once: {there}"]
        file.write_text(text.replace(there, instead))
        return demands.faults(read_all(include))


def main() -> int:
    missed = [f"{header}: not found: {fault}" for header, there, instead, fault in CHANGES
              if not any(fault in one for one in found(header, there, instead))]
    print("\n".join(missed) if missed else f"{len(CHANGES)} faults are found")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
