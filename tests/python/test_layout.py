"""What ctypes makes of symbols.csv is what the compiler makes of the headers: every size, offset, number and function."""
import csv
import ctypes
import os
import shlex
import subprocess
import tempfile
import unittest
from pathlib import Path

import tap
from mailsrv import c

ROOT = Path(__file__).resolve().parents[2]

with (ROOT / "docs/symbols.csv").open(newline="") as table:
    SYMBOLS = list(csv.DictReader(table))

PRINT = {
    "struct": 'printf("{name} %zu\\n", sizeof({name}));',
    "field": 'printf("{name} %zu %zu\\n", offsetof({owner}, {member}), sizeof((({owner} *)0)->{member}));',
    "constant": 'printf("{name} %lld\\n", (long long){name});',
    "typedef": 'printf("{name} %zu\\n", sizeof({name}));',
}


def program() -> str:
    """It prints what the compiler knows of each symbol."""
    lines = ["#include <stdio.h>"]
    lines += sorted({f"#include <{row['header']}>" for row in SYMBOLS})
    lines += ["int main(void)", "{"]
    for row in SYMBOLS:
        owner, _, member = row["name"].rpartition(".")
        if row["kind"] in PRINT:
            lines.append(PRINT[row["kind"]].format(name=row["name"], owner=owner, member=member))
    return "\n".join([*lines, "}", ""])


def of_the_compiler() -> dict[str, list[int]]:
    with tempfile.TemporaryDirectory() as where:
        source, built = Path(where) / "layout.c", Path(where) / "layout"
        source.write_text(program())
        subprocess.run([*shlex.split(os.environ.get("CC", "cc")), f"-I{ROOT / 'include'}", source, "-o", built],
                       check=True)
        lines = subprocess.run([built], check=True, capture_output=True, text=True).stdout.splitlines()
    return {name: [int(n) for n in numbers] for name, *numbers in map(str.split, lines)}


def of_ctypes(row: dict[str, str]) -> list[int]:
    owner, _, member = row["name"].rpartition(".")
    if row["kind"] == "constant":
        return [getattr(c, row["name"])]
    if row["kind"] == "field":
        field = getattr(getattr(c, owner), member)
        return [field.offset, field.size]
    return [ctypes.sizeof(getattr(c, row["name"]))]


class Layout(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.compiled = of_the_compiler()

    def differences(self, *kinds: str) -> list[str]:
        rows = [row for row in SYMBOLS if row["kind"] in kinds]
        self.assertGreater(len(rows), 0)
        return [f"{row['name']}: {of_ctypes(row)}, the compiler says {self.compiled[row['name']]}" for row in rows
                if of_ctypes(row) != self.compiled[row["name"]]]

    def test_pointers_have_64_bits(self):
        self.assertEqual(ctypes.sizeof(ctypes.c_void_p), 8)

    def test_sizes(self):
        self.assertEqual(self.differences("struct", "typedef"), [])

    def test_fields(self):
        self.assertEqual(self.differences("field"), [])

    def test_constants(self):
        self.assertEqual(self.differences("constant"), [])

    def test_the_table_says_the_same(self):
        wrong = []
        for row in SYMBOLS:
            said = {"struct": [row["size"]], "field": [row["offset"], row["size"]], "constant": [row["value"]]}
            if row["kind"] in said and list(map(int, said[row["kind"]])) != of_ctypes(row):
                wrong.append(row["name"])
        self.assertEqual(wrong, [])

    def test_every_function_is_there(self):
        functions = [row["name"] for row in SYMBOLS if row["kind"] == "function"]
        self.assertGreater(len(functions), 50)
        for name in functions:
            self.assertTrue(callable(getattr(c, name)), name)

    def test_a_function_takes_what_it_is_said_to(self):
        self.assertEqual(c.mailsrv_session_feed.argtypes,
                         [ctypes.POINTER(c.mailsrv_session), ctypes.c_void_p, ctypes.c_size_t,
                          ctypes.POINTER(ctypes.c_size_t)])
        self.assertEqual(c.mailsrv_engine_stat.restype, ctypes.c_uint64)
        self.assertIsNone(c.mailsrv_session_free.restype)


if __name__ == "__main__":
    tap.main()
