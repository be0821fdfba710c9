#!/usr/bin/env python3
"""Text that is looked for in messages, against Python's email package: what that finds in the decoded text of a hard
message (hard.py), or of one written in a charset and an encoding, we find, and what it does not find we do not.

usage: sought.py PROGRAM [CLASS]    (PROGRAM is built from sought.c)"""
import base64
import email
import email.header
import email.message
import os
import quopri
import random
import re
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import hard
from tap import Tap

FIELD, BODY, TEXT = 0, 1, 2
KINDS = ("FIELD", "BODY", "TEXT")

# Where we may find something else than Python: what it says is broken, and why ours is right.
RULES = {
    "MissingHeaderBodySeparatorDefect": "RFC 5322 section 2.1: the body is separated from the header section by an empty line; "
                                        "for Python a line without a colon, or with blanks before it, begins the body",
    "StartBoundaryNotFoundDefect": "RFC 2046 section 5.1.1: what stands before the first delimiter is ignored; Python takes it for text",
    "CloseBoundaryNotFoundDefect": "RFC 2046 section 5.1.1: the boundary must only appear at the beginning of a line for it to be a "
                                   "delimiter; Python wants the line to end behind it",
    "InvalidBase64CharactersDefect": "RFC 2045 section 6.8: characters outside of the base64 alphabet are to be ignored; Python ignores "
                                     "the encoding instead",
    "InvalidBase64PaddingDefect": "RFC 2045 section 6.8: the end of the data ends the last group; Python ignores the encoding",
    "InvalidBase64LengthDefect": "RFC 2045 section 6.8: the end of the data ends the last group; Python ignores the encoding",
    "CR alone": "RFC 5322 section 2.3: CR and LF must only occur together as CRLF; for Python a CR alone ends a line",
    "blanks at an end": "RFC 2045 section 6.7, rule 3: white space at the end of a line must be deleted; Python leaves it",
    "too deep": "the scanner's bound (src/message/structure.h): behind it the text is found as it stands",
    "sections": "RFC 2231 section 3: the sections of a parameter are one value, which is found here; Python's field is text",
    "other message type": "RFC 3501 section 6.4.4 asks for the text of a body alone: of what is message, but not message/rfc822, we see "
                          "the octets as text, Python the parts of the message",
    "odd Content-Type": "RFC 2045 sections 5.1 and 5.2: blanks and comments may stand around type and subtype, and what cannot be read is "
                        "text/plain; Python sees no text there",
}
SIGNS = {"sections": re.compile(rb"\*\d*\*?="), "CR alone": re.compile(rb"\r(?!\n)"), "too deep": re.compile(rb"level100|Subject: 100\r"),
         "blanks at an end": re.compile(rb"(?s)quoted-printable.*[ \t]\r?\n")}
PLAIN_TYPE = re.compile(r"\s*[\w-]+/[\w.+-]+\s*(;|$)")


def folded(text: str) -> str:
    """As src/text/fold.h has it: one character for one.  A tab is a space."""
    def one(c: str) -> str:
        return next((f for f in (c.casefold(), c.lower()) if len(f) == 1), c)

    return "".join(map(one, text.replace("\t", " ")))


# ---- What Python finds ----

CODECS = {"iso-8859-1": "cp1252", "us-ascii": "utf-8", "macintosh": "mac_roman"}


def decoded(octets: bytes, charset: str | None) -> str:
    """RFC 2045 section 5.2: without a charset it is US-ASCII, of which UTF-8 is more."""
    name = (charset or "us-ascii").lower()
    try:
        return octets.decode(CODECS.get(name, name), "replace")
    except LookupError:
        return octets.decode("utf-8", "replace")


def value_of(raw: object) -> str:
    """A field's value: unfolded, its encoded words decoded."""
    text = str(raw).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    text = text.replace("\r\n", "").replace("\n", "")
    if "=?" not in text:
        return folded(text)
    parts = email.header.decode_header(text)
    return folded("".join(decoded(p, c) if isinstance(p, bytes) and c else p.decode("raw_unicode_escape")
                          if isinstance(p, bytes) else p for p, c in parts))


class Texts:
    """Of a message: its own fields, what BODY sees, and what TEXT sees beside both."""

    def __init__(self, octets: bytes):
        message = email.message_from_bytes(octets)
        self.own, self.body, self.mime = self.fields(message), [], []
        self.broken = {name for name, sign in SIGNS.items() if sign.search(octets)}
        self.see(message)

    @staticmethod
    def fields(message: email.message.Message) -> list[tuple[str, str]]:
        return [(folded(name), value_of(value)) for name, value in message.raw_items()]

    def see(self, part: email.message.Message) -> None:
        kind = part.get_content_maintype()
        if not PLAIN_TYPE.match(str(part.get("Content-Type", "text/plain"))):
            self.broken.add("odd Content-Type")
        if kind == "message" and part.get_content_subtype() != "rfc822":
            self.broken.add("other message type")
        if kind == "text":
            payload = part.get_payload(decode=True)
            self.body.append(folded(decoded(payload or b"", part.get_content_charset())))
        for inner in part.get_payload() if part.is_multipart() else []:
            to = self.body if kind == "message" else self.mime
            to += [": ".join(field) for field in self.fields(inner)]
            self.see(inner)
        self.broken |= {type(defect).__name__ for defect in part.defects}  # known once all of it was read

    def all(self) -> Iterator[tuple[int, str, str]]:
        """Each text, and what sees it: the kind of a condition, and a field's name."""
        yield from ((FIELD, name, value) for name, value in self.own)
        yield from ((BODY, "", text) for text in self.body)
        yield from ((TEXT, "", text) for text in self.mime)

    def has(self, kind: int, name: str, key: str) -> bool:
        """RFC 3501 section 6.4.4."""
        if kind == FIELD:
            return any(key in value for found, value in self.own if found == name)
        in_body = any(key in text for text in self.body)
        if kind == BODY or in_body:
            return in_body
        return any(key in text for text in self.mime) or any(key in ": ".join(field) for field in self.own)


# ---- Messages in charsets and encodings ----

SAMPLES = {
    "utf-8": "Grüße aus Πάτρα, Привет, 日本語 😀 ﬁn", "iso-8859-1": "Crème brûlée à la façade",
    "iso-8859-2": "Příliš žluťoučký kůň", "iso-8859-3": "Ĉu vi ŝatas ĝin", "iso-8859-4": "Ąžuolas šū",
    "iso-8859-5": "Съешь же ещё этих", "iso-8859-6": "نص حكيم", "iso-8859-7": "Ξεσκεπάζω την ψυχοφθόρα",
    "iso-8859-8": "דג סקרן שט בים", "iso-8859-9": "Pijamalı hasta yağız", "iso-8859-10": "Þú ðú Ŋuŋ",
    "iso-8859-13": "Ąžuolas šūvis", "iso-8859-14": "Ŵyŷ ḃó", "iso-8859-15": "5 € für Œuvre", "iso-8859-16": "Știință „și”",
    "windows-1250": "Zażółć gęślą jaźń", "windows-1251": "Широкая электрификация", "windows-1252": "“Curly” — quotes…",
    "windows-1253": "Γαζίες και μυρτιές", "windows-1254": "Şişli ığdır", "windows-1255": "עטלף אבק", "windows-1256": "نص حكيم له",
    "windows-1257": "Ąžuolas šūvis", "windows-1258": "Đêm ơi ư", "koi8-r": "Кириллица КОИ", "koi8-u": "Їжак ґанок",
    "cp437": "Größe ≥ ½", "cp850": "Größe über", "cp852": "Žluťoučký kůň", "cp855": "Досовский", "cp857": "Şişli ığdır",
    "cp866": "Досовский текст", "tis-620": "ภาษาไทย", "utf-16": "Wide ÄÖÜ text €", "utf-16le": "Wide ÄÖÜ 😀",
    "macintosh": "Café ‘quoted’",
}


def encoded(text: str, charset: str) -> bytes:
    return text.encode(CODECS.get(charset, charset), "replace")


def subject(chance: random.Random, charset: str, text: str) -> str:
    """Encoded words of a few characters, in both encodings, on one line or several."""
    charset, words = (charset, []) if not charset.startswith("utf-16") else ("utf-8", [])
    while text:
        n = chance.randint(1, 9)
        octets, text = encoded(text[:n], charset), text[n:]
        b = base64.b64encode(octets).decode()
        q = "".join(chr(o) if chr(o).isalnum() and o < 128 else "_" if o == 32 else f"={o:02X}" for o in octets)
        words.append(f"=?{charset}?{chance.choice(('b?' + b, 'q?' + q))}?=")
    return "".join(word + chance.choice((" ", "\r\n ", "\r\n\t")) for word in words).rstrip()


def written(chance: random.Random, charset: str, sample: str) -> bytes:
    texts = [chance.choice((sample, sample.upper(), sample.lower())) for _ in range(5)]
    octets = encoded(" ".join(texts), charset)
    how = chance.choice(("base64", "quoted-printable"))
    body = base64.encodebytes(octets) if how == "base64" else quopri.encodestring(octets)
    head = (f"Subject: {subject(chance, charset, texts[0])}\r\nFrom: =?utf-8?q?Zo=C3=AB?= <zoe@a.example>\r\nContent-Type: text/plain;\r\n"
            f" charset=\"{charset}\"\r\nContent-Transfer-Encoding: {how}\r\n\r\n")
    return head.encode() + body.replace(b"\n", b"\r\n")


def messages(seed: int) -> Iterator[tuple[str, bytes]]:
    chance = random.Random(seed)
    for charset, sample in SAMPLES.items():
        for n in range(3):
            yield f"{charset} {n}", written(chance, charset, sample)
    yield from hard.messages(seed)


# ---- Both ----

Condition = tuple[int, str, str]


class Ours:
    def __init__(self, program: str):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def seek(self, conditions: list[Condition], message: bytes) -> list[bool]:
        def octets(p: bytes) -> bytes:
            return struct.pack("<I", len(p)) + p

        asked = struct.pack("<I", len(conditions))
        for kind, name, key in conditions:
            asked += struct.pack("<I", kind) + octets(name.encode("utf-8", "surrogateescape")) + octets(key.encode())
        self.process.stdin.write(asked + octets(message))
        self.process.stdin.flush()
        return [c == ord("+") for c in self.process.stdout.readline().rstrip()]


def is_plain(key: str) -> bool:
    """No octet in it that is none of its charset, and no blank at an end: Python drops those of a value."""
    return key != "" and key == key.strip() and "\ufffd" not in key and all(not 0xD800 <= ord(c) < 0xE000 for c in key)


def asked(chance: random.Random, texts: Texts, others: list[Condition]) -> list[Condition]:
    """Pieces of its texts, each where it stands and wherever it may; and pieces of other messages'."""
    out: list[Condition] = []
    for kind, name, text in list(texts.all())[:40]:
        begin = chance.randrange(max(1, len(text)))
        key = text[begin:begin + chance.randint(1, 12)]
        if is_plain(key) and len(out) < 45:
            out += [(kind, name, key), (BODY, "", key), (TEXT, "", key)][:2 if kind == TEXT else 3]
    new = [(kind, name, key[:3]) for kind, name, key in out if is_plain(key[:3])]
    out += chance.sample(others, min(len(others), 12))
    others += chance.sample(new, min(len(new), 3))
    return out[:60]


def check(ours: Ours, chance: random.Random, message: bytes, others: list[Condition], rules: Counter) -> list[str]:
    texts = Texts(message)
    conditions = asked(chance, texts, others)
    found = ours.seek(conditions, message)
    bad = [f"{KINDS[c[0]]} {c[1]} {c[2]!r}: {'found' if us else 'not found'} here, not so by Python"
           for c, us in zip(conditions, found, strict=True) if us != texts.has(*c)]
    allowed = [rule for rule in RULES if rule in texts.broken]
    rules.update(allowed[:1] if bad else [])
    rules["conditions"] += len(conditions)
    rules["found"] += sum(found)
    return [] if allowed else bad


def main() -> None:
    tap, ours, rules = Tap(), Ours(sys.argv[1]), Counter()
    seed = int(os.environ.get("MAILSRV_SEED", "1"))
    chance, others = random.Random(seed), []
    for name, message in messages(seed):
        if len(sys.argv) > 2 and not name.startswith(sys.argv[2]):
            continue
        bad = check(ours, chance, message, others, rules)
        tap.ok(not bad, f"{name} has the texts that Python finds", "\n".join(bad))
    for rule in RULES:
        if rules[rule]:
            print(f"# {rules[rule]} messages: {rule} ({RULES[rule]})")
    print(f"# {rules['conditions']} conditions, {rules['found']} found")
    tap.ok(0 < rules["found"] < rules["conditions"], "some are found, and some are not")
    ours.process.stdin.close()
    tap.ok(ours.process.wait() == 0, "nothing failed")
    tap.end()


if __name__ == "__main__":
    main()
