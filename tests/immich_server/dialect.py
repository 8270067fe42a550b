"""Which version of Immich is played, and everything that differs from 3.1.0.

The rooms speak 3.1.0. A dialect stands at the edges and translates what comes in, what goes out and what is refused
(`second` knows how Immich 2 says it); the few rules that differ inside a room are fields here, which it asks for.
2.7.5 is as recorded; 2.5.6 is 2.7.5 with what its OpenAPI document says differently; 3.2.0 is made up: 3.1.0 with
fields and values that nobody has seen yet. Other versions speak as the last one before them.
"""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from . import second

if TYPE_CHECKING:
    from aiohttp import web

    from .problems import RefusedError
    from .records import Store

#: What is played in full; any other version can be named, to see how a client takes it.
VERSIONS = ("2.5.6", "2.7.5", "3.1.0")
NEWEST = VERSIONS[-1]

Json = dict[str, Any]


def tested_versions() -> tuple[str, ...]:
    """What tests that meet every version meet; `SIDECAR_TEST_IMMICH=3.1.0` limits them, with commas between several."""
    return tuple(os.environ.get("SIDECAR_TEST_IMMICH", ",".join(VERSIONS)).split(","))


#: Routes of Immich 3 that Immich 2 has not, by the beginning of their path below `/api`.
_ONLY_THIRD = ("/workflows", "/plugins")


@dataclass(frozen=True)
class Dialect:
    """How one version speaks. Make it with `dialect_of`."""

    version: tuple[int, int, int]

    def __str__(self) -> str:
        return ".".join(str(part) for part in self.version)

    @property
    def is_second(self) -> bool:
        """Immich 2."""
        return self.version < (3, 0, 0)

    # ---- rules inside rooms

    @property
    def searches_timeline_only(self) -> bool:
        """Without `visibility` a search finds the timeline, also by id or checksum; else all but what is locked."""
        return self.is_second

    @property
    def searches_own_albums_only(self) -> bool:
        """A search by album finds one's own assets in it, not those of others."""
        return self.is_second

    @property
    def lists_own_albums(self) -> bool:
        """The list of albums holds one's own, and with `shared=true` those that are shared, whoever's they are."""
        return self.is_second

    @property
    def heeds_with_stacked(self) -> bool:
        """`withStacked: false` takes stacked assets out of a search."""
        return self.version >= (2, 6, 0)

    @property
    def knows_no_rating(self) -> bool:
        """A rating may be taken away with null."""
        return self.version >= (2, 6, 0)

    @property
    def keeps_stacks_of_one(self) -> bool:
        """A stack of two whose child is deleted for ever goes on with one asset."""
        return self.is_second

    @property
    def takes_empty_files(self) -> bool:
        return self.is_second

    @property
    def wants_device_fields(self) -> bool:
        """An upload needs `deviceAssetId` and `deviceId`."""
        return self.is_second

    @property
    def gives_back_correlation_ids(self) -> bool:
        """Each answer has `X-Correlation-ID`, that of the request where it had one."""
        return not self.is_second

    @property
    def edits_have_ids(self) -> bool:
        return self.version >= (2, 6, 0)

    @property
    def names_without_stem_are_files(self) -> bool:
        """A file may be called `.jpg`."""
        return not self.is_second

    def permissions(self, newest: list[str]) -> list[str]:
        """All permissions in their order, from those of 3.1.0."""
        if not self.is_second:
            return newest
        after = newest.index("asset.upload") + 1
        return [*newest[:after], "asset.replace", *newest[after:]]

    # ---- the edges

    def has(self, method: str, path: str) -> bool:
        """Whether a route of the rooms exists; `path` is below `/api`."""
        return method != "PATCH" and not path.startswith(_ONLY_THIRD) if self.is_second else True

    def requested(self, method: str, path: str, body: Json) -> Json:
        """The body as 3.1.0 would be sent it. Raises RefusedError for what only this version refuses."""
        return second.requested(self, method, path, body) if self.is_second else body

    def refused(self, refusal: RefusedError) -> Json:
        """The body of a refusal."""
        if not self.is_second:
            return refusal.body
        return {
            "message": second.sentences(refusal),
            "error": HTTPStatus(refusal.status).phrase,
            "statusCode": refusal.status,
            "correlationId": uuid.uuid4().hex[:8],
        }

    @property
    def translates(self) -> bool:
        """Whether answers are anything but those of 3.1.0."""
        return self.version[:2] != (3, 1)

    def answered(self, store: Store, request: web.Request, data: Any) -> Any:
        """What this version answers where 3.1.0 answers `data`."""
        if self.is_second:
            return second.answered(store, request, data)
        return _of_the_future(request.path, data) if self.version >= (3, 2, 0) else data

    def told(self, store: Store, event: str, arguments: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]] | None:
        """The socket event of this version for one of 3.1.0; None where it has none."""
        return second.told(store, event, arguments) if self.is_second else (event, arguments)


def dialect_of(version: str) -> Dialect:
    major, minor, patch = (int(part) for part in version.split("."))
    return Dialect((major, minor, patch))


#: Values are the user's own below these.
_FREE = {"value", "config", "parameters"}


def _of_the_future(path: str, data: Any) -> Any:
    """Each object gets a field that nobody knows, and lists of words one word more."""
    if isinstance(data, list):
        return [_of_the_future(path, item) for item in data]
    if not isinstance(data, dict):
        return data
    result = {key: value if key in _FREE else _of_the_future(path, value) for key, value in data.items()}
    if "permissions" in result:
        result["permissions"] = [*result["permissions"], "future.read"]
    if path == "/api/workflows/triggers" and "trigger" in result:
        result["types"] = [*result["types"], "AssetV9"]
    if "albumName" in result and "albumUsers" in result:
        someone = {"user": {"id": str(uuid.UUID(int=0x4000 << 64 | 0x8 << 60)), "name": "Future"}, "role": "curator"}
        result["albumUsers"] = [*result["albumUsers"], someone]
    return result | {"futureField": {"kind": "future", "list": [1, None]}}
