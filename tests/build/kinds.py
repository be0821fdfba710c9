"""The kinds of operations, as the comments of the headers tell them."""
import re
from dataclasses import dataclass

from comments import Group, Header

BEGIN = re.compile(r"(?:---- )?([A-Z]+(?:_[A-Z]+)*(?:, [A-Z]+(?:_[A-Z]+)*)*)(?:, a notice)?: ")


@dataclass
class Kind:
    name: str  # "BODY_WRITE"
    header: str
    group: Group | None  # whose comment it is; None: there is none
    names: list[str]  # all that the comment is about
    argument: str = ""  # the struct
    answer: str = ""
    says: str = ""


def begins(group: Group, known: set[str]) -> list[str]:
    """The kinds that a comment is about."""
    found = BEGIN.match(group.comment)
    names = found[1].split(", ") if found else []
    return names if names and set(names) <= known else []


def kinds_of(headers: list[Header]) -> list[Kind]:
    numbers = [re.sub("MAILSRV_(OP|NOTICE)_", "", d.name) for h in headers for d in h.declared()
               if d.kind == "constant" and re.match("MAILSRV_(OP|NOTICE)_", d.name)]
    structs = {d.name for h in headers for d in h.declared() if d.kind == "struct"}
    made = {}
    for header in headers:
        for group in header.groups:
            for name in (names := begins(group, set(numbers))):
                made[name] = described(Kind(name, header.name, group, names), structs)
    return [made.get(name, Kind(name, "mailsrv/op.h", None, [])) for name in numbers]


def described(kind: Kind, structs: set[str]) -> Kind:
    comment = " ".join(kind.group.comment.split())
    own = f"mailsrv_arg_{kind.name.lower()}"
    said = re.search(r"Argument: (?:struct )?(mailsrv_\w+)", comment)
    kind.argument = said[1] if said else own if own in structs else "mailsrv_arg_close"
    answer = re.search(r"(?:Answer: |with a |: )(mailsrv_(?!arg_)\w+)", comment)
    kind.answer = answer[1] if answer and answer[1] in structs else ""
    kind.says = re.split(r"(?<=[.?])\s|;| ----", BEGIN.sub("", comment, count=1))[0].rstrip(".")
    return kind
