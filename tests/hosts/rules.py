#!/usr/bin/env python3
"""What a host may be: short, on public headers alone, and without a line of protocol.  Each rule is also shown a line
that breaks it."""
import re
import sys
from pathlib import Path

from tap import Tap

ROOT = Path(__file__).resolve().parents[2]
HOST_LINES_MAX = 120
STORE_LINES_MAX = 260
COLUMNS_MAX = 120

# Verbs, replies, line ends and the lone dot, where they stand in a string; C and Python alike.
STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'')
PROTOCOL = re.compile(
    r"^.(?:(?:EHLO|HELO|LHLO|MAIL|RCPT|DATA|BDAT|RSET|NOOP|VRFY|QUIT|USER|PASS|APOP|RETR|DELE|STAT|LIST|TOP|UIDL|CAPA|"
    r"STLS|STARTTLS|AUTH)(?:[ :\\]|.$)|\+OK|-ERR|[2345]\d\d[ -]|\.\\n|\.\\r|\.$)|\\r|\\x0[dD]|MAIL FROM|RCPT TO")
PLANTED = ['send(fd, "250 OK", 6, 0);', 'if (memcmp(p, "QUIT", 4) == 0)', 'case \'\\r\':', 'write(b"DATA\\r\\n")',
           'puts("+OK ready");', 'say("-ERR no");', 'x = "MAIL FROM:<%s>"', 'end = b".\\r\\n"', "reply(b'354 go')"]
HARMLESS = ['dprintf(1, "smtp 127.0.0.1:%d\\n", port);', 'perror("listen");', '"the USER and his PASSwords"',
            '#include "store_files.h"', '{ MAILSRV_OP_READ, read_some }', 'x = "a 250 in the middle"', '"READ"']

PUBLIC = re.compile(r'#include [<"](mailsrv/[^>"]+|accounts\.h|house\.h|store_files\.h|tls_file\.h)[>"]|#include <[a-z_0-9/]+\.h>$')


def strings(line: str) -> list[str]:
    return STRING.findall(line)


def is_protocol(line: str) -> bool:
    return any(PROTOCOL.search(text) for text in strings(line))


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def main() -> None:
    tap = Tap()
    for line in PLANTED:
        tap.ok(is_protocol(line), f"this is protocol: {line}")
    for line in HARMLESS:
        tap.ok(not is_protocol(line), f"this is none: {line}")

    examples = sorted((ROOT / "examples").glob("*.[ch]"))
    hosts = [path for path in examples if path.suffix == ".c" and any("int main(" in line for line in lines(path))]
    tap.ok(len(hosts) >= 4, "four hosts and more", hosts)
    for path in hosts:
        tap.ok(len(lines(path)) <= HOST_LINES_MAX, f"{path.name} has {len(lines(path))} lines")
    store = ROOT / "examples/store_files.c"
    tap.ok(len(lines(store)) <= STORE_LINES_MAX, f"{store.name} has {len(lines(store))} lines")
    python = sorted((ROOT / "bindings").rglob("*.py"))
    tap.ok(python != [], "the binding is there")
    for path in [*examples, *python]:
        found = [f"{i}: {line}" for i, line in enumerate(lines(path), 1) if is_protocol(line)]
        tap.ok(not found, f"no line of protocol in {path.relative_to(ROOT)}", "\n".join(found))
    for path in examples:
        other = [line for line in lines(path) if line.startswith("#include") and not PUBLIC.match(line)]
        tap.ok(not other, f"{path.name} includes public headers alone", "\n".join(other))
        wide = [line for line in lines(path) if len(line) > COLUMNS_MAX]
        tap.ok(not wide, f"{path.name} has no line above {COLUMNS_MAX} columns", "\n".join(wide))
    tap.end()


if __name__ == "__main__":
    main()
