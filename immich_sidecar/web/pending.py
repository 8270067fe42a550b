"""What a person signed in with, kept in memory for what needs a fresh sign-in, and for ten minutes at most."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

#: Seconds for which it is kept.
KEPT_FOR = 600.0
#: Seconds that ending what is left may take when the service stops.
PATIENCE = 2.0


@dataclass(frozen=True)
class Credential:
    """What a person signed in with: the token of a session that we began in Immich, or an API key of theirs."""

    token: str | None = field(default=None, repr=False)
    key: str | None = field(default=None, repr=False)
    #: What the key may do.
    permissions: tuple[str, ...] = ()


class Pending:
    """Credentials of sessions of ours. Nothing of it is written down; a restart forgets it.

    Parameters
    ----------
    log_out
        Ends a session in Immich; called once for each token, when it is not needed any more.
    """

    def __init__(self, log_out: Callable[[str], Awaitable[None]]) -> None:
        self._log_out = log_out
        self._kept: dict[str, tuple[Credential, asyncio.TimerHandle]] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def keep(self, session_id: str, credential: Credential) -> None:
        """Keep a credential for a session of ours."""
        self.drop(session_id)
        timer = asyncio.get_running_loop().call_later(KEPT_FOR, self.drop, session_id)
        self._kept[session_id] = (credential, timer)

    def of(self, session_id: str | None) -> Credential | None:
        """The credential of a session; None where there is none any more."""
        kept = self._kept.get(session_id or "")
        return kept[0] if kept else None

    def drop(self, session_id: str) -> None:
        """Forget the credential of a session, and end the session in Immich that it is about."""
        kept = self._kept.pop(session_id, None)
        if kept is None:
            return
        credential, timer = kept
        timer.cancel()
        if credential.token is not None:
            self.end(credential.token)

    def end(self, token: str) -> None:
        """End a session in Immich, without waiting for it."""
        task = asyncio.ensure_future(self._end(token))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _end(self, token: str) -> None:
        await self._log_out(token)

    async def close(self) -> None:
        """Forget all, and end what was begun in Immich as far as that is quick."""
        for session_id in list(self._kept):
            self.drop(session_id)
        if self._ending:
            _, late = await asyncio.wait(self._ending, timeout=PATIENCE)
            for task in late:
                task.cancel()


PENDING = web.AppKey("pending", Pending)


def pending_of(request: web.Request) -> Pending:
    """What persons who have not agreed yet signed in with."""
    return request.config_dict[PENDING]
