"""TLS by OpenSSL (libmailserver-openssl), for the profiles of a host that does none itself."""
import ctypes
import weakref

from .library import c
from .status import Error, Status
from .values import fill


class TLS:
    """Certificates and keys, counted in C: profiles keep it alive, not this object."""

    def __init__(self, *certificates: tuple[bytes, bytes], client_roots: bytes = b"", tickets: bool = True,
                 ticket_s: int = 0, tickets_of: "TLS | None" = None):
        """Each certificate is (chain, key) in PEM; the first is for names that no other has.  The rest is as in
        mailsrv_tls_setup."""
        made, why, keep = ctypes.POINTER(c.mailsrv_tls)(), c.mailsrv_error(), []
        pairs = [{"chain": chain, "key": key} for chain, key in certificates]
        setup = fill(c.mailsrv_tls_setup, {"certificates": pairs, "client_roots": client_roots, "ticket_s": ticket_s,
                                           "flags": 0 if tickets else c.MAILSRV_TLS_NO_TICKETS}, keep)
        if tickets_of is not None:
            setup.tickets_of = tickets_of.pointer
        status = c.mailsrv_openssl_new(ctypes.byref(setup), ctypes.byref(made), ctypes.byref(why))
        if status != Status.OK:
            which = f"certificate {why.key}: " if why.key else ""
            raise Error(status, f"{which}expected {why.expected.decode()}" if why.expected else "TLS")
        self.pointer = made
        weakref.finalize(self, c.mailsrv_tls_unref, made).atexit = False
