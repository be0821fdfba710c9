#!/usr/bin/env python3
"""Text that is looked for in messages, against a real Dovecot's SEARCH: the messages and the texts of sought.py.

usage: sought_dovecot.py BUILD PROGRAM [CLASS]    (PROGRAM is built from sought.c)

Texts with a line end in them are left out: a client can hardly send one, and Dovecot finds "a\\r\\nb" or not by what else
stands there ("-", which may begin a delimiter)."""
import copy
import os
import random
import re
import sys
import unicodedata
from collections import Counter
from pathlib import Path

from dovecot import Dovecot, Imap
from sought import BODY, FIELD, KINDS, Condition, Ours, Texts, asked, messages
from tap import Tap

ASKED_MAX = 8  # of one message
COMPOSED = ("windows-1255", "windows-1258")  # of these Dovecot's iconv holds a letter back, and at the end of a word it is lost


def decomposed(text: str) -> str:
    """RFC 5051 section 2: in titlecase, then decomposed."""
    return "".join(unicodedata.normalize("NFKD", c.upper() if len(c.upper()) == 1 else c) for c in text)


def decomposes(_: bytes, texts: Texts, condition: Condition) -> bool:
    """Is it found only so?"""
    other = copy.copy(texts)
    other.own = [(name, decomposed(value)) for name, value in texts.own]
    other.body, other.mime = list(map(decomposed, texts.body)), list(map(decomposed, texts.mime))
    kind, name, key = condition
    return other.has(kind, name, decomposed(key)) and not texts.has(kind, name, key)


# Where the two may differ, and why ours is right.
RULES = {
    "headers within": ("RFC 3501 section 6.4.4, BODY: messages that contain the string in the body of the message, and the header of a "
                       "message in it is in its body; Dovecot leaves all headers out",
                       lambda o, t, c: c[0] == BODY and re.search(rb"(?i)message/|digest", o)),
    "too deep": ("the scanner's bound (src/message/structure.h): behind it the text is found as it stands; Dovecot's lies elsewhere",
                 lambda o, t, c: re.search(rb"level100|Subject: 100\r", o)),
    "base64": ("RFC 2045 section 6.8: characters outside of the base64 alphabet are to be ignored; Dovecot ends there",
               lambda o, t, c: re.search(rb"(?i)encoding: *base64", o)),
    "odd Content-Type": ("RFC 2045 section 5.2: a part whose Content-Type cannot be read is text/plain; Dovecot leaves it out",
                         lambda o, t, c: "odd Content-Type" in t.broken),
    "sections": ("RFC 2231 section 3: the sections of a parameter are one value, which is found here; to Dovecot the field is text",
                 lambda o, t, c: "sections" in t.broken and c[0] != BODY),
    "tabs": ("RFC 5322 section 2.2.3 lets a field be folded at any white space, so that which blank stands there means nothing: to us "
             "a tab is a space, in Dovecot's texts as well, but for some of its fields",
             lambda o, t, c: c[0] != BODY and b"\t" in o),
    "accents": ("RFC 3501 section 6.4.4: a substring of the text, without regard to case alone; Dovecot takes accents off (RFC 5051), so "
                "that e finds \u00e9, and a dotless i finds i",
                decomposes),
}


def search(imap: Imap, condition: Condition) -> bool:
    """Whether the last message matches."""
    kind, name, key = condition
    octets = key.encode()
    field = f"HEADER {name} " if kind == FIELD else f"{KINDS[kind]} "
    said = imap.ask(b"SEARCH CHARSET UTF-8 * %s{%d+}\r\n%s" % (field.encode(), len(octets), octets))
    return any(re.match(rb"\* SEARCH \d+", line) for line in said)


def can_be_asked(condition: Condition) -> bool:
    """A field's name is a token to Dovecot."""
    kind, name, key = condition
    return "\n" not in key and "\r" not in key and (kind != FIELD or re.fullmatch(r"[\w-]+", name) is not None)


def check(theirs: Imap, ours: Ours, chance: random.Random, octets: bytes, others: list[Condition], rules: Counter) -> list[str]:
    texts = Texts(octets)
    conditions = [c for c in asked(chance, texts, others) if can_be_asked(c)]
    conditions = chance.sample(conditions, min(len(conditions), ASKED_MAX))
    bad = []
    for condition, found in zip(conditions, ours.seek(conditions, octets), strict=True):
        rules["found"] += found
        rules["conditions"] += 1
        if found == search(theirs, condition):
            continue
        rule = next((name for name, (_, fits) in RULES.items() if fits(octets, texts, condition)), None)
        if rule:
            rules[rule] += 1
        else:
            kind, name, key = condition
            bad.append(f"{KINDS[kind]} {name} {key!r}: {'found' if found else 'not found'} here, not so there")
    return bad


def run(tap: Tap, theirs: Imap, ours: Ours, only: str) -> None:
    seed, n, rules = int(os.environ.get("MAILSRV_SEED", "1")), 0, Counter()
    chance, others = random.Random(seed), []
    for name, message in messages(seed):
        if not name.startswith(only) or name.startswith(COMPOSED):
            continue
        n += 1
        theirs.append(message)
        octets = theirs.fetch(n, b"BODY.PEEK[]")[b"BODY[]"]  # every line of it ends with CRLF
        bad = check(theirs, ours, chance, octets, others, rules)
        tap.ok(not bad, f"{name} has the texts that Dovecot finds", "\n".join(bad))
    for rule, (why, _) in RULES.items():
        if rules[rule]:
            print(f"# {rules[rule]} texts: {rule} ({why})")
    print(f"# {rules['conditions']} conditions, {rules['found']} found")
    tap.ok(0 < rules["found"] < rules["conditions"], "some are found, and some are not")


def main() -> None:
    tap, build = Tap(), Path(sys.argv[1]).resolve()
    unpacked = {name: build.parent / f"dovecot-{name}" for name in ("core", "imapd")}
    if not all((path / "done").exists() for path in unpacked.values()):
        tap.ok(False, "Dovecot is here", "tests/build/setup unpack:dovecot-core unpack:dovecot-imapd unpacks it")
        tap.end()
    theirs, ours = Dovecot(unpacked), Ours(sys.argv[2])
    try:
        run(tap, theirs.imap, ours, sys.argv[3] if len(sys.argv) > 3 else "")
    finally:
        theirs.end()
    tap.end()


main()
