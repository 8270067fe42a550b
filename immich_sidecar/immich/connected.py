"""All connections of this service: started, stopped, made with their user's consent, and ended."""

import asyncio
import hmac
import logging
import socket
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel

from immich_sidecar.analysis.findings import Face
from immich_sidecar.errors import (
    ConflictError,
    ImmichError,
    ImmichGoneError,
    SettingsError,
)
from immich_sidecar.events import Event, EventType
from immich_sidecar.immich.api import Api, ImmichUser, NewKey
from immich_sidecar.immich.at_work import Connected, OnChange, Surroundings
from immich_sidecar.immich.choices import Choices
from immich_sidecar.immich.compatibility import DEFAULT_FEATURES, check_version, permissions_for
from immich_sidecar.immich.connections import Connection, ConnectionState
from immich_sidecar.immich.faces import read_faces
from immich_sidecar.immich.intake import ImmichIntake
from immich_sidecar.immich.pairs import Absorb
from immich_sidecar.immich.publish import Publisher
from immich_sidecar.immich.secrets import Secrets
from immich_sidecar.immich.set_up import digest, hook_path, key_name, remove_key, remove_key_of
from immich_sidecar.library import connections
from immich_sidecar.library.database import Database
from immich_sidecar.library.events import EventLog
from immich_sidecar.library.intake import Intake
from immich_sidecar.library.layout import Layout
from immich_sidecar.library.space import Space
from immich_sidecar.library.tables import LOCAL_OWNER, ConnectionRow, PhotoRow
from immich_sidecar.settings import Settings

__all__ = ["Connected", "Connections"]

log = logging.getLogger(__name__)

#: What a secret is compared with where there is none, so that the time says nothing.
_NOBODY = "0" * 64


class Connections:
    """Every connection, each at work by itself. Connections come and go while the service runs.

    Parameters
    ----------
    settings
        Where Immich is, and the operator's key where there is one.
    database, layout, events, intake, space
        What photos are taken into.
    on_change
        Told which assets were trashed, restored or deleted in Immich.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        layout: Layout,
        events: EventLog,
        *,
        intake: Intake,
        space: Space,
        on_change: OnChange | None = None,
        absorb: Absorb | None = None,
    ) -> None:
        self._settings = settings
        self._database = database
        self._layout = layout
        self._events = events
        self._intake = intake
        self._space = space
        self._secrets: Secrets | None = None
        self._on_change = on_change
        self._absorb = absorb
        self._by_id: dict[int, Connected] = {}
        # Two clicks must not make two keys.
        self._turn = asyncio.Lock()
        #: Called where something that could not be published may be published now. May be set later.
        self.on_back: Any = None

    # ---- all of them

    async def start(self, secrets: Secrets) -> None:
        """Prepare every connection that has a key; nothing is asked yet.

        Parameters
        ----------
        secrets
            Encrypts the keys that are kept.

        Raises
        ------
        SettingsError
            If `IMMICH_API_KEY` cannot be one.
        """
        self._secrets = secrets
        if self._settings.immich_url is None:
            return
        key = self._settings.api_key()
        async with self._database.transaction() as session:
            if key is not None:
                # Also while Immich is away: what comes into the hot folder belongs to the connection.
                await connections.begin(session, LOCAL_OWNER, self._settings.immich_url)
            rows = await connections.every(session)
        for row in rows:
            if row.owner_id == LOCAL_OWNER and key is not None:
                self._add(row, key, from_settings=True)
            elif row.key is not None and row.disconnected_at is None:
                try:
                    self._add(row, secrets.decrypt(row.key), from_settings=False)
                except SettingsError as error:
                    log.error("owner %s: %s", row.owner_id, error)
                    await self._change(row.owner_id, state=ConnectionState.CREDENTIALS.value, last_error=str(error))
            elif row.key is None and row.disconnected_at is None:
                words = "IMMICH_API_KEY is not set any more"
                await self._change(row.owner_id, state=ConnectionState.DISCONNECTED.value, last_error=words)

    async def stop(self) -> None:
        """End everything; what was under way goes on at the next start."""
        connected = list(self._by_id.values())
        self._by_id.clear()
        await asyncio.gather(*(one.stop() for one in connected))

    def all(self) -> tuple[Connected, ...]:
        """Every connection that has a key."""
        return tuple(self._by_id.values())

    def of_owner(self, owner_id: str) -> Connected | None:
        """The owner's connection; None where there is none with a key that can be read."""
        return next((one for one in self._by_id.values() if one.owner_id == owner_id), None)

    def of_id(self, connection_id: int | None) -> Connected | None:
        """The connection whose row has this id."""
        return None if connection_id is None else self._by_id.get(connection_id)

    def targets(self) -> Mapping[int, Connected]:
        """Those that are written to: their user is known to be the one whose photos these are."""
        return {one.id: one for one in self._by_id.values() if one.connection.verified}

    async def tick(self) -> None:
        """Begin a round of asking for each; returns at once, so none waits for another."""
        for one in self.all():
            one.begin_round()

    async def rounds_over(self) -> None:
        """Wait until nothing is under way."""
        await asyncio.gather(*(one.rounds_over() for one in self.all()))

    # ---- being told of new photos

    def webhook_address(self, connection_id: int = 0) -> str | None:
        """Where Immich's server finds us; None where that is not known, and so no webhook is made."""
        url = self._settings.webhook_url
        return None if url is None else url + hook_path(connection_id)

    def believes(self, connection_id: int, secret: str) -> bool:
        """Whether this is the secret of the connection's webhook. Takes as long whether there is one or not."""
        one = self._by_id.get(connection_id)
        kept = one.secret_sha256 if one is not None else None
        return hmac.compare_digest(digest(secret), kept or _NOBODY) and kept is not None

    def noticed(self, connection_id: int, asset_id: str, by: str) -> bool:
        """Have an asset looked at, and taken, at once: something told of it. It is not believed, only looked at."""
        one = self._by_id.get(connection_id)
        return one is not None and one.noticed(asset_id, by)

    # ---- what others need of a photo's connection

    async def refetch(self, photo: PhotoRow) -> Path:
        """Fetch an evicted original again; see `ImmichIntake.refetch`."""
        one = self.of_id(photo.connection_id) or self.of_owner(photo.owner_id)
        if one is None or one.owner_id != photo.owner_id:
            raise ImmichGoneError(
                f"Could not download {photo.file_name}: its owner is not connected to Immich; connect it again"
            )
        return await one.intake.refetch(photo)

    async def faces_of(self, photo: PhotoRow, width: int, height: int) -> tuple[Face, ...]:
        """The faces that Immich knows in a photo of that oriented size; see `read_faces`."""
        one = self.of_id(photo.connection_id) or self.of_owner(photo.owner_id)
        if one is None or one.owner_id != photo.owner_id or photo.immich_asset_id is None:
            return ()
        return await read_faces(one.connection, photo.immich_asset_id, width=width, height=height)

    async def retry_failed(self, owner_id: str) -> int:
        """Try again what the owner's intake from Immich gave up; gives the number of assets."""
        one = self.of_owner(owner_id)
        if one is None:
            return 0
        count = await one.intake.retry_failed()
        one.begin_round()
        return count

    # ---- with the user's consent

    async def connect(
        self,
        owner_id: str,
        user: ImmichUser,
        *,
        token: str | None = None,
        key: str | None = None,
        user_agent: str | None = None,
        choices: Choices | None = None,
        features: Collection[str] = DEFAULT_FEATURES,
    ) -> Connected:
        """Connect a user, or connect them anew: photos, choices of what is taken and the place reached stay.

        Parameters
        ----------
        owner_id
            Whose photos these are or will be.
        user
            Who consented. Immich is asked whether token or key are theirs.
        token, key
            One of them: a session of the user in Immich, with which a key is made that may do no more than is
            needed; or a key of the user's own, which is kept as it is.
        user_agent
            What the user's browser calls itself.
        choices
            What the user chose; None: what was chosen before, or nothing special.
        features
            Names of `compatibility.FEATURES` that a key made here is to serve.

        Raises
        ------
        ConflictError
            If token or key are another user's, or this owner or user is connected otherwise.
        ImmichError
            If Immich does not do it; nothing is changed then.
        """
        url = self._settings.immich_url
        if url is None or self._secrets is None:
            raise ConflictError("There is no Immich to connect: IMMICH_URL is not set.")
        if (token is None) == (key is None):
            raise ValueError("a token or a key")
        api = Api(url, key) if key is not None else Api(url, session_token=token, user_agent=user_agent)
        async with self._turn:
            try:
                found = await api.me()
                if found.id != user.id:
                    raise ConflictError(f"That belongs to the Immich user {found.name}, not to {user.name}.")
                check_version(*await api.version())
                row = await self._row_for(owner_id, found)
                existing = self.of_owner(owner_id)
                if existing is not None and existing.from_settings:
                    if choices is not None:
                        await self._keep_choices(existing, choices)
                    return existing
                return await self._connect(
                    api, owner_id, user=found, row=row, key=key, choices=choices, features=features
                )
            finally:
                await api.close()

    async def disconnect(self, owner_id: str, *, token: str | None = None) -> tuple[str, ...]:
        """End an owner's connection: key and webhook go, in Immich too; photos and choices stay.

        Gives a sentence for each thing of ours that is left in Immich. A session's `token` deletes the key also
        where the key may not do that itself.

        Raises
        ------
        ConflictError
            If the key is that of `IMMICH_API_KEY`, or there is no connection.
        """
        async with self._turn:
            one = self.of_owner(owner_id)
            if one is not None and one.from_settings:
                raise ConflictError("This connection comes from IMMICH_API_KEY; it ends when that is not set any more.")
            async with self._database.reading() as session:
                row = await connections.of_owner(session, owner_id)
            if row is None or row.disconnected_at is not None:
                raise ConflictError("There is no connection to end.")
            left = await self._remove_from_immich(row, one, token)
            if one is not None:
                del self._by_id[one.id]
                await one.stop()
            async with self._database.transaction() as session:
                row = await connections.end(session, row.id, ConnectionState.DISCONNECTED.value)
                data = {"connection": row.state, "url": row.url, "error": None}
                self._events.record(session, Event(EventType.CONNECTION_CHANGED, owner_id, data=data))
        return left

    async def update_choices(self, owner_id: str, choices: Choices) -> Connected | None:
        """Keep other choices, and act on them at once."""
        async with self._turn:
            one = self.of_owner(owner_id)
            if one is not None:
                await self._keep_choices(one, choices)
            else:
                await self._change(owner_id, choices=choices.model_dump(mode="json"))
        return one

    async def update_rules(self, owner_id: str, rules: BaseModel) -> None:
        """Keep other rules; they hold for what is noticed from now on."""
        await self._change(owner_id, rules=rules.model_dump(mode="json", exclude_defaults=True))

    # ---- inside

    def _add(self, row: ConnectionRow, key: str, *, from_settings: bool) -> Connected:
        choices = Choices.read(row.choices, self._settings, from_settings=from_settings)
        connection = Connection(
            owner_id=row.owner_id,
            url=self._settings.immich_url or row.url,
            key=key,
            albums=choices.albums,
            from_settings=from_settings,
        )
        connection.id, connection.pairs = row.id, choices.pairs
        one = Connected(
            row,
            connection,
            intake=ImmichIntake(
                connection,
                self._database,
                self._intake,
                self._layout,
                space=self._space,
                events=self._events,
                absorb=self._absorb,
            ),
            publisher=Publisher(connection, self._database),
            choices=choices,
            surroundings=Surroundings(
                database=self._database,
                events=self._events,
                mode=self._settings.mode,
                webhook_url=self._settings.webhook_url,
                on_back=lambda: self.on_back() if self.on_back is not None else None,
                on_change=self._on_change,
            ),
        )
        self._by_id[one.id] = one
        return one

    async def _row_for(self, owner_id: str, user: ImmichUser) -> ConnectionRow | None:
        """The owner's row; a user belongs to one owner, and an owner to one user."""
        async with self._database.reading() as session:
            row = await connections.of_owner(session, owner_id)
            other = await connections.of_user(session, user.id)
        if other is not None and other.owner_id != owner_id:
            raise ConflictError(f"The Immich user {user.name} belongs to the owner {other.owner_id} already.")
        if row is not None and row.immich_user_id not in (None, user.id):
            raise ConflictError(
                f"The photos here came from the Immich user {row.immich_user_name}, not from {user.name}."
            )
        return row

    async def _connect(
        self,
        api: Api,
        owner_id: str,
        *,
        user: ImmichUser,
        row: ConnectionRow | None,
        key: str | None,
        choices: Choices | None,
        features: Collection[str],
    ) -> Connected:
        made: NewKey | None = None
        if key is None:
            wanted = permissions_for(features, version=api.server_version)
            made = await api.make_key(key_name(self._host()), wanted)
        secret = key if key is not None else made.secret if made is not None else ""
        key_id = made.id if made is not None else ((await api.this_key()).id or None)
        old = (row.key_id, row.key_made_by_us) if row is not None else (None, False)
        try:
            row = await self._write_row(
                owner_id, user, secret=secret, key_id=key_id, made_by_us=made is not None, choices=choices
            )
        except BaseException:
            if made is not None:
                with suppress(ImmichError):
                    await api.delete_key(made.id)
            raise
        before = self._by_id.pop(row.id or 0, None)
        if before is not None:
            await before.stop()
        if old[0] is not None and old[1] and old[0] != key_id:
            for sentence in await remove_key(api, old[0], key_name(self._host())):
                log.warning("owner %s: %s", row.owner_id, sentence)
        one = self._add(row, secret, from_settings=False)
        await one.connection.refresh(self._database, self._events)
        await one.see_to_channels()
        one.begin_round()
        return one

    async def _write_row(
        self,
        owner_id: str,
        user: ImmichUser,
        *,
        secret: str,
        key_id: str | None,
        made_by_us: bool,
        choices: Choices | None,
    ) -> ConnectionRow:
        assert self._secrets is not None  # noqa: S101  `connect` looked
        async with self._database.transaction() as session:
            row = await connections.begin(session, owner_id, self._settings.immich_url or "", user.name)
            row.immich_user_id, row.immich_user_name = user.id, user.name
            row.immich_user_email, row.is_admin = user.email, user.is_admin
            row.key, row.key_id, row.key_made_by_us = self._secrets.encrypt(secret), key_id, made_by_us
            if choices is not None:
                row.choices = choices.model_dump(mode="json")
            session.add(row)
        return row

    async def _remove_from_immich(
        self, row: ConnectionRow, one: Connected | None, token: str | None
    ) -> tuple[str, ...]:
        left: list[str] = []
        if one is not None:
            left += await one.remove_hooks()
        elif row.workflow_ids:
            left.append("Our workflow is still in Immich; delete it there under Workflows.")
        own = None if one is None else one.connection.api
        if token is None:
            return (*left, *await remove_key_of(row, key_name(self._host()), own=own))
        session = Api(self._settings.immich_url or row.url, session_token=token)
        try:
            return (*left, *await remove_key_of(row, key_name(self._host()), own=own, session=session))
        finally:
            await session.close()

    async def _keep_choices(self, one: Connected, choices: Choices) -> None:
        await self._change(one.owner_id, choices=choices.model_dump(mode="json"))
        await one.change(choices)

    async def _change(self, owner_id: str, **values: Any) -> None:
        async with self._database.transaction() as session:
            await connections.change(session, owner_id, **values)

    def _host(self) -> str:
        """What a user calls this service: the host of its pages, or this computer."""
        return urlsplit(self._settings.public_url or "").hostname or socket.gethostname()
