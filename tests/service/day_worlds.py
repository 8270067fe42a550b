"""Two stand-ins in which the same happens: one for the service, one as the control.

Whatever people do is done to both, and what it makes has the same ids in both. What is read of one can therefore be
held against the other without knowing what is what.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from tests.immich_server import ImmichServer, User
from tests.service.running import until

_DATE = "2024-05-06T07:08:09.000Z"
#: What Immich answers while it is away, in maintenance or cut.
_AWAY = (404, 500, 502, 503)


class BothError(Exception):
    """Immich refused what one of the people did."""


class Worlds:
    """Two Immichs in which the same happens."""

    def __init__(self, real: ImmichServer, control: ImmichServer) -> None:
        self.real = real
        self.control = control
        # One at a time, or the ids of two requests would be exchanged.
        self._turn = asyncio.Lock()

    @property
    def both(self) -> tuple[ImmichServer, ImmichServer]:
        return self.real, self.control

    def user(self, name: str, **more: Any) -> User:
        """A user with one id in both; gives that of the real one."""
        user = self.real.add_user(name, **more)
        twin = self.control.add_user(name, **more)
        del self.control.store.users[twin.id]
        twin.id = user.id
        self.control.store.users[twin.id] = twin
        key, twin_key = (server.add_key(one, name="phone") for server, one in zip(self.both, (user, twin), strict=True))
        record, twin_record = self.real.key(key), self.control.key(twin_key)
        twin_record.id = record.id
        self.control.store.keys[key] = self.control.store.keys.pop(twin_key)
        return user

    def twin(self, user: User) -> User:
        return self.control.store.users[user.id]

    def put(self, make: Callable[[ImmichServer, Callable[[User], User]], Any]) -> Any:
        """Put something there directly, the same in both; gives what the real one made."""
        made: list[str] = []
        fresh = self.real.store.new_id

        def remember() -> str:
            made.append(fresh())
            return made[-1]

        self.real.store.new_id = remember
        try:
            result = make(self.real, lambda user: user)
        finally:
            self.real.store.new_id = fresh
        with _ids(self.control, made):
            make(self.control, self.twin)
        return result

    async def ask(self, key: str, method: str, path: str, **more: Any) -> Any:
        """One request of a person's client to both; it is repeated where the real one is away."""
        answer = await until(lambda: answered(self.real, key, method, path, **more), f"{method} {path} is answered")
        return await self.follow(key, answer, method, path, **more)

    async def follow(self, key: str, answer: tuple[int, Any], method: str, path: str, **more: Any) -> Any:
        """Do in the control what the real one answered so; gives the body of the answer."""
        status, body = answer
        if status >= 400:
            raise BothError(f"{method} {path}: {status} {body}")
        made = [body["id"]] if isinstance(body, dict) and "id" in body else []
        items = body if isinstance(body, list) else []
        tags = {item["value"]: item["id"] for item in items if "value" in item}
        async with self._turn:
            self.control.store.new_tag_id = lambda value: tags.get(value) or self.control.store.new_id()
            with _ids(self.control, made):
                twin = await answered(self.control, key, method, path, **more)
        if twin is None or twin[0] >= 400:
            raise BothError(f"{method} {path}: {status} {body}, and in the control {twin}")
        return body


class _ids:  # noqa: N801  used like a function
    """Let a server give these ids to what is made next, and others after them."""

    def __init__(self, server: ImmichServer, ids: Sequence[str]) -> None:
        self._server, self._ids, self._fresh = server, list(ids), server.store.new_id

    def __enter__(self) -> None:
        self._server.store.new_id = lambda: self._ids.pop(0) if self._ids else self._fresh()

    def __exit__(self, *_: object) -> None:
        self._server.store.new_id = self._fresh


async def answered(server: ImmichServer, key: str, method: str, path: str, **more: Any) -> tuple[int, Any] | None:
    """Status and body; None where the server is away. `form` makes a body of an upload."""
    arguments = dict(more)
    if "form" in arguments:
        form = aiohttp.FormData()
        content, name, fields = arguments.pop("form")
        for field_name, value in {"fileCreatedAt": _DATE, "fileModifiedAt": _DATE, **fields}.items():
            form.add_field(field_name, value)
        form.add_field("assetData", content, filename=name)
        arguments["data"] = form
    try:
        async with (
            aiohttp.ClientSession(headers={"x-api-key": key, "User-Agent": "phone"}) as session,
            session.request(method, f"{server.url}/api{path}", **arguments) as answer,
        ):
            body = await answer.json() if answer.content_type == "application/json" else None
            if answer.status in _AWAY or (answer.status == 400 and "uota" in str(body)):
                return None
            return answer.status, body
    except (aiohttp.ClientError, OSError):
        return None


def live_long_before(worlds: Worlds, users: Sequence[User], size: int) -> None:
    """What was there for years: bursts, pairs, live photos, albums, a library, an archive, a trash, partners."""
    ada, bob, cleo = users
    kinds: list[tuple[User, float, str, dict[str, Any]]] = [
        (ada, 0.4, "IMG_{}.jpg", {}),
        (ada, 0.04, "DSC_{}.dng", {}),
        (ada, 0.04, "DSC_{}.jpg", {}),
        (ada, 0.04, "ADA_{}.mov", {"visibility": "hidden"}),
        (bob, 0.2, "BOB_{}.jpg", {}),
        (bob, 0.05, "OLD_{}.jpg", {"visibility": "archive"}),
        (bob, 0.05, "HID_{}.jpg", {"visibility": "hidden"}),
        (cleo, 0.1, "CLE_{}.heic", {}),
        (cleo, 0.04, "SAFE_{}.jpg", {"visibility": "locked"}),
        (cleo, 0.04, "BIN_{}.jpg", {"deleted_at": datetime.now(UTC) - timedelta(days=3)}),
    ]
    first = datetime(2019, 1, 1, tzinfo=UTC)
    for user, share, name, fields in kinds:
        for server, owner in zip(worlds.both, (user, worlds.twin(user)), strict=True):
            server.add_crowd(owner, int(size * share), name=name, first=first, step=timedelta(hours=5), **fields)
    crowds = worlds.real.store.assets.crowds

    def of(kind: int, index: int) -> str:
        return crowds[kind].id_of(index)

    def put(server: ImmichServer, as_user: Callable[[User], User]) -> None:
        assets = server.assets
        for burst in range(size // 100):
            server.add_stack(*(assets[of(0, burst * 6 + place)] for place in range(5)))
        for pair in range(size // 50):
            server.add_stack(assets[of(2, pair)], assets[of(1, pair)])
        for live in range(size // 50):
            assets[of(0, size // 3 + live)].live_photo_video_id = of(3, live)
        for number in range(5):
            album = [assets[of(0, number * 17 + place)] for place in range(20)]
            roles = {as_user(bob): "editor", as_user(cleo): "viewer"} if number % 2 else {}
            server.add_album(as_user(ada), f"Summer {number}", *album, assets[of(4, number)], roles=roles)
        for number in range(8):
            asset = assets[of(4, number * 3)]
            asset.is_favorite = True
            asset.exif |= {"description": f"words {number}", "rating": 1 + number % 5}
            assets[of(5, number)].metadata["another-program"] = ({"keep": number}, datetime(2020, 1, 1, tzinfo=UTC))
        library = server.add_library(as_user(ada), "/mnt/archive", name="Archive")
        if server is not worlds.real:
            (twin,) = worlds.real.store.libraries.values()
            del server.store.libraries[library.id]
            library.id = twin.id
            server.store.libraries[library.id] = library
        for number in range(size // 100):
            found = server.add_external(library, b"external" + number.to_bytes(4, "big"), f"scan{number}.jpg")
            found.created_at = found.file_created_at = found.local_date_time = first
            found.exif.pop("dateTimeOriginal", None)
        server.add_partner(as_user(ada), as_user(bob))
        server.add_partner(as_user(cleo), as_user(ada))

    worlds.put(put)
