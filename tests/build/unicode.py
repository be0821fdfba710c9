#!/usr/bin/env python3
"""unicode.py [write]: writes src/text/fold_table.h and charset_tables.h out of Python's own tables, or says whether
they are as it would write them.

What Python's Unicode is newer or older in than the one that wrote them is told, and no error."""
import sys
import unicodedata
from pathlib import Path

TEXT = Path(__file__).resolve().parents[2] / "src/text"
NOTE = "/* Written by tests/build/unicode.py: do not edit. */\n"

# Python's name, and those of IANA and of everyday, letters and digits only
CHARSETS = {
    "cp1252": "WINDOWS1252 CP1252 ISO88591 LATIN1 L1",
    "iso8859_2": "ISO88592 LATIN2 L2", "iso8859_3": "ISO88593 LATIN3", "iso8859_4": "ISO88594 LATIN4",
    "iso8859_5": "ISO88595 CYRILLIC", "iso8859_6": "ISO88596 ARABIC", "iso8859_7": "ISO88597 GREEK",
    "iso8859_8": "ISO88598 ISO88598I HEBREW", "iso8859_9": "ISO88599 LATIN5", "iso8859_10": "ISO885910 LATIN6",
    "cp874": "ISO885911 TIS620 WINDOWS874 CP874", "iso8859_13": "ISO885913", "iso8859_14": "ISO885914 LATIN8",
    "iso8859_15": "ISO885915 LATIN9", "iso8859_16": "ISO885916 LATIN10",
    "cp1250": "WINDOWS1250 CP1250", "cp1251": "WINDOWS1251 CP1251", "cp1253": "WINDOWS1253 CP1253",
    "cp1254": "WINDOWS1254 CP1254", "cp1255": "WINDOWS1255 CP1255", "cp1256": "WINDOWS1256 CP1256",
    "cp1257": "WINDOWS1257 CP1257", "cp1258": "WINDOWS1258 CP1258",
    "koi8_r": "KOI8R", "koi8_u": "KOI8U", "cp437": "IBM437 CP437", "cp850": "IBM850 CP850", "cp852": "IBM852 CP852",
    "cp855": "IBM855 CP855", "cp857": "IBM857 CP857", "cp858": "IBM00858 IBM858 CP858", "cp866": "IBM866 CP866",
    "mac_roman": "MACINTOSH MACROMAN MAC XMACROMAN", "mac_cyrillic": "XMACCYRILLIC MACCYRILLIC",
}


def upper(codec: str) -> list[int]:
    """What the octets from 128 on are; Python's cp1252 leaves five out, which are controls in ISO-8859-1."""
    table = [ord(bytes([o]).decode(codec, "replace")) for o in range(0x80, 0x100)]
    if codec == "cp1252":
        table = [o + 0x80 if c == 0xFFFD else c for o, c in enumerate(table)]
    return table


def charset_tables() -> str:
    out = NOTE + "#ifndef TEXT_CHARSET_TABLES_H\n#define TEXT_CHARSET_TABLES_H\n\n#include \"base/span.h\"\n\n"
    out += f"static const uint16_t charset_upper[{len(CHARSETS)}][128] = {{\n"
    for codec in CHARSETS:
        numbers = [f"{c:#06x}" for c in upper(codec)]
        lines = [", ".join(numbers[i:i + 12]) for i in range(0, 128, 12)]
        out += f"    /* {codec} */\n    {{ " + ",\n      ".join(lines) + " },\n"
    out += "};\n\nstatic const struct {\n    struct span name;\n    uint8_t table;\n} charset_names[] = {\n"
    for number, names in enumerate(CHARSETS.values()):
        out += "".join(f"    {{ {{ \"{name}\", {len(name)} }}, {number} }},\n" for name in names.split())
    return out + "};\n\n#endif\n"


def folded(c: int) -> int:
    """CaseFolding.txt's C and S: where the full folding is of several characters, the small letter if it is one."""
    for text in (chr(c).casefold(), chr(c).lower()):
        if len(text) == 1:
            return ord(text)
    return c


def fold_runs() -> list[list[int]]:
    """[first, how many, step, what is added]: characters one or two apart to which the same is added."""
    runs: list[list[int]] = []
    for c in range(0x80, 0x110000):
        by = folded(c) - c
        if by == 0:
            continue
        first, n, step, before = runs[-1] if runs else (0, 0, 0, 0)
        if runs and by == before and c - first == n * step:
            runs[-1][1] += 1
        elif runs and by == before and n == 1 and c - first in (1, 2):
            runs[-1][1:3] = [2, c - first]
        else:
            runs.append([c, 1, 1, by])
    return runs


def fold_table() -> str:
    runs = fold_runs()
    out = NOTE + f"/* Unicode {unicodedata.unidata_version}: {len(runs)} runs of 12 octets. */\n"
    out += "#ifndef TEXT_FOLD_TABLE_H\n#define TEXT_FOLD_TABLE_H\n\n#include <stdint.h>\n\n"
    out += "static const struct {\n    uint32_t first;\n    uint16_t n, step;\n    int32_t by;\n} fold_runs[] = {\n"
    out += "".join(f"    {{ {first:#x}, {n}, {step}, {by} }},\n" for first, n, step, by in runs)
    return out + "};\n\n#endif\n"


def main() -> None:
    files = {TEXT / "charset_tables.h": charset_tables(), TEXT / "fold_table.h": fold_table()}
    if sys.argv[1:] == ["write"]:
        for path, text in files.items():
            path.write_text(text)
        return
    wrong = [path.name for path, text in files.items() if path.read_text() != text]
    if f"Unicode {unicodedata.unidata_version}:" not in (TEXT / "fold_table.h").read_text():
        print(f"fold_table.h is of another Unicode than {unicodedata.unidata_version}")
        wrong = [name for name in wrong if name != "fold_table.h"]
    if wrong:
        sys.exit(f"not as tests/build/unicode.py writes it: {', '.join(wrong)}")


main()
