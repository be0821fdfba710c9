"""TLS by OpenSSL (libmailserver-openssl), for the profiles of a host that does none itself."""
import ctypes
import weakref
from typing import Any, Callable

from .library import c
from .status import Error, Status
from .values import fill


class TLS:
    """Certificates and keys, counted in C: profiles keep it alive, not this object."""

    def __init__(self, *certificates: tuple[bytes, bytes], client_roots: bytes = b"", tickets: bool = True,
                 ticket_s: int = 0, tickets_of: "TLS | None" = None):
        """Each certificate is (chain, key) in PEM; the first is for names that no other has.  The rest is as in
        mailsrv_tls_setup."""
        keep: list[bytes] = []
        pairs = [{"chain": chain, "key": key} for chain, key in certificates]
        setup = fill(c.mailsrv_tls_setup, {"certificates": pairs, "client_roots": client_roots, "ticket_s": ticket_s,
                                           "flags": 0 if tickets else c.MAILSRV_TLS_NO_TICKETS}, keep)
        if tickets_of is not None:
            setup.tickets_of = tickets_of.pointer
        self._make(c.mailsrv_openssl_new, setup)

    @classmethod
    def client(cls, *, roots: bytes = b"", certificate: tuple[bytes, bytes] | None = None) -> "TLS":
        """For who connects: `roots`, in PEM, vouch for servers where that is asked for (c.MAILSRV_SECURE_VERIFY); our
        own certificate is for servers that want to see one."""
        keep: list[bytes] = []
        setup = fill(c.mailsrv_tls_client_setup, {"roots": roots}, keep)
        if certificate is not None:
            ours = fill(c.mailsrv_certificate, dict(zip(("chain", "key"), certificate)), keep)
            setup.certificate = ctypes.pointer(ours)
        self = cls.__new__(cls)
        self._make(c.mailsrv_openssl_client_new, setup)
        return self

    def _make(self, new: Callable, setup: Any) -> None:
        made, why = ctypes.POINTER(c.mailsrv_tls)(), c.mailsrv_error()
        status = new(ctypes.byref(setup), ctypes.byref(made), ctypes.byref(why))
        if status != Status.OK:
            which = f"certificate {why.key}: " if why.key else ""
            raise Error(status, f"{which}expected {why.expected.decode()}" if why.expected else "TLS")
        self.pointer = made
        weakref.finalize(self, c.mailsrv_tls_unref, made).atexit = False
