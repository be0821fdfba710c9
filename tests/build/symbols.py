#!/usr/bin/env python3
"""docs/symbols.csv: what the public headers promise.  docs/symbols.md describes the file.

    symbols.py write               writes the file, the version scripts, and the pages of docs/reference, from the headers
    symbols.py check               are they what the headers say?
    symbols.py layout              prints a C file that compiles only if the compiler agrees with every row
    symbols.py exports NAME FILE   does the shared library FILE export what library NAME promises, and no more?
"""
import csv
import io
import re
import subprocess
import sys
from pathlib import Path

import headers
import reference

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docs" / "symbols.csv"
COLUMNS = "kind name type value size offset size_i386 offset_i386 since library header".split()
MAPS = {
    "mailserver": "src/mailserver.map",
    "mailserver-memory": "src/stores/memory/memory.map",
    "mailserver-pool": "src/stores/pool/pool.map",
    "mailserver-kit": "src/stores/kit/kit.map",
    "mailserver-durable": "src/stores/durable/durable.map",
    "mailserver-uv": "src/uv/uv.map",
    "mailserver-openssl": "src/tls/openssl/openssl.map",
    "mailserver-mbedtls": "src/tls/mbedtls/mbedtls.map",
}
SCALARS = {"uint8_t": 1, "uint16_t": 2, "uint32_t": 4, "int32_t": 4, "uint64_t": 8, "int64_t": 8}


class Abi:
    """Sizes on one kind of machine: LP64, or i386, which aligns 64-bit numbers to 4."""

    def __init__(self, declarations, pointer: int, align_max: int):
        self.by_name = {d.name: d for d in declarations}
        self.pointer, self.align_max = pointer, align_max

    def type(self, name: str) -> tuple[int, int]:
        """Size and alignment."""
        array = re.fullmatch(r"(.*)\[(\d+)\]", name)
        if array:
            size, align = self.type(array[1])
            return size * int(array[2]), align
        name = name.removeprefix("const ")
        known = self.by_name.get(name)
        if name.endswith("*") or name == "size_t" or (known and known.kind == "callback"):
            return self.pointer, self.pointer
        if name in SCALARS:
            return SCALARS[name], min(SCALARS[name], self.align_max)
        if known and known.kind == "typedef":
            return self.type(known.type)
        if known and known.kind == "struct":
            return self.struct(known)[:2]
        raise SystemExit(f"symbols.py: unknown type {name}")

    def struct(self, d) -> tuple[int, int, list[tuple[int, int]]]:
        """Size, alignment, and (size, offset) of each field."""
        at, align_all, fields = 0, 1, []
        for member in d.members:
            size, align = self.type(member.type)
            at = -(-at // align) * align
            fields.append((size, at))
            at, align_all = at + size, max(align_all, align)
        return -(-at // align_all) * align_all, align_all, fields


def library(header: str) -> str:
    beside = "/stores/" in header or header in ("mailsrv/uv.h", "mailsrv/openssl.h", "mailsrv/mbedtls.h")
    return "mailserver-" + Path(header).stem if beside else "mailserver"


def rows() -> list[dict]:
    declarations = headers.read(ROOT / "include")
    lp64, i386 = Abi(declarations, 8, 8), Abi(declarations, 4, 4)
    version = re.search(r"version: '([^']*)'", (ROOT / "meson.build").read_text())[1]
    since = {(r["kind"], r["name"]): r["since"] for r in stored()}
    made = []

    def add(d, kind, name, **more):
        row = dict.fromkeys(COLUMNS, "") | {"kind": kind, "name": name, "header": d.header} | more
        row["library"] = library(d.header)
        row["since"] = since.get((kind, name), version)
        made.append({k: str(v) for k, v in row.items()})

    for d in declarations:
        if d.kind == "struct":
            (size, _, fields), (size32, _, fields32) = lp64.struct(d), i386.struct(d)
            add(d, "struct", d.name, size=size, size_i386=size32)
            for m, (size, offset), (size32, offset32) in zip(d.members, fields, fields32):
                add(d, "field", f"{d.name}.{m.name}", type=m.type, size=size, offset=offset,
                    size_i386=size32, offset_i386=offset32)
            continue
        add(d, d.kind, d.name, type=d.type, value="" if d.value is None else d.value)
        for m in d.members:
            add(d, "param", f"{d.name}.{m.name}", type=m.type)
    return made


def stored() -> list[dict]:
    if not FILE.exists():
        return []
    with FILE.open(newline="") as f:
        return list(csv.DictReader(f))


def as_csv(made: list[dict]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(made)
    return text.getvalue()


def as_map(made: list[dict], name: str) -> str:
    node = "LIB" + name.upper().replace("-", "_") + "_1.0"
    names = sorted(r["name"] for r in made if r["kind"] == "function" and r["library"] == name)
    return "%s {\nglobal:\n%slocal:\n    *;\n};\n" % (node, "".join(f"    {n};\n" for n in names))


def wanted() -> dict[Path, str]:
    made = rows()
    files = {FILE: as_csv(made)}
    for name, path in MAPS.items():
        if any(r["library"] == name for r in made):
            files[ROOT / path] = as_map(made, name)
    return files


def write() -> int:
    for path, text in wanted().items():
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            print(f"wrote {path.relative_to(ROOT)}")
    return reference.write()


def check() -> int:
    stale = [p for p, text in wanted().items() if not p.exists() or p.read_text() != text]
    for path in stale:
        print(f"{path.relative_to(ROOT)} is not what the headers say: run tests/build/symbols.py write")
    return bool(stale)


def c_type(name: str, callbacks: dict[str, str], declarator: str) -> str:
    """`declarator` declared with a type of the file."""
    if name in callbacks:
        return callbacks[name].replace("(*)", f"(*{declarator})", 1)
    array = re.fullmatch(r"(.*)(\[\d+\])", name)
    if array:
        return f"{array[1]} ({declarator}){array[2]}"
    return f"{name} {declarator}"


def layout() -> int:
    made = stored()
    params: dict[str, list[dict]] = {}
    for r in made:
        if r["kind"] == "param":
            params.setdefault(r["name"].rpartition(".")[0], []).append(r)
    callbacks: dict[str, str] = {}

    def signature(r, middle):
        types = [c_type(p["type"], callbacks, "") for p in params.get(r["name"], [])]
        return f"{r['type']} {middle}({', '.join(types) or 'void'})"

    out = [f"#include <{h}>" for h in dict.fromkeys(r["header"] for r in made)] + ["#include <stddef.h>"]
    for r in made:
        if r["kind"] == "callback":
            callbacks[r["name"]] = signature(r, "(*)")
    for i, r in enumerate(made):
        kind, name = r["kind"], r["name"]
        if kind == "constant":
            out.append(f'_Static_assert({name} == {r["value"]}, "{name}");')
        elif kind == "struct":
            out.append(f'_Static_assert(sizeof({name}) == SIZE({r["size"]}, {r["size_i386"]}), "{name}");')
        elif kind == "field":
            owner, _, member = name.rpartition(".")
            place = f"(({owner} *)0)->{member}"
            out.append(f'_Static_assert(offsetof({owner}, {member}) == SIZE({r["offset"]}, {r["offset_i386"]}) && '
                       f'sizeof({place}) == SIZE({r["size"]}, {r["size_i386"]}), "{name}");')
            pointer = c_type(r["type"], callbacks, "*")
            out.append(f'_Static_assert(_Generic(&{place}, {pointer}: 1, default: 0), "{name}: {r["type"]}");')
        elif kind == "function":
            out.append(f"{signature(r, f'(*function_{i})')} = {name};")
        elif kind == "callback" and "." not in name:
            out.append(f"extern {c_type(name, callbacks, f'callback_{i}')};\nextern {name} callback_{i};")
        elif kind == "typedef":
            out.append(f"extern {r['type']} typedef_{i};\nextern {name} typedef_{i};")
        elif kind == "opaque":
            out.append(f"extern {name} *opaque_{i};")
    head = "#define SIZE(lp64, i386) (sizeof(void *) == 8 ? (lp64) : (i386))"
    print("\n".join(out[:1] + [head] + out[1:]))
    return 0


def exports(name: str, path: str) -> int:
    promised = {r["name"] for r in stored() if r["kind"] == "function" and r["library"] == name}
    lines = subprocess.run(["nm", "-D", "--defined-only", path], check=True, capture_output=True, text=True).stdout
    found = {line.split()[2].partition("@")[0] for line in lines.splitlines() if line.split()[1] != "A"}
    for extra in sorted(found - promised):
        print(f"{path} exports {extra}, which docs/symbols.csv does not have")
    for missing in sorted(promised - found):
        print(f"{path} does not export {missing}")
    return found != promised or not found


def main(args: list[str]) -> int:
    commands = {"write": write, "check": check, "layout": layout, "exports": exports}
    if not args or args[0] not in commands:
        raise SystemExit(__doc__)
    return commands[args[0]](*args[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
