"""The structs of operations and answers in Python's own terms, both ways.

What comes from C is copied at once, because it lives only until the operation is answered: bytes as `bytes`, ids and
cursors too, runs of UIDs as `range`, arrays as tuples, structs as `Record` with the names of their fields.  `size`,
counts and strides are seen to here.
"""
import ctypes
from functools import cache
from types import SimpleNamespace
from typing import Any, Iterator, Mapping, Sequence

from .library import Struct, c

SECRETS = {("mailsrv_arg_auth_verify", "password")}


class Secret(bytearray):
    """A password.  It is wiped when its operation is settled, and no repr shows it."""

    @classmethod
    def of(cls, lent: Struct) -> "Secret":
        """A copy, the only one that is made."""
        secret = cls(lent.n)
        if lent.n:
            ctypes.memmove((ctypes.c_char * lent.n).from_buffer(secret), lent.p, lent.n)
        return secret

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def wipe(self) -> None:
        self[:] = bytes(len(self))


class Record(SimpleNamespace):
    """A struct from C, copied: its fields are attributes."""


@cache
def arrays(kind: type[Struct]) -> dict[str, tuple[str, str | None]]:
    """The arrays of a struct, each with the field of its count and that of its stride, as the headers name them: `n`
    and `stride`, or for `bodies` `n_bodies` and `body_stride`."""
    members = dict(kind._fields_)
    found = {}
    for name, made in members.items():
        if isinstance(made, type) and issubclass(made, ctypes._Pointer):
            one = name[:-3] + "y" if name.endswith("ies") else name[:-1]
            count = next((n for n in (f"n_{name}", "n") if n in members), None)
            if count is None:  # it points to one thing
                continue
            strides = (f"{one}_stride", "stride") if count == "n" else (f"{one}_stride",)
            found[name] = count, next((s for s in strides if s in members), None)
    return found


@cache
def plain_fields(kind: type[Struct]) -> tuple[str, ...]:
    """What is neither an array nor there for C alone."""
    hidden = {"size", "reserved", *arrays(kind), *(name for pair in arrays(kind).values() for name in pair)}
    return tuple(name for name, _ in kind._fields_ if name not in hidden)


def is_octets(kind: type) -> bool:
    """Is it an id or a cursor?"""
    return issubclass(kind, Struct) and [name for name, _ in kind._fields_] == ["b"]


def copy_of(kind: type, address: int, octets: int) -> Any:
    """One of `kind`, of which only so many octets may be there: an older library has shorter structs."""
    made = kind()
    ctypes.memmove(ctypes.addressof(made), address, min(octets, ctypes.sizeof(kind)))
    return made


def read(value: Any) -> Any:
    """A copy of what came from C."""
    kind = type(value)
    if isinstance(value, ctypes.Array):
        return tuple(value)
    if not isinstance(value, ctypes.Structure):
        return value
    if kind is c.mailsrv_bytes:
        return ctypes.string_at(value.p, value.n) if value.n else b""
    if kind is c.mailsrv_run:
        return range(value.first, value.last + 1)
    if is_octets(kind):
        return bytes(value.b)
    record = Record()
    for name in plain_fields(kind):
        make = Secret.of if (kind.__name__, name) in SECRETS else read
        setattr(record, name, make(getattr(value, name)))
    for name in arrays(kind):
        setattr(record, name, read_array(value, name))
    return record


def elements(owner: Struct, name: str) -> Iterator[Any]:
    """Those of an array, copied; what they point to is still C's."""
    count, stride = arrays(type(owner))[name]
    pointer = getattr(owner, name)
    element = pointer._type_
    step = getattr(owner, stride) if stride else ctypes.sizeof(element)
    base = ctypes.cast(pointer, ctypes.c_void_p).value or 0
    return (copy_of(element, base + i * step, step) for i in range(getattr(owner, count)))


def read_array(owner: Struct, name: str) -> tuple:
    return tuple(read(item) if isinstance(item, Struct) else item.value for item in elements(owner, name))


def fill(kind: type, fields: Mapping[str, Any], keep: list[bytes]) -> Any:
    """A struct made of `fields`, by name.  Octets are not copied: `keep` gets what must stay as long as the struct."""
    made, members = kind(), dict(kind._fields_)
    for name, value in fields.items():
        if name not in members:
            raise TypeError(f"{kind.__name__} has no field {name}")
        setattr(made, name, fill_array(made, name, value, keep) if name in arrays(kind) else
                convert(members[name], value, keep))
    return made


def fill_array(owner: Struct, name: str, values: Sequence, keep: list[bytes]) -> Any:
    count, stride = arrays(type(owner))[name]
    pointer = dict(owner._fields_)[name]
    element = pointer._type_
    array = (element * len(values))(*(convert(element, value, keep) for value in values))
    setattr(owner, count, len(values))
    if stride:
        setattr(owner, stride, ctypes.sizeof(element))
    return ctypes.cast(array, pointer)  # which keeps the array


def convert(kind: type, value: Any, keep: list[bytes]) -> Any:
    if kind is c.mailsrv_bytes:
        octets = value if type(value) is bytes else bytes(memoryview(value))
        keep.append(octets)
        return kind(address_of(octets), len(octets))
    if issubclass(kind, ctypes.Array):  # of numbers
        if len(value) != kind._length_:
            raise ValueError(f"{len(value)} numbers, where {kind._length_} belong")
        return kind(*(convert(kind._type_, one, keep) for one in value))
    if not issubclass(kind, Struct):
        if kind(value).value != value:  # ctypes cuts off what has no room
            raise ValueError(f"{value} is no {kind.__name__.removeprefix('c_')}")
        return value
    if is_octets(kind):
        if len(value) != ctypes.sizeof(kind):
            raise ValueError(f"{kind.__name__} has {ctypes.sizeof(kind)} octets, not {len(value)}")
        return kind.from_buffer_copy(value)
    return value if isinstance(value, kind) else fill(kind, value, keep)


def address_of(octets: bytes) -> int | None:
    """Where they lie; they must outlive its use."""
    return ctypes.cast(ctypes.c_char_p(octets), ctypes.c_void_p).value
