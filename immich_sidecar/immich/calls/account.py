"""Calls about users, their sessions and their keys."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

from immich_py_client.api.account import (
    create_api_key,
    delete_api_key,
    get_api_keys,
    get_my_api_key,
    get_my_user,
    login,
    logout,
    update_api_key,
    validate_access_token,
)
from immich_py_client.models import (
    ApiKey,
    ApiKeyCreate,
    ApiKeyCreated,
    ApiKeyUpdate,
    LoggedIn,
    Login,
    Me,
    TokenValidity,
)
from immich_py_client.models.permission import Permission
from immich_py_client.types import UNSET

from immich_sidecar.errors import ImmichCredentialsError, ImmichGoneError, ImmichRefusedError
from immich_sidecar.immich.transport import Transport


@dataclass(frozen=True)
class SignedIn:
    """A new session in Immich. Its token is never shown or written down."""

    token: str = field(repr=False)
    user_id: str
    name: str
    email: str
    is_admin: bool
    #: Immich wants the user to choose another password first.
    must_change_password: bool


@dataclass(frozen=True)
class ImmichUser:
    """A user of Immich."""

    id: str
    #: What to call them; the e-mail address where they have no name.
    name: str
    email: str
    is_admin: bool
    #: How much they may store; None where there is no limit.
    quota_bytes: int | None
    #: How much of it is used; None where Immich does not count.
    used_bytes: int | None

    @property
    def free_bytes(self) -> int | None:
        """What is left of the quota, never below 0; None where there is no limit."""
        if self.quota_bytes is None:
            return None
        return max(0, self.quota_bytes - (self.used_bytes or 0))


@dataclass(frozen=True)
class NewKey:
    """An API key that was just made; Immich tells its secret this once."""

    id: str
    name: str
    secret: str = field(repr=False)
    permissions: tuple[str, ...]


class AccountCalls(Transport):
    """Who we are to Immich."""

    # ---- the user

    async def me(self) -> ImmichUser:
        """The user whom the key or the session belongs to."""
        tried = "ask Immich who it is"
        answer: Me = await self.call(get_my_user, tried=tried)
        if not answer.id:
            raise ImmichRefusedError(f"Could not {tried}: the answer names no user")
        return ImmichUser(
            id=answer.id,
            name=answer.name or answer.email or "",
            email=answer.email or "",
            is_admin=answer.is_admin is True,
            quota_bytes=_whole(answer.quota_size_in_bytes),
            used_bytes=_whole(answer.quota_usage_in_bytes),
        )

    async def user(self) -> tuple[str, str]:
        """Id and name of the user whom the key belongs to."""
        found = await self.me()
        return found.id, found.name

    # ---- sessions

    async def login(self, email: str, password: str) -> SignedIn:
        """A new session for an e-mail address and a password. It stays until `logout` is called with its token.

        Raises
        ------
        ImmichCredentialsError
            If they do not fit, or Immich has signing in by password switched off.
        """
        tried = "sign in to Immich"
        answer: LoggedIn = await self.call(login, tried=tried, body=Login(email=email, password=password))
        if not answer.access_token or not answer.user_id:
            raise ImmichRefusedError(f"Could not {tried}: the answer holds no session")
        return SignedIn(
            token=answer.access_token,
            user_id=answer.user_id,
            name=answer.name or answer.user_email or "",
            email=answer.user_email or "",
            is_admin=answer.is_admin is True,
            must_change_password=answer.should_change_password is True,
        )

    async def logout(self) -> None:
        """End the session that the calls are made with; one that has ended is fine."""
        try:
            await self.call(logout, tried="sign out of Immich")
        except ImmichCredentialsError:
            return

    async def token_accepted(self) -> bool:
        """Whether Immich accepts the key or the session; that it does not answer raises an error."""
        try:
            answer: TokenValidity = await self.call(
                validate_access_token, tried="ask whether Immich knows the session", repeatable=True
            )
        except ImmichCredentialsError:
            return False
        return answer.auth_status is True

    # ---- keys

    async def this_key(self) -> ApiKey:
        """The key in use; with a session there is none (ImmichPermissionError)."""
        answer: ApiKey = await self.call(get_my_api_key, tried="ask Immich about the API key")
        return answer

    async def permissions(self) -> tuple[str, ...]:
        """What the key may do."""
        return tuple((await self.this_key()).permissions or ())

    async def keys(self) -> list[ApiKey]:
        """The user's keys, without their secrets."""
        answer: list[ApiKey] = await self.call(get_api_keys, tried="list the API keys")
        return answer

    async def make_key(self, name: str, permissions: Iterable[str]) -> NewKey:
        """Make a key for the user.

        Raises
        ------
        ImmichRefusedError
            If Immich does not know a permission, or the key in use may not give it on.
        """
        tried = f"make the API key {name}"
        body = ApiKeyCreate(name=name, permissions=cast(list[Permission], list(permissions)))
        answer: ApiKeyCreated = await self.call(create_api_key, tried=tried, body=body)
        if not answer.secret or not answer.api_key or not answer.api_key.id:
            raise ImmichRefusedError(f"Could not {tried}: the answer holds no key")
        made = answer.api_key
        return NewKey(
            id=answer.api_key.id,
            name=made.name or name,
            secret=answer.secret,
            permissions=tuple(made.permissions or body.permissions),
        )

    async def change_key(
        self, key_id: str, *, name: str | None = None, permissions: Iterable[str] | None = None
    ) -> ApiKey:
        """Change a key's name, or replace what it may do."""
        body = ApiKeyUpdate(
            name=UNSET if name is None else name,
            permissions=UNSET if permissions is None else cast(list[Permission], list(permissions)),
        )
        answer: ApiKey = await self.call(update_api_key, key_id, tried="change an API key", body=body)
        return answer

    async def delete_key(self, key_id: str) -> None:
        """Revoke a key; one that is gone is fine."""
        try:
            await self.call(delete_api_key, key_id, tried="delete an API key", repeatable=True)
        except ImmichGoneError:
            return


def _whole(number: object) -> int | None:
    return int(number) if isinstance(number, int | float) else None
