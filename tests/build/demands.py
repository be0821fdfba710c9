"""What the house demands of the comments in public headers, as far as a program can see it: each declaration says what
it is, who owns what and how long it lives, in which unit, what can fail, on which thread, and by which document."""
import re
from typing import Iterator

from comments import Declared, Header
from kinds import begins, kinds_of

LIFETIME = re.compile(r"\b(?:static|valid|lives?|alive|until|borrowed|copied|own|reference|freed?|stays?|given back)\b",
                      re.I)
OUTCOME = re.compile(r"MAILSRV_(?:OK|MORE|NOMEM|E_\w+|TEMP)|[Rr]esults? as|(?:^|\s)As mailsrv_\w+|"
                     r"what mailsrv_\w+ says|\b0: ")
QUANTITY = re.compile(r"(?:^|_)(?:time|timeout|delay|age|interval|period|date|wait|duration|length|len|bytes)$", re.I)
UNIT = re.compile(r"seconds|\bms\b|\bmin\b|octets", re.I)
ENDS = "free unref close".split()
KEYS = re.compile(r"MAILSRV_(?:PROFILE|CONFIG)_")
SOURCES = re.compile(r"MAILSRV_(?:EXT|SASL)_(?!ALL$)")


def faults(headers: list[Header]) -> list[str]:
    """Nothing, if all is well."""
    kinds = kinds_of(headers)
    known = {k.name for k in kinds}
    found = [f"{h.name}: {fault}" for h in headers if h.groups for fault in faults_of(h, known)]
    found += [f"operation {k.name}: no comment tells of it" for k in kinds if k.group is None]
    found += [f"operation {k.name}: its comment says nothing of an answer" for k in kinds
              if k.group and not re.search(r"answer|no value|a notice", " ".join(k.group.comment.split()), re.I)]
    functions = {d.name: d for h in headers for d in h.declared() if d.kind == "function"}
    return found + list(never_ended(headers, functions))


def faults_of(header: Header, kinds: set[str]) -> Iterator[str]:
    if not re.search(r"\bthread", header.about, re.I):
        yield "its first comment does not say on which threads"
    if not header.about.startswith(f"{header.name} - "):
        yield "its first comment does not begin with its name"
    for declared, said in with_comments(header, kinds):
        if not said:
            yield f"{declared.name} has no comment"
        elif declared.kind == "function":
            yield from of_function(declared, said)
        elif declared.kind == "constant":
            yield from of_constant(declared, said)
        yield from of_units(declared)


def with_comments(header: Header, kinds: set[str]) -> Iterator[tuple[Declared, str]]:
    """Each declaration with all that is said of it: in an operation's section its comment holds for what has none."""
    section = ""
    for group in header.groups:
        if begins(group, kinds):
            section = group.comment
        elif group.comment.startswith("----"):
            section = ""
        for declared in group.declared:
            own = "\n".join(filter(None, (declared.above, declared.behind)))
            yield declared, own or section


def of_function(declared: Declared, said: str) -> Iterator[str]:
    returns = declared.text.removeprefix("MAILSRV_API ").partition(declared.name)[0].strip()
    if returns == "int32_t" and not OUTCOME.search(said):
        yield f"{declared.name} does not say what it returns"
    if returns.endswith("*") and not LIFETIME.search(said):
        yield f"{declared.name} does not say how long what it returns lives, or whose it is"
    takes = declared.text.partition("(")[2]
    if re.search(r"const mailsrv_\w+ \*\*\w*out|mailsrv_bytes \*out", takes) and not LIFETIME.search(said):
        yield f"{declared.name} does not say how long what it fills in lives"
    if re.search(r"const mailsrv_allocator \*", takes) and "malloc" not in said and "copied" not in said:
        yield f"{declared.name} does not say what becomes of the allocator"
    if re.search(r"_(?:free|unref)$", declared.name) and "NULL is fine" not in said:
        yield f"{declared.name} does not say whether NULL is fine"


def of_constant(declared: Declared, said: str) -> Iterator[str]:
    if KEYS.match(declared.name) and not re.search(r"default|\boff\b|required", said):
        yield f"{declared.name} has no default"
    if SOURCES.match(declared.name) and "RFC" not in declared.behind and "draft-" not in declared.behind:
        yield f"{declared.name} does not name its RFC"


def of_units(declared: Declared) -> Iterator[str]:
    """A quantity has its unit in its name, or in its comment."""
    names = [(m.name, " ".join((m.above, m.behind))) for m in declared.members
             if re.match(r"(?:u?int\d+_t|size_t) \w", m.text)]
    if declared.kind == "function":
        names = [(name, declared.above) for name in re.findall(r"(?:int\d+_t|size_t) (\w+)", declared.text)]
    for name, said in names:
        if QUANTITY.search(name) and not UNIT.search(said):
            yield f"{declared.name}: {name} has no unit"


def never_ended(headers: list[Header], functions: dict[str, Declared]) -> Iterator[str]:
    """What a function makes has another one that ends it."""
    opaque = {d.name for h in headers for d in h.declared() if d.kind == "opaque"}
    for name, declared in functions.items():
        for made in re.findall(r"(?<!const )(mailsrv_\w+) \*\*out", declared.text):
            ending = re.compile(rf"_({'|'.join(ENDS)})\((?:struct )?{made} \*")
            ends = [d for d in functions.values() if ending.search(d.text)]
            if made in opaque and not ends and "Takes the next" not in declared.above:
                yield f"{name} makes a {made}, which nothing ends"
