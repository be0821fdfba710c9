"""Reads the public headers: they are plain declarations, so a small reader of C declarations is enough.

The tests let the compiler confirm what is read here (symbols.py layout).
"""
import re
from dataclasses import dataclass, field
from pathlib import Path

TOKEN = re.compile(r'"[^"]*"|[A-Za-z_]\w*|\d\w*|\.\.\.|[^\s\w]')


@dataclass
class Member:
    name: str
    type: str  # as in "const mailsrv_run *", "uint8_t[16]"; for a pointer to a function the callback's name


@dataclass
class Declaration:
    kind: str  # function, callback, struct, opaque, typedef, constant
    name: str
    header: str
    type: str = ""  # what a function returns, what a typedef stands for
    value: int | None = None
    members: list[Member] = field(default_factory=list)


def read(include: Path) -> list[Declaration]:
    """All declarations of the headers under `include`, in the order of their files."""
    found = []
    for path in sorted(include.glob("mailsrv/*.h")) + sorted(include.glob("mailsrv/stores/*.h")):
        header = path.relative_to(include).as_posix()
        found += constants(path.read_text(), header) + Reader(path.read_text(), header).declarations()
    defined = {d.name for d in found if d.kind == "struct"}
    seen, result = set(), []
    for d in found:  # a struct may be named before it is described, and more than once
        if d.kind == "opaque" and (d.name in defined or d.name in seen):
            continue
        seen.add(d.name)
        result.append(d)
    return result


def constants(text: str, header: str) -> list[Declaration]:
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    rows = []
    for name, value in re.findall(r"^#define (MAILSRV_\w+)[ \t]+(\S.*?)\s*$", text, flags=re.M):
        number = re.fullmatch(r"\(?(-?(?:0x[0-9A-Fa-f]+|\d+))(?:[uUlL]*)\)?", value)
        if number:
            rows.append(Declaration("constant", name, header, value=int(number[1], 0)))
        elif name != "MAILSRV_API":
            raise SystemExit(f"{header}: {name} is no number: {value}")
    return rows


class Reader:
    """One header, as tokens."""

    def __init__(self, text: str, header: str):
        text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
        text = re.sub(r"^#(\\\n|.)*$", " ", text, flags=re.M)
        text = re.sub(r'extern "C" \{', " ", text)
        self.tokens = TOKEN.findall(text)
        self.header = header

    def declarations(self) -> list[Declaration]:
        found: list[Declaration] = []
        while self.tokens:
            found += self.declaration(self.take_until(";"))
        return found

    def take_until(self, end: str) -> list[str]:
        depth, taken = 0, []
        while self.tokens:
            token = self.tokens.pop(0)
            if token == "}" and depth == 0 and not taken:
                continue  # the end of extern "C"
            depth += (token in "({") - (token in ")}")
            if token == end and depth == 0:
                return taken
            taken.append(token)
        if taken:
            raise SystemExit(f"{self.header}: no end: {' '.join(taken[:8])}")
        return []

    def declaration(self, tokens: list[str]) -> list[Declaration]:
        if not tokens:
            return []
        if tokens[0] == "MAILSRV_API":
            return self.function(tokens[1:])
        is_typedef = tokens[0] == "typedef"
        tokens = tokens[1:] if is_typedef else tokens
        if tokens[0] == "struct" and "{" in tokens:
            return self.struct(tokens)
        if tokens[0] == "struct" and len(tokens) <= 3:
            return [Declaration("opaque", tokens[1], self.header)]
        if is_typedef:
            member, extra = self.member(tokens, "")
            if extra:
                return extra
            return [Declaration("typedef", member.name, self.header, type=member.type)]
        raise SystemExit(f"{self.header}: not understood: {' '.join(tokens)}")

    def function(self, tokens: list[str]) -> list[Declaration]:
        at = tokens.index("(")
        name = tokens[at - 1]
        members, extra = self.parameters(tokens[at + 1 : -1], name)
        return extra + [Declaration("function", name, self.header, spell(tokens[: at - 1]), members=members)]

    def struct(self, tokens: list[str]) -> list[Declaration]:
        name, inside = tokens[1], tokens[tokens.index("{") + 1 :]
        inside = inside[: len(inside) - inside[::-1].index("}") - 1]
        members, extra = [], []
        for part in split(inside, ";"):
            member, more = self.member(part, name)
            members.append(member)
            extra += more
        return extra + [Declaration("struct", name, self.header, members=members)]

    def parameters(self, tokens: list[str], owner: str) -> tuple[list[Member], list[Declaration]]:
        members, extra = [], []
        for part in split(tokens, ","):
            if part == ["void"]:
                continue
            member, more = self.member(part, owner)
            members.append(member)
            extra += more
        return members, extra

    def member(self, tokens: list[str], owner: str) -> tuple[Member, list[Declaration]]:
        """One declarator; a pointer to a function becomes a callback of its own, named after it."""
        if "(" in tokens:
            at = tokens.index("(")
            name = tokens[at + 2]
            full = f"{owner}.{name}" if owner else name
            inner = tokens[at + 5 : -1]
            members, extra = self.parameters(inner, full)
            callback = Declaration("callback", full, self.header, spell(tokens[:at]), members=members)
            return Member(name, full), extra + [callback]
        if tokens[-1] == "]":
            return Member(tokens[-4], spell(tokens[:-4]) + f"[{tokens[-2]}]"), []
        return Member(tokens[-1], spell(tokens[:-1])), []


def split(tokens: list[str], at: str) -> list[list[str]]:
    parts, depth = [[]], 0
    for token in tokens:
        depth += (token == "(") - (token == ")")
        if token == at and depth == 0:
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if part]


def spell(tokens: list[str]) -> str:
    words = " ".join(token for token in tokens if token != "struct")
    return words.replace("* *", "**")
