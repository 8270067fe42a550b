"""Great numbers of assets that cost nothing until one of them is asked for.

A crowd is a rule: the asset with number i has an id, a name, a moment and bytes that follow from i. Only what a
request names or changes becomes an asset of its own; searches count the rest by arithmetic.
"""

from __future__ import annotations

import base64
import hashlib
import io
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .dates import postgres_date
from .tables import Asset, User

EDGE = 16


def tiny_jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (EDGE, EDGE), "olive").save(buffer, "JPEG")
    return buffer.getvalue()


@dataclass(eq=False)
class Crowd:
    """`size` assets of one user, made one after the other from `first` on with `step` between them."""

    number: int
    owner: User
    size: int
    first: datetime
    step: timedelta
    #: With the number in place of `{}`.
    name: str
    mime: str
    #: A picture; each asset's bytes are these and its number.
    picture: bytes
    file: Path
    #: Fields of Asset that all have in common.
    attributes: dict[str, Any]
    #: Numbers of those that became assets of their own or are gone, in order.
    apart: list[int] = field(default_factory=list)

    def id_of(self, index: int) -> str:
        return f"c{self.number:07x}-0000-4000-8000-{index:012x}"

    def index_of(self, asset_id: str) -> int | None:
        """The number of an asset that is still in the crowd."""
        if not asset_id.startswith(f"c{self.number:07x}-0000-4000-8000-"):
            return None
        index = int(asset_id[24:], 16)
        return index if index < self.size and not self._is_apart(index) else None

    def _is_apart(self, index: int) -> bool:
        at = bisect_left(self.apart, index)
        return at < len(self.apart) and self.apart[at] == index

    def moment(self, index: int) -> datetime:
        return self.first + index * self.step

    def content(self, index: int) -> bytes:
        return self.picture + index.to_bytes(8, "big") + self.number.to_bytes(4, "big")

    def checksum(self, index: int) -> bytes:
        return hashlib.sha1(self.content(index), usedforsecurity=False).digest()

    def name_of(self, index: int) -> str:
        return self.name.replace("{}", f"{index:07d}")

    def make(self, index: int) -> Asset:
        """The asset as it is before anybody touched it."""
        moment, content, name = self.moment(index), self.content(index), self.name_of(index)
        checksum = hashlib.sha1(content, usedforsecurity=False).digest()
        asset = Asset(
            id=self.id_of(index),
            owner=self.owner,
            name=name,
            file=self.file,
            size=len(content),
            checksum=checksum,
            mime=self.mime,
            type="VIDEO" if self.mime.startswith("video/") else "IMAGE",
            created_at=moment,
            updated_at=moment,
            file_created_at=moment,
            file_modified_at=moment,
            local_date_time=moment,
            thumbhash=base64.b64encode(checksum).decode(),
            width=EDGE,
            height=EDGE,
            exif={
                "exifImageWidth": EDGE,
                "exifImageHeight": EDGE,
                "dateTimeOriginal": postgres_date(moment),
                "modifyDate": postgres_date(moment),
            },
            content=content,
            extracted=True,
        )
        for attribute, value in self.attributes.items():
            setattr(asset, attribute, value.copy() if isinstance(value, dict | list | set) else value)
        return asset

    def take(self, index: int) -> Asset:
        """The asset, from now on apart from the crowd."""
        insort(self.apart, index)
        return self.make(index)

    @property
    def left(self) -> int:
        return self.size - len(self.apart)

    def between(self, after: datetime | None, before: datetime | None) -> range:
        """Numbers of the moments from `after` to `before`, both included."""
        first, last = 0, self.size - 1
        if after is not None:
            first = max(0, -((self.first - after) // self.step)) if after > self.first else 0
            while first < self.size and self.moment(first) < after:
                first += 1
        if before is not None:
            last = min(last, (before - self.first) // self.step)
        return range(first, max(first, last + 1))

    def with_checksum(self, checksum: bytes) -> int | None:
        """The number of the asset with these bytes. The first call reckons for about a second per million."""
        if len(checksum) != 20:
            return None
        prefixes, order = self._prefixes
        wanted = np.frombuffer(checksum[:8], ">u8")[0]
        at = int(np.searchsorted(prefixes, wanted))
        while at < len(order) and prefixes[at] == wanted:
            index = int(order[at])
            if self.checksum(index) == checksum and not self._is_apart(index):
                return index
            at += 1
        return None

    @cached_property
    def _prefixes(self) -> tuple[Any, Any]:
        begin = hashlib.sha1(self.picture, usedforsecurity=False)
        ending = self.number.to_bytes(4, "big")
        joined = bytearray()
        for index in range(self.size):
            digest = begin.copy()
            digest.update(index.to_bytes(8, "big") + ending)
            joined += digest.digest()[:8]
        prefixes = np.frombuffer(bytes(joined), ">u8").astype(np.uint64)
        order = np.argsort(prefixes, kind="stable")
        return prefixes[order], order


@dataclass
class Picked:
    """Some of a crowd, in the order of their moments, without those that are apart."""

    crowd: Crowd
    #: Rising; a range or a list.
    indices: range | list[int]

    def __len__(self) -> int:
        if not self.indices:
            return 0
        if isinstance(self.indices, list):
            return len(self.indices)
        apart = self.crowd.apart
        return len(self.indices) - (bisect_left(apart, self.indices.stop) - bisect_left(apart, self.indices.start))

    def before(self, moment: datetime) -> int:
        """How many are earlier."""
        bound = self.crowd.between(moment, None).start
        if isinstance(self.indices, list):
            return bisect_left(self.indices, bound)
        return len(Picked(self.crowd, range(self.indices.start, min(bound, self.indices.stop))))

    def since(self, moment: datetime) -> Iterator[tuple[datetime, str, int]]:
        """Moment, id and number of each from a moment on."""
        bound = self.crowd.between(moment, None).start
        rest: Iterable[int]
        if isinstance(self.indices, list):
            rest = self.indices[bisect_left(self.indices, bound) :]
        else:
            rest = range(max(bound, self.indices.start), self.indices.stop)
        apart = set(self.crowd.apart)
        for index in rest:
            if index not in apart:
                yield self.crowd.moment(index), self.crowd.id_of(index), index


class AssetTable(dict[str, Asset]):
    """Assets by id. One of a crowd becomes an asset of its own when it is looked up; iterating leaves crowds out."""

    def __init__(self) -> None:
        super().__init__()
        self.crowds: list[Crowd] = []

    def __missing__(self, asset_id: str) -> Asset:
        for crowd in self.crowds:
            if (index := crowd.index_of(asset_id)) is not None:
                asset = crowd.take(index)
                self[asset_id] = asset
                return asset
        raise KeyError(asset_id)

    def __contains__(self, asset_id: object) -> bool:
        if super().__contains__(asset_id):
            return True
        return isinstance(asset_id, str) and any(crowd.index_of(asset_id) is not None for crowd in self.crowds)

    def get(self, asset_id: str, default: Any = None) -> Any:
        try:
            return self[asset_id]
        except KeyError:
            return default

    def pop(self, asset_id: str, *default: Any) -> Any:
        if asset_id in self:
            self[asset_id]
        return super().pop(asset_id, *default)


#: Before anything.
EPOCH = datetime(1, 1, 1, tzinfo=UTC)
