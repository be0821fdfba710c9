"""Reads the public headers with their comments: what each comment is about.

A comment stands above what it is about, with no empty line between, and holds for all declarations up to the next one
or to an empty line; or behind it, on its line.  One that begins with "----" begins a section.
"""
import re
from dataclasses import dataclass, field
from pathlib import Path

NAME = re.compile(r"\b(?:mailsrv_(?!_)|MAILSRV_)\w+")
GUARD = re.compile(r"#define MAILSRV_\w+_H$|#define MAILSRV_API")


@dataclass
class Declared:
    name: str
    kind: str  # function, callback, struct, opaque, typedef, constant, member
    text: str  # without comments
    above: str = ""  # what the comment says
    behind: str = ""
    members: list["Declared"] = field(default_factory=list)


@dataclass
class Group:
    """A comment, and what follows it; the comment or the declarations may be missing."""
    comment: str
    declared: list[Declared]


@dataclass
class Header:
    name: str  # "mailsrv/op.h"
    about: str
    groups: list[Group]

    def declared(self) -> list[Declared]:
        return [d for group in self.groups for d in group.declared]


def words(comment: str) -> str:
    """What stands between the marks of a comment, with its line ends."""
    inside = comment.removeprefix("/*").removesuffix("*/")
    lines = [re.sub(r"^\s*\* ?", "", line) if i else line.strip() for i, line in enumerate(inside.split("\n"))]
    return "\n".join(line.rstrip() for line in lines).strip("\n")


def pieces(text: str):
    """(what, text, empty lines before it, is it on the line of the last one) for comments, directives and code."""
    at, lines = 0, 1
    while at < len(text):
        blank = re.compile(r"\s*").match(text, at)
        lines, at = blank[0].count("\n"), blank.end()
        if at == len(text):
            return
        if text.startswith("/*", at):
            end = text.index("*/", at) + 2
            yield "comment", text[at:end], lines > 1, lines == 0
        elif text[at] == "#":
            end = at + re.match(r"(?:\\\n|/(?!\*)|[^\n/])*", text[at:]).end()
            yield "directive", text[at:end].strip(), lines > 1, False
        else:
            end = end_of(text, at)
            yield "code", text[at:end], lines > 1, False
        at = end


def end_of(text: str, at: int) -> int:
    """Behind the semicolon of a declaration; behind the brace of extern "C"."""
    if linkage := re.compile(r'extern "C" \{|\}').match(text, at):
        return linkage.end()
    depth = 0
    while True:
        if text.startswith("/*", at):
            at = text.index("*/", at) + 2
            continue
        depth += (text[at] in "({") - (text[at] in ")}")
        at += 1
        if text[at - 1] == ";" and depth == 0:
            return at


def bare(code: str) -> str:
    """Without comments, and without the room that they leave."""
    code = re.sub(r"[ \t]*/\*.*?\*/", "", code, flags=re.S)
    return re.sub(r"\n(?:[ \t]*\n)+", "\n", code).strip()


def named(code: str) -> Declared | None:
    """What a piece of code declares; nothing where it only says that there is a struct."""
    text = bare(code)
    for kind, pattern in (("function", r"MAILSRV_API[^;]*?(mailsrv_\w+)\("),
                          ("callback", r"typedef [^;(]*\(\*(\w+)\)\("),
                          ("struct", r"(?:typedef )?struct (\w+) \{"), ("opaque", r"typedef struct (\w+) \w+;"),
                          ("typedef", r"typedef \w+ (\w+);")):
        if found := re.match(pattern, text):
            made = Declared(found[1], kind, text)
            if kind == "struct":
                made.members = members(code[code.index("{") + 1:code.rindex("}")])
            return made
    return None


def members(inside: str) -> list[Declared]:
    made: list[Declared] = []
    above = ""
    for what, text, empty, same_line in pieces(inside):
        if what == "comment" and same_line and made:
            made[-1].behind = words(text)
        elif what == "comment":
            above = words(text)
        else:
            declared = bare(text).rstrip(";")
            name = re.search(r"\(\*(\w+)\)", declared) or re.search(r"(\w+)(?:\[\d+\])?$", declared)
            made.append(Declared(name[1], "member", declared, above=above))
            above = ""
    return made


def read(path: Path, name: str) -> Header:
    groups: list[Group] = []
    last: Declared | None = None
    for what, text, empty, same_line in pieces(path.read_text()):
        if what == "comment" and same_line and last is not None:
            last.behind = words(text)
        elif what == "comment":
            groups.append(Group(words(text), []))
        else:
            last = constant(text) if what == "directive" else named(text)
            if last is None:
                continue
            if empty or not groups:
                groups.append(Group("", []))
            groups[-1].declared.append(last)
            last.above = groups[-1].comment
    return Header(name, groups[0].comment, groups[1:])


def constant(directive: str) -> Declared | None:
    found = re.fullmatch(r"#define (MAILSRV_\w+)\s+(.+)", directive)
    return Declared(found[1], "constant", found[2]) if found and not GUARD.match(directive) else None


def read_all(include: Path) -> list[Header]:
    paths = sorted(include.glob("mailsrv/*.h")) + sorted(include.glob("mailsrv/stores/*.h"))
    return [read(path, path.relative_to(include).as_posix()) for path in paths]
