#!/usr/bin/env python3
"""Functions and files of src/ that have grown too long to be read."""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FUNCTION_LINES_MAX, FILE_LINES_MAX, COLUMNS_MAX = 70, 1000, 120


def functions(lines: list[str]):
    """(first line, length) of each; in this style a function's braces stand in the first column."""
    start = None
    for i, line in enumerate(lines):
        if line == "{" or re.match(r"^[A-Za-z_].*\)\s*\{$", line):
            start = i
        elif line == "}" and start is not None:
            yield start + 1, i - start + 1
            start = None


def too_long() -> list[str]:
    bad, seen = [], 0
    for path in sorted((ROOT / "src").rglob("*.[ch]")):
        lines, name = path.read_text().splitlines(), path.relative_to(ROOT)
        if len(lines) > FILE_LINES_MAX:
            bad.append(f"{name} has {len(lines)} lines")
        bad += [f"{name}:{i + 1} has {len(l)} columns" for i, l in enumerate(lines) if len(l) > COLUMNS_MAX]
        for first, n in functions(lines):
            seen += 1
            if n > FUNCTION_LINES_MAX:
                bad.append(f"{name}:{first}: a function of {n} lines")
    return bad if seen else ["no function found"]


if __name__ == "__main__":
    found = too_long()
    print("\n".join(found))
    sys.exit(bool(found))
