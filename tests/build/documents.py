"""The documents: every code block and command in them is compiled or run, every name and path in them is there."""
import csv
import re
import shlex
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import configurations
from report import BUILD, ROOT, Report

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
PLAIN = BUILD / "plain" / "src"
TOP = "include src examples bindings tests docs".split()
OTHER_NAMES = "MAILSRV_API MAILSRV_SEED MAILSRV_LIBRARY MAILSRV_SYMBOLS".split()

# A command that would not end, or would begin these tests again, is run in the form that a test can run.
SAME_AS = {"examples/quickstart": "examples/quickstart --once", "tests/run": "tests/run --list",
           "tests/bench/run": "tests/bench/run --list"}


@dataclass
class Block:
    document: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document.relative_to(ROOT)}:{self.line} ({self.language})"


def documents() -> list[Path]:
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md")),
            *sorted((ROOT / "bindings").glob("*/README.md"))]


def blocks(document: Path) -> list[Block]:
    text = document.read_text()
    return [Block(document, text.count("\n", 0, m.start()) + 1, m[1], m[2]) for m in BLOCK.finditer(text)]


def run(p: Report) -> None:
    configurations.build("plain", p)  # what the programs of documents are linked with
    for document in documents():
        names_and_paths(p, document)
        with tempfile.TemporaryDirectory() as where:
            copy_of_tree(Path(where))
            for block in blocks(document):
                run_block(p, block, Path(where))
    code_map(p)
    announced(p)
    p.command("docs/reference is what the headers say, and they say what they must",
              ["python3", "tests/build/reference.py", "check"])
    p.command("each demand on comments finds where it is not met", ["python3", "tests/build/wanting.py"])


def copy_of_tree(where: Path) -> None:
    """What is in the repository: commands of a document are run one after the other in a tree of their own."""
    listed = subprocess.run(["git", "-c", "safe.directory=*", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT,
                            capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (where / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, where / name, follow_symlinks=False)


def run_block(p: Report, block: Block, where: Path) -> None:
    if block.language == "text":
        return
    if block.language == "sh":
        lines = block.text.splitlines()
        script = "\n".join(runnable(line) for line in lines)
        p.command(f"{block} runs", ["sh", "-ec", script], cwd=where, env={"CI": ""})
    elif block.language == "c":
        compile_c(p, block, where)
    elif block.language == "python":
        if not is_excerpt(block):
            env = {"PYTHONPATH": f"{where}/bindings/python", "MAILSRV_LIBRARY": str(PLAIN / "libmailserver.so")}
            p.command(f"{block} runs", ["python3", "-c", block.text], cwd=where, env=env)
        else:
            p.ok(f"{block} stands in a file that is tested")
    else:
        p.bad(f"{block}: nobody tests a block of this language")


def runnable(line: str) -> str:
    words = shlex.split(line, comments=True)
    if not words or words[0] not in SAME_AS:
        return line
    return shlex.join(shlex.split(SAME_AS[words[0]]) + [w for w in words[1:] if w not in SAME_AS[words[0]]])


def is_excerpt(block: Block) -> bool:
    """Does the block stand, line for line, in a file that is compiled or run by the tests?"""
    files = [f for top in ("examples", "include", "bindings", "src", "tests") for f in (ROOT / top).rglob("*.[chp]*")]
    lines = [line.strip() for line in block.text.strip().splitlines()]
    text = "\n".join(lines)
    return any(text in "\n".join(l.strip() for l in f.read_text().splitlines()) for f in files if f.is_file())


def compile_c(p: Report, block: Block, where: Path) -> None:
    """A whole program is built and linked against everything; a part of one is an excerpt, or compiles by itself."""
    if is_excerpt(block):
        p.ok(f"{block} stands in a file that is compiled")
        return
    source = where / "block.c"
    source.write_text(block.text)
    flags = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function", f"-I{ROOT}/include"]
    if " main(" in block.text:
        libraries = [PLAIN / "stores" / f"libmailserver-{name}.a" for name in ("kit", "pool", "memory")]
        libraries = [library for library in libraries if library.exists()] + [PLAIN / "libmailserver.a"]
        p.command(f"{block} is a program", ["gcc", *flags, source, *libraries, "-lpthread", "-o", where / "block"])
    else:
        p.command(f"{block} compiles", ["gcc", *flags, "-fsyntax-only", source])


def parts(p: Report) -> list[str]:
    return p.run(["tests/run", "--list"]).stdout.split()


def names_and_paths(p: Report, document: Path) -> None:
    with (ROOT / "docs/symbols.csv").open(newline="") as f:
        known = {row["name"] for row in csv.DictReader(f)}
    known |= {name.rpartition(".")[0] for name in known}
    text = document.read_text()
    prose = BLOCK.sub("", text)
    wrong = []
    for code in INLINE.findall(prose):
        for name in re.findall(r"\b(?:mailsrv_(?!_)|MAILSRV_)\w+", code):
            family = name.endswith("_") and any(k.startswith(name) for k in known)
            if name not in known and not family and name not in OTHER_NAMES:
                wrong.append(f"no symbol {name}")
        word = code.split()[0]
        if word == "tests/run":
            wrong += [f"no part {part}" for part in code.split()[1:] if part.isalnum() and part.islower() and part not in parts(p)]
        if word.split("/")[0] in TOP and "/" in word and not any(c in word for c in "*<>{…$["):
            if not (ROOT / word).exists():
                wrong.append(f"no file {word}")
    for link in LINK.findall(prose):
        if not (document.parent / link).exists():
            wrong.append(f"no file {link}")
    p.check(f"names and paths in {document.relative_to(ROOT)}", not wrong, "\n".join(wrong))


def code_map(p: Report) -> None:
    """docs/CODE-MAP.md has a line for each file of src, or for a pair of them as x.[ch], and no other."""
    text = (ROOT / "docs/CODE-MAP.md").read_text()
    listed = set(re.findall(r"^\| `(src/[^`]+\.[ch])` \|", text, re.M))
    listed |= {pair + end for pair in re.findall(r"^\| `(src/[^`]+\.)\[ch\]` \|", text, re.M) for end in "ch"}
    there = {str(f.relative_to(ROOT)) for f in (ROOT / "src").rglob("*.[ch]")}
    p.check("the code map has every file of src", not there - listed, "\n".join(sorted(there - listed)))
    p.check("the code map has no file that is gone", not listed - there, "\n".join(sorted(listed - there)))


def announced(p: Report) -> None:
    """Every exported function is named where embedders read what is new."""
    text = (ROOT / "CHANGELOG.md").read_text()
    with (ROOT / "docs/symbols.csv").open(newline="") as f:
        functions = [row["name"] for row in csv.DictReader(f) if row["kind"] == "function"]
    missing = [name for name in functions if f"`{name}`" not in text]
    p.check("the changelog names every function", bool(functions) and not missing, "\n".join(missing))
