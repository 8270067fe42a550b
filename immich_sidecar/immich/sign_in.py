"""Finding out who somebody is, by asking Immich.

Three ways: the session cookie of Immich that a browser brings, an e-mail address with a password, an API key. No
token, key or password is written down or logged here; what Immich said about a token is kept for a minute, under
its SHA-256.
"""

import asyncio
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from immich_sidecar.errors import ImmichCredentialsError, ImmichError, ImmichPermissionError
from immich_sidecar.immich.api import Api, ImmichUser

log = logging.getLogger(__name__)

#: Seconds for which an answer about a token is believed.
BELIEVED_FOR = 60.0
#: Tokens about which answers are kept.
MAX_KEPT = 10_000
#: Questions about tokens that are asked at once: whoever invents tokens must not flood Immich.
AT_ONCE = 6
#: Seconds for which Immich's ways to sign in are taken as they were.
WAYS_KEPT_FOR = 60.0


@dataclass(frozen=True)
class Ways:
    """How one can sign in to Immich."""

    #: With an e-mail address and a password.
    password: bool = True
    #: By way of another service (OAuth).
    oauth: bool = False
    #: Immich's version; features differ by it.
    version: tuple[int, int, int] = (0, 0, 0)


class SignIn:
    """Asks one Immich who somebody is.

    Parameters
    ----------
    url
        Address of Immich without `/api`.
    """

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.url = url
        self._clock = clock
        # What Immich said last about a token, by the token's hash, and when.
        self._said: OrderedDict[str, tuple[float, ImmichUser | None]] = OrderedDict()
        self._asking: dict[str, asyncio.Task[ImmichUser | None]] = {}
        self._lane = asyncio.Semaphore(AT_ONCE)
        self._ways: tuple[float, Ways] | None = None

    async def by_session(self, token: str, user_agent: str = "") -> ImmichUser | None:
        """The user whose session in Immich the token is; None where it is nobody's (any more).

        Parameters
        ----------
        token
            Value of the cookie `immich_access_token`.
        user_agent
            What the browser calls itself: Immich shows it in the user's list of devices.

        Raises
        ------
        ImmichError
            If Immich cannot be asked.
        """
        key = hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
        kept = self._said.get(key)
        if kept is not None and self._clock() - kept[0] < BELIEVED_FOR:
            return kept[1]
        asking = self._asking.get(key)
        if asking is None:
            # A page and its pictures come with the same token at once: one question for all of them.
            asking = self._asking[key] = asyncio.create_task(self._ask(key, token, user_agent))
            asking.add_done_callback(lambda task: self._answered(key, task))
        return await asyncio.shield(asking)

    def forget(self, token: str) -> None:
        """Ask Immich anew about this token the next time."""
        self._said.pop(hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest(), None)

    async def by_password(self, email: str, password: str) -> tuple[ImmichUser, str]:
        """The user, and the token of a new session in Immich, to be ended by `log_out` when it is not needed any more.

        Raises
        ------
        ImmichCredentialsError
            If e-mail address and password do not fit.
        ImmichError
            If Immich cannot be asked.
        """
        api = Api(self.url)
        try:
            signed_in = await api.login(email, password)
        finally:
            await api.close()
        user = ImmichUser(
            signed_in.user_id, signed_in.name, signed_in.email, signed_in.is_admin, quota_bytes=None, used_bytes=None
        )
        return user, signed_in.token

    async def by_key(self, key: str) -> tuple[ImmichUser, tuple[str, ...]]:
        """The user whose API key it is, and what the key may do.

        Raises
        ------
        ImmichCredentialsError
            If Immich does not know the key.
        ImmichPermissionError
            If the key may not even say whose it is.
        ImmichError
            If Immich cannot be asked.
        """
        if not key or not key.isascii() or not key.isprintable() or " " in key:
            raise ImmichCredentialsError("That is no API key: it has letters and digits only, as Immich showed it.")
        api = Api(self.url, key)
        try:
            permissions = await api.permissions()
            if "all" not in permissions and "user.read" not in permissions:
                raise ImmichPermissionError(
                    "The API key may not say whose it is: give it the permission user.read in Immich."
                )
            return await api.me(), permissions
        finally:
            await api.close()

    async def log_out(self, token: str) -> None:
        """End a session that `by_password` began. Where Immich does not answer it stays, and that is logged."""
        self.forget(token)
        api = Api(self.url, session_token=token)
        try:
            await api.logout()
        except ImmichError as error:
            log.warning("a session in Immich could not be ended: %s", error)
        finally:
            await api.close()

    async def ways(self) -> Ways:
        """How one can sign in to Immich, and which one it is.

        Raises
        ------
        ImmichError
            If Immich cannot be asked.
        """
        if self._ways is not None and self._clock() - self._ways[0] < WAYS_KEPT_FOR:
            return self._ways[1]
        api = Api(self.url)
        try:
            features, version = await api.features(), await api.version()
        finally:
            await api.close()
        # A field that is missing says nothing; only a plain no closes a way.
        ways = Ways(password=features.password_login is not False, oauth=features.oauth is True, version=version)
        self._ways = (self._clock(), ways)
        return ways

    async def close(self) -> None:
        """Stop asking."""
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    async def _ask(self, key: str, token: str, user_agent: str) -> ImmichUser | None:
        user: ImmichUser | None
        try:
            async with self._lane:
                asked_at = self._clock()
                api = Api(self.url, session_token=token, user_agent=user_agent)
                try:
                    user = await api.me()
                finally:
                    await api.close()
        except ImmichCredentialsError:
            user = None
        self._said[key] = (asked_at, user)
        self._said.move_to_end(key)
        while len(self._said) > MAX_KEPT:
            self._said.popitem(last=False)
        return user

    def _answered(self, key: str, task: "asyncio.Task[ImmichUser | None]") -> None:
        self._asking.pop(key, None)
        if not task.cancelled():
            task.exception()  # whoever waited has heard of it; nobody may have
