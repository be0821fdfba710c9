#!/usr/bin/env python3
"""docs/reference: the public headers as pages to read, one for each, and an index.  It is written from the headers and
their comments, and nobody edits it by hand.

    reference.py write   writes the pages; symbols.py write does it, too
    reference.py check   are they what the headers say, and do the comments say what they must?
"""
import re
import sys
from pathlib import Path

import demands
from comments import NAME, Declared, Group, Header, read_all
from kinds import BEGIN, Kind, kinds_of

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / "docs" / "reference"
INDEX = "README.md"

# Where what a header is for is told from the beginning.
GUIDES = {
    "auth.h": ["sasl.md"], "ask.h": ["writing-a-store.md"], "base.h": ["embedding.md", "architecture.md"],
    "engine.h": ["embedding.md", "architecture.md"], "inbox.h": ["embedding.md"], "mbedtls.h": ["embedding.md"],
    "message.h": ["messages.md"], "op.h": ["writing-a-store.md", "embedding.md", "architecture.md"],
    "openssl.h": ["embedding.md"], "policy.h": ["smtp.md"], "profile.h": ["smtp.md", "pop3.md", "imap.md", "sasl.md"],
    "session.h": ["embedding.md"], "stats.h": ["embedding.md", "architecture.md"], "store.h": ["writing-a-store.md"], "tls.h": ["embedding.md"],
    "uv.h": ["embedding.md"],
    "stores/durable.h": ["store-format.md", "operating.md"], "stores/kit.h": ["writing-a-store.md"],
    "stores/memory.h": ["writing-a-store.md"], "stores/pool.h": ["writing-a-store.md"],
}
RFC = re.compile(r"RFC (\d+)(?: section (\d+(?:\.\d+)*))?")
NOTICE = "<!-- Written by tests/build/reference.py from {}: change it there. -->\n\n"


def short(header: str) -> str:
    return header.removeprefix("mailsrv/")


def page_of(header: str) -> str:
    return short(header).removesuffix(".h").replace("/", "-") + ".md"


class Links:
    """Where each name is told of."""

    def __init__(self, headers: list[Header], kinds: list[Kind]):
        self.pages = {d.name: page_of(h.name) for h in headers for d in h.declared()}
        self.kinds = {kind.name: page_of(kind.header) for kind in kinds}
        self.headers = {short(h.name): page_of(h.name) for h in headers}

    def name(self, name: str, here: str) -> str:
        if name not in self.pages:
            return f"`{name}`"
        page = self.pages[name]
        return f"[`{name}`]({'' if page == here else page}#{name})"

    def text(self, text: str, here: str) -> str:
        """Prose, with links in it, and with what means something to Markdown made harmless."""
        made, at = [], 0
        pattern = re.compile(rf"`[^`]+`|{NAME.pattern}(?:\.\.\.)?|{RFC.pattern}|\b[A-Z]+(?:_[A-Z]+)+\b|"
                             r"(?<![</\w])[a-z/]+\.h\b")
        for found in pattern.finditer(text):
            made += [harmless(text[at:found.start()]), self.linked(found[0], here)]
            at = found.end()
        return "".join(made) + harmless(text[at:])

    def linked(self, word: str, here: str) -> str:
        if word.startswith("`"):
            inside = word[1:-1]
            return self.name(inside, here) if inside in self.pages else word
        if rfc := RFC.fullmatch(word):
            where = f"#section-{rfc[2]}" if rfc[2] else ""
            return f"[{word}](https://www.rfc-editor.org/rfc/rfc{rfc[1]}{where})"
        if word in self.kinds:
            return f"[{harmless(word)}]({'' if self.kinds[word] == here else self.kinds[word]}#op-{word.lower()})"
        if word in self.headers:
            return f"[{word}]({self.headers[word]})"
        return self.name(word, here) if word in self.pages or word.endswith("...") else harmless(word)


def harmless(text: str) -> str:
    return re.sub(r"([\\*_<>\[\]|`])", r"\\\1", text)


def prose(comment: str, links: Links, here: str) -> str:
    """Paragraphs; what is indented stays as it stands."""
    made: list[str] = []
    for part in re.split(r"\n\n+", comment):
        made += blocks(part.split("\n"), links, here)
    return "\n\n".join(made)


def blocks(lines: list[str], links: Links, here: str) -> list[str]:
    made: list[tuple[bool, list[str]]] = []
    for line in lines:
        indented = line.startswith("  ")
        if not made or made[-1][0] != indented:
            made.append((indented, []))
        made[-1][1].append(line)
    return ["```text\n" + "\n".join(some) + "\n```" if indented else sentence(links.text("\n".join(some), here))
            for indented, some in made]


def sentence(text: str) -> str:
    """With a capital letter."""
    return text[:1].upper() + text[1:]


def cell(text: str, links: Links, here: str) -> str:
    return links.text(" ".join(text.split()), here)


def title(comment: str) -> tuple[str, str]:
    """Of a section: its title, and what else it says."""
    text = re.sub(r"\s*----$", "", comment.removeprefix("----").strip())
    first, _, rest = text.partition(" ----\n")
    if not rest:
        first, _, rest = text.partition("\n\n")
        if re.search(r"[.:] ", first) and "\n" in first or len(first) > 110:
            sentence = re.match(r"(.*?[.?:])\s+(.*)", first, re.S)
            first, rest = (sentence[1], sentence[2] + ("\n\n" + rest if rest else "")) if sentence else (first, rest)
    return " ".join(first.split()).rstrip(".:"), rest.strip("\n")


class Page:
    def __init__(self, header: Header, links: Links, kinds: list[Kind]):
        self.header, self.links, self.name = header, links, page_of(header.name)
        self.kinds = {id(kind.group): kind.names for kind in kinds if kind.header == header.name}
        self.lines: list[str] = []

    def text(self) -> str:
        first, _, about = self.header.about.partition("\n")
        first = first.removeprefix(self.header.name + " - ")
        self.add(NOTICE.format("include/" + self.header.name) + f"# {self.header.name}")
        self.add(self.prose("\n".join([first, about]).strip("\n")))
        guides = ", ".join(f"[{guide}](../{guide})" for guide in GUIDES.get(short(self.header.name), []))
        self.add(f"`#include <{self.header.name}>`" + (f". Guides: {guides}." if guides else "")
                 + f" [Index]({INDEX})")
        for group in self.header.groups:
            self.group(group)
        return "\n\n".join(self.lines) + "\n"

    def add(self, text: str) -> None:
        if text:
            self.lines.append(text)

    def prose(self, comment: str) -> str:
        return prose(comment, self.links, self.name)

    def group(self, group: Group) -> None:
        comment = group.comment
        names = self.kinds.get(id(group), [])
        anchors = "".join(f'<a id="op-{name.lower()}"></a>' for name in names)
        if names:
            head, comment = ", ".join(names), re.sub(r"\s*----(?=\n|$)", "", BEGIN.sub("", comment, count=1))
            self.add(f"{anchors}\n\n## {harmless(head)}")
        elif comment.startswith("----"):
            head, comment = title(comment)
            self.add(f"## {harmless(head)}")
        anchors = "".join(f'<a id="{d.name}"></a>' for d in group.declared)
        if anchors:
            self.add(anchors)
        self.add(self.prose(comment))
        rest = list(group.declared)
        while rest:
            constants = []
            while rest and rest[0].kind == "constant":
                constants.append(rest.pop(0))
            if constants:
                self.add(self.constants(constants))
            elif rest:
                self.one(rest.pop(0))

    def constants(self, constants: list[Declared]) -> str:
        rows = [f"| `{d.name}` | {d.text.strip('()')} | {self.means(d)} |" for d in constants]
        return "\n".join(["| constant | value | |", "| --- | --- | --- |", *rows])

    def means(self, declared: Declared) -> str:
        kind = re.sub("MAILSRV_(OP|NOTICE)_", "", declared.name)
        if kind in self.links.kinds:
            page = self.links.kinds[kind]
            return f"[{harmless(kind)}]({'' if page == self.name else page}#op-{kind.lower()})"
        return cell(declared.behind, self.links, self.name)

    def one(self, declared: Declared) -> None:
        text = declared.text.replace("MAILSRV_API ", "")
        if declared.kind != "struct":
            self.add(f"```c\n{text}\n```")
            return self.add(self.prose(declared.behind))
        self.add(f"`struct {declared.name}`")
        rows = [f"| `{' '.join(m.text.split())}` | {cell(' '.join([m.above, m.behind]), self.links, self.name)} |"
                for m in declared.members]
        self.add("\n".join(["| field | |", "| --- | --- |", *rows]))


def index(headers: list[Header], links: Links, kinds: list[Kind]) -> str:
    lines = [NOTICE.format("include/mailsrv") + "# Reference",
             "Every public header as a page: what is declared, and what its comments say of it. Where to begin is told "
             "in [embedding.md](../embedding.md) and [writing-a-store.md](../writing-a-store.md); the same as data is "
             "[symbols.csv](../symbols.csv)."]

    def section(head: str, columns: str, rows: list[str]) -> None:
        n = columns.count("|") + 1
        lines.append(f"## {head}\n\n| {columns} |\n|{' --- |' * n}\n" + "\n".join(f"| {row} |" for row in rows))

    def declared(*which: str, prefix: str = "") -> list[tuple[Header, Declared]]:
        return [(h, d) for h in headers for d in h.declared() if d.kind in which and d.name.startswith(prefix)]

    def means(d: Declared) -> str:
        return roles.get(d.name) or cell(d.behind or first_sentence(d.above), links, INDEX)

    roles = roles_of(kinds)

    section("Headers", "header | holds", [f"[{h.name}]({page_of(h.name)}) | " + cell(
        first_sentence(h.about.removeprefix(h.name + " - ")), links, INDEX) for h in headers])
    section("Operations", "kind | argument | answer | asks", [
        f"[{k.name}]({page_of(k.header)}#op-{k.name.lower()}) | {links.name(k.argument, INDEX)} | "
        f"{links.name(k.answer, INDEX) if k.answer else ''} | {cell(k.says, links, INDEX)}" for k in kinds])
    section("Statuses", "status | value | says", [
        f"{links.name(d.name, INDEX)} | {d.text.strip('()')} | {means(d)}" for h, d in declared("constant")
        if h.name == "mailsrv/base.h" and d.name != "MAILSRV_VERSION"])
    for head, prefix in (("Keys of a profile", "MAILSRV_PROFILE_"), ("Extensions", "MAILSRV_EXT_"),
                         ("Keys of a config", "MAILSRV_CONFIG_"), ("Events", "MAILSRV_EVENT_"),
                         ("Statistics", "MAILSRV_STAT_")):
        section(head, "constant | value | says", [f"{links.name(d.name, INDEX)} | {d.text} | {means(d)}"
                                                  for _, d in declared("constant", prefix=prefix)])
    for head, which in (("Functions", ("function",)), ("Types", ("struct", "opaque", "typedef", "callback"))):
        section(head, "name | header | is", [f"{links.name(d.name, INDEX)} | {short(h.name)} | {means(d)}"
                                             for h, d in sorted(declared(*which), key=lambda pair: pair[1].name)])
    return "\n\n".join(lines) + "\n"


def roles_of(kinds: list[Kind]) -> dict[str, str]:
    """Which structs are arguments and answers, and of which operations."""
    made: dict[str, list[str]] = {}
    for kind in kinds:
        link = f"[{harmless(kind.name)}]({page_of(kind.header)}#op-{kind.name.lower()})"
        for struct, role in ((kind.argument, "argument of"), (kind.answer, "answer to")):
            if struct:
                made.setdefault(struct, [role]).append(link)
    return {struct: f"{role} {', '.join(links)}" for struct, (role, *links) in made.items()}


def first_sentence(comment: str) -> str:
    text = comment.strip("- \n").split("\n\n")[0]
    return re.split(r"(?<=[.;])\s", " ".join(text.split()))[0].rstrip(";.")


def pages() -> dict[Path, str]:
    headers = read_all(ROOT / "include")
    kinds = kinds_of(headers)
    links = Links(headers, kinds)
    made = {PLACE / page_of(h.name): Page(h, links, kinds).text() for h in headers if h.groups}
    return made | {PLACE / INDEX: index([h for h in headers if h.groups], links, kinds)}


def broken(made: dict[Path, str]) -> list[str]:
    """Links of the pages to what is not there."""
    anchors = {path.name: set(re.findall(r'<a id="([^"]+)">', text)) for path, text in made.items()}
    wrong = []
    for path, text in made.items():
        for page, anchor in re.findall(r"\]\((?!https:)([^)#]*)(?:#([^)]*))?\)", text):
            if page.startswith("../") and not (PLACE / page).exists():
                wrong.append(f"{path.name}: no file {page}")
            elif not page.startswith("../") and (page or path.name) not in anchors:
                wrong.append(f"{path.name}: no page {page}")
            elif anchor and anchor not in anchors[page or path.name]:
                wrong.append(f"{path.name}: no {page}#{anchor}")
    return wrong


def write() -> int:
    PLACE.mkdir(exist_ok=True)
    made = pages()
    for path in [*made, *PLACE.glob("*.md")]:
        if path not in made:
            path.unlink()
        elif not path.exists() or path.read_text() != made[path]:
            path.write_text(made[path])
            print(f"wrote {path.relative_to(ROOT)}")
    return 0


def check() -> int:
    wrong, made = demands.faults(read_all(ROOT / "include")), pages()
    wrong += [f"{path.relative_to(ROOT)} is not what the headers say: run tests/build/reference.py write"
              for path, text in made.items() if not path.exists() or path.read_text() != text]
    wrong += [f"{path.relative_to(ROOT)} has no header" for path in PLACE.glob("*.md") if path not in made]
    wrong += broken(made)
    wrong += [f"{name}: no guide {guide}" for name, guides in GUIDES.items() for guide in guides
              if not (ROOT / "docs" / guide).exists()]
    print("\n".join(wrong), end="\n" if wrong else "")
    return bool(wrong)


if __name__ == "__main__":
    commands = {"write": write, "check": check}
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        raise SystemExit(__doc__)
    sys.exit(commands[sys.argv[1]]())
