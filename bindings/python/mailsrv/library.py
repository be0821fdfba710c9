"""The shared libraries in ctypes, made from docs/symbols.csv: structs, callbacks, constants, prototypes.

`c` has each thing under its name in C: `c.mailsrv_op`, `c.MAILSRV_OK`, `c.mailsrv_engine_new(...)`.  The library itself
must be there at import; a function of one beside it, such as a store's, is looked up when it is first called.

Bytes and anonymous memory (`const uint8_t *`, `void *`) are addresses, so that nothing is read up to a NUL by mistake;
`const char *` is NUL-ended, as in C.  A struct that begins with `size` is made with it filled in.
"""
import csv
import ctypes
import ctypes.util
import os
import sys
from pathlib import Path
from typing import Any, Iterable, Iterator

SIMPLE = {
    "void": None, "uint8_t": ctypes.c_uint8, "uint16_t": ctypes.c_uint16, "uint32_t": ctypes.c_uint32,
    "int32_t": ctypes.c_int32, "uint64_t": ctypes.c_uint64, "int64_t": ctypes.c_int64, "size_t": ctypes.c_size_t,
    "void *": ctypes.c_void_p, "uint8_t *": ctypes.c_void_p, "char *": ctypes.c_char_p,
}


class Struct(ctypes.Structure):
    """What every struct of the csv is a subclass of."""

    def __init__(self, *values, **fields):
        super().__init__(*values, **fields)
        if self._fields_[0][0] == "size":
            self.size = ctypes.sizeof(self)


def symbols_path() -> Path:
    """MAILSRV_SYMBOLS, or beside the package, or in the source tree, or where the library's data is installed."""
    if given := os.environ.get("MAILSRV_SYMBOLS"):
        return Path(given)
    package = Path(__file__).resolve().parent
    places = [package, *(above / "docs" for above in list(package.parents)[2:3])]
    places += [Path(prefix) / "share" / "libmailserver" for prefix in (sys.prefix, "/usr/local", "/usr")]
    for place in places:
        if (place / "symbols.csv").is_file():
            return place / "symbols.csv"
    raise ImportError("libmailserver's symbols.csv is not found: MAILSRV_SYMBOLS may say where it is")


def load(name: str) -> ctypes.CDLL:
    """From MAILSRV_LIBRARY and what lies beside it, as installed or as built; or where the system looks."""
    given = os.environ.get("MAILSRV_LIBRARY")
    if not given:
        return ctypes.CDLL(ctypes.util.find_library(name) or f"lib{name}.so.1")
    main = Path(given).absolute()
    file = main.name.replace("mailserver", name, 1)
    places = [main.parent / folder / file for folder in (".", "stores", "tls", "uv")]
    return ctypes.CDLL(str(next((place for place in places if place.exists()), places[0])))


def groups(rows: Iterable[dict]) -> Iterator[tuple[dict, list[dict]]]:
    """Each thing with its fields or parameters, which follow it."""
    head, members = None, []
    for row in rows:
        if row["kind"] in ("field", "param"):
            members.append(row)
            continue
        if head is not None:
            yield head, members
        head, members = row, []
    if head is not None:
        yield head, members


class Library:
    """All that one symbols.csv describes, as attributes."""

    def __init__(self, symbols: Path):
        self.symbols = symbols
        self._types: dict[str, Any] = dict(SIMPLE)
        self._constants: dict[str, tuple[str, int]] = {}  # by name: header and value
        self._functions: dict[str, tuple] = {}  # by name: library, what is returned, what is taken
        self._loaded: dict[str, ctypes.CDLL] = {}
        with symbols.open(newline="") as lines:
            rows = list(csv.DictReader(lines))
        for row in rows:  # all of them first: a struct may point to one that comes later
            if row["kind"] in ("opaque", "struct"):
                self._types[row["name"]] = type(row["name"], (Struct,), {})
        self._incomplete = {head["name"]: members for head, members in groups(rows) if head["kind"] == "struct"}
        for head, members in groups(rows):
            getattr(self, "_add_" + head["kind"])(head, members)
        vars(self).update((name, made) for name, made in self._types.items() if name.startswith("mailsrv_"))
        vars(self).update((name, value) for name, (_, value) in self._constants.items())

    def _add_opaque(self, head: dict, members: list[dict]) -> None:
        pass  # it is only ever pointed to

    def _add_typedef(self, head: dict, members: list[dict]) -> None:
        self._types[head["name"]] = self._type(head["type"])

    def _add_struct(self, head: dict, members: list[dict]) -> None:
        self._complete(head["name"])

    def _complete(self, name: str) -> None:
        """Gives a struct its fields, after those structs that it holds: they may come later in the file."""
        members = self._incomplete.pop(name, ())
        for member in members:
            self._complete(member["type"].removeprefix("const ").partition("[")[0])
        if members:
            self._types[name]._fields_ = [(m["name"].rpartition(".")[2], self._type(m["type"])) for m in members]

    def _add_callback(self, head: dict, members: list[dict]) -> None:
        takes = [self._type(m["type"]) for m in members]
        self._types[head["name"]] = ctypes.CFUNCTYPE(self._type(head["type"]), *takes)

    def _add_function(self, head: dict, members: list[dict]) -> None:
        takes = [self._type(m["type"]) for m in members]
        self._functions[head["name"]] = head["library"], self._type(head["type"]), takes

    def _add_constant(self, head: dict, members: list[dict]) -> None:
        self._constants[head["name"]] = head["header"], int(head["value"])

    def _type(self, spelled: str) -> Any:
        spelled = spelled.removeprefix("const ")
        if spelled in self._types:
            return self._types[spelled]
        if spelled.endswith("]"):
            element, _, n = spelled[:-1].rpartition("[")
            return self._type(element) * int(n)
        if spelled.endswith("*"):
            return ctypes.POINTER(self._type(spelled[:-1].rstrip()))
        raise ImportError(f"{self.symbols} has a type that this package does not know: {spelled}")

    def __getattr__(self, name: str) -> Any:
        """A function, when it is first used."""
        try:
            library, returns, takes = self._functions[name]
        except KeyError:
            raise AttributeError(f"libmailserver has no {name}") from None
        if library not in self._loaded:
            self._loaded[library] = load(library)
        function = self._loaded[library][name]
        function.restype, function.argtypes = returns, takes
        setattr(self, name, function)
        return function

    def constants(self, prefix: str, header: str = "") -> dict[str, int]:
        """The constants whose names begin so (and that stand in a header), without the prefix."""
        return {name.removeprefix(prefix): value for name, (where, value) in self._constants.items()
                if name.startswith(prefix) and where.startswith(header)}


c = Library(symbols_path())
c.mailsrv_version()  # it is missed here, if it is not there
