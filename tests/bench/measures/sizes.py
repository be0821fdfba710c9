"""The code of each library, as size(1) counts text: its instructions and constants; and what most of it comes from."""
import subprocess
from collections import Counter
from pathlib import Path
from typing import Iterator

from peers.beside import Bench
from peers.server import BUILD
from peers.table import Row

LARGEST = 5


def text_of(files: list[Path]) -> dict[Path, int]:
    said = subprocess.run(["size", *files], capture_output=True, text=True, check=True).stdout
    return {Path(words[-1]): int(words[0]) for words in map(str.split, said.splitlines()[1:])}


def source(of: Path) -> str:
    """imap_fetch_shape.c.o was made of imap/fetch_shape.c."""
    return of.name.removesuffix(".o").replace("_", "/", 1)


def named(octets: Counter) -> str:
    return ", ".join(f"{name} {n / 1024:.1f}" for name, n in octets.most_common(LARGEST))


def run(bench: Bench) -> Iterator[Row]:
    for library in sorted((BUILD / "openssl/src").rglob("libmailserver*.so")):
        files = Counter({source(of): n for of, n in
                         text_of(sorted((library.parent / f"{library.stem}-internal.a.p").glob("*.o"))).items()})
        rooms = Counter()
        for name, n in files.items():
            rooms[name.partition("/")[0]] += n
        of = f"{named(rooms)}; {named(files)}" if library.stem == "libmailserver" else named(files)
        whole = text_of([library])[library]
        yield Row(f"{library.stem} (largest: {of})", "KiB", {"mailserverd": [whole / 1024]}, more=False)
