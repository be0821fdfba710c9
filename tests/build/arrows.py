#!/usr/bin/env python3
"""The arrows of the house: a room of src/ includes only itself and rooms that stand before it, no protocol includes
another, and what stands outside the house (stores, uv, mailserverd, examples) uses public headers alone.
docs/architecture.md."""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = "base text message dns frame core sasl mailauth mailbox smtp pop3 imap queue tls stores uv mailserverd".split()
PROTOCOLS = {"smtp", "pop3", "imap"}
PUBLIC_ONLY = {"tls", "stores", "uv", "mailserverd"}
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.M)
C_LIBRARY = {"<assert.h>", "<limits.h>", "<stdbool.h>", "<stddef.h>", "<stdint.h>", "<string.h>", "<stdalign.h>",
             "<stdatomic.h>"}


def against(path: Path, room: str, name: str) -> bool:
    """Does an #include "name" in `room` go the wrong way?"""
    if "/" not in name:
        return False  # beside the file
    to = name.split("/")[0]
    if to not in ROOMS:
        return True
    if to == room:
        return False
    return ROOMS.index(to) > ROOMS.index(room) or {to, room} <= PROTOCOLS or room in PUBLIC_ONLY


def house() -> list[str]:
    bad = []
    for path in sorted((ROOT / "src").rglob("*.[ch]")):
        room = path.relative_to(ROOT / "src").parts[0]
        if room not in ROOMS:
            bad.append(f"{path.relative_to(ROOT)}: no such room")
            continue
        for quote, name in INCLUDE.findall(path.read_text()):
            if quote == '"' and against(path, room, name):
                bad.append(f"{path.relative_to(ROOT)} includes {name}")
            pure = ROOMS.index(room) < ROOMS.index("tls")
            allowed = C_LIBRARY | ({"<stdlib.h>"} if path.name == "heap.c" else set())
            if quote == "<" and pure and not name.startswith("mailsrv/") and f"<{name}>" not in allowed:
                bad.append(f"{path.relative_to(ROOT)} includes <{name}>")
    return bad


def outside() -> list[str]:
    bad = []
    for path in sorted((ROOT / "examples").rglob("*.[ch]")):
        for quote, name in INCLUDE.findall(path.read_text()):
            if quote == '"' and not (path.parent / name).exists():
                bad.append(f"{path.relative_to(ROOT)} includes {name}")
            if quote == '"' and ".." in name:
                bad.append(f"{path.relative_to(ROOT)} includes {name}")
    return bad


if __name__ == "__main__":
    found = house() + outside()
    print("\n".join(found))
    sys.exit(bool(found))
