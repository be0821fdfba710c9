"""A host's own password check, as one function of Python, or two."""
import inspect
from typing import Any, Awaitable, Callable, Mapping

from .engine import Handler
from .operation import Operation
from .status import Kind, Refused, Status
from .values import Secret

Check = Callable[[str, Secret], bytes | None | Awaitable[bytes | None]]
Keys = Callable[[str, int], Mapping[str, Any] | None | Awaitable[Mapping[str, Any] | None]]


def logins(check: Check, keys: Keys | None = None) -> dict[int, Handler]:
    """Handlers that let users in, for Server or Engine.bind.

    check(user, password) gives the account's id, or None: the credentials are wrong.  keys(user, hash), if there is
    such a function, is for SCRAM: it gives what scram_keys made for this hash (c.MAILSRV_HASH_...), and the `account`;
    or None.  Both may be coroutines, and both should take as long for a user who does not exist as for one who does:
    whatever hashes passwords belongs in a thread (asyncio.to_thread).  The password is wiped when it was answered."""

    def verify(op: Operation) -> Any:
        return then(check(name(op.arg.user), op.arg.password), lambda account: {"account": account})

    def scram(op: Operation) -> Any:
        return then(keys(name(op.arg.user), op.arg.hash), dict)

    return {Kind.AUTH_VERIFY: verify} | ({Kind.AUTH_SCRAM_KEYS: scram} if keys is not None else {})


def name(user: bytes) -> str:
    try:
        return user.decode()
    except UnicodeDecodeError:
        raise Refused(Status.DENIED) from None


def then(found: Any, answer: Callable[[Any], Any]) -> Any:
    """The answer, at once or later; nothing found is a wrong login."""

    async def wait() -> Any:
        return then(await found, answer)

    if inspect.isawaitable(found):
        return wait()
    if found is None:
        raise Refused(Status.DENIED)
    return answer(found)
