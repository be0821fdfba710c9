"""What one listener is: machine, face, limits, extensions."""
import ctypes
import weakref
from typing import Iterable

from .library import c
from .status import Error, Status, check
from .tls import TLS

KEYS = c.constants("MAILSRV_PROFILE_")
EXTENSIONS = c.constants("MAILSRV_EXT_")
FACES = c.constants("MAILSRV_FACE_")


class Profile:
    """Sealed.  `settings` are the keys of mailsrv/profile.h in lower case; `without` names extensions to hide; `tls_by`
    does TLS, which is offered by STARTTLS or STLS unless `tls` says otherwise."""

    def __init__(self, machine: str, face: str, *, without: Iterable[str] = (), tls_by: TLS | None = None,
                 **settings: int | str | bytes):
        self.pointer = ctypes.POINTER(c.mailsrv_profile)()
        check(c.mailsrv_profile_new(None, getattr(c, f"mailsrv_{machine}")(), FACES[face.upper()],
                                    ctypes.byref(self.pointer)))
        weakref.finalize(self, c.mailsrv_profile_unref, self.pointer).atexit = False  # a session has its own reference
        if tls_by is not None:
            check(c.mailsrv_profile_set_tls(self.pointer, tls_by.pointer))
            settings = {"tls": c.MAILSRV_TLS_OFFERED} | settings
        for name, value in settings.items():
            self._set(name, value)
        for name in without:
            check(c.mailsrv_profile_enable(self.pointer, EXTENSIONS[name.upper()], 0))
        why = c.mailsrv_error()
        if (status := c.mailsrv_profile_seal(self.pointer, ctypes.byref(why))) != Status.OK:
            names = [name.lower() for name, key in KEYS.items() if key == why.key]
            raise Error(status, f"{' '.join(names)}: expected {(why.expected or b'').decode()}")

    def _set(self, name: str, value: int | str | bytes) -> None:
        if name.upper() not in KEYS:
            raise TypeError(f"a profile has no {name}")
        if isinstance(value, int):
            status = c.mailsrv_profile_set_u64(self.pointer, KEYS[name.upper()], value)
        else:
            octets = value.encode() if isinstance(value, str) else value
            status = c.mailsrv_profile_set_str(self.pointer, KEYS[name.upper()], octets, len(octets))
        if status != Status.OK:
            raise Error(status, f"{name}: {value!r}")
