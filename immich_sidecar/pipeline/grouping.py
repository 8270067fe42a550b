"""Finding photos that belong together, by the clock and in small pieces; nothing is ever done with them by itself."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.advise.groups import Group, Like, exposure_value, find_groups
from immich_sidecar.analysis.measure import shapes
from immich_sidecar.library import embeddings, groups
from immich_sidecar.library.database import Database
from immich_sidecar.library.groups import NO_PICTURE
from immich_sidecar.library.layout import Layout
from immich_sidecar.library.tables import LikenessRow, PhotoRow

#: Seconds between two rounds.
GROUP_SECONDS = 300.0
#: Photos whose likeness is measured at a time, and in one round at most.
PIECE, MOST = 100, 5000
#: Rows that are read at a time, and vectors that are held.
READ, MOST_VECTORS = 2000, 20_000
#: Small pictures that are held in memory while groups are looked for; 9 KB each.
_PICTURES = 4000
#: Difference of two small pictures up to which they look alike.
_LOOKS_ALIKE = 0.12
#: What eyes, votes and the focus on the subject count beside sharpness when a burst is ranked; all are 0 to 1.
_EYES, _VOTES, _FOCUS = 0.6, 0.6, 1.5


class Grouping:
    """Measures what photos are like, and looks for groups where something is new."""

    def __init__(self, database: Database, layout: Layout) -> None:
        self._database = database
        self._layout = layout
        self._stale: set[str] = set()
        self._has_run = False

    async def run(self) -> int:
        """One round; gives how many photos were measured."""
        if not self._has_run:
            # A thumbnail that was evicted then may be there now.
            async with self._database.transaction() as session:
                await groups.forget_unmeasured(session)
            self._has_run = True
        measured = 0
        while measured < MOST:
            async with self._database.reading() as session:
                photos = await groups.without_likeness(session, limit=PIECE)
            if not photos:
                break
            rows = await asyncio.to_thread(lambda these: [self._measured(one) for one in these], photos)
            async with self._database.transaction() as session:
                for row in rows:
                    if await session.get(LikenessRow, (row.owner_id, row.photo)) is None:
                        session.add(row)
            self._stale |= {row.owner_id for row in rows if row.shapes != NO_PICTURE}
            measured += len(rows)
        for owner_id in sorted(self._stale):
            await self._regroup(owner_id)
            self._stale.discard(owner_id)
        return measured

    def _measured(self, photo: PhotoRow) -> LikenessRow:
        grey = shapes.small_grey(self._thumbnail(photo.owner_id, photo.sha256))
        facts = (photo.analysis or {}).get("facts") or {}
        return LikenessRow(
            owner_id=photo.owner_id,
            photo=photo.sha256,
            shapes=NO_PICTURE if grey is None else shapes.shapes_of(grey),
            captured_at=photo.captured_at,
            camera=" ".join(str(facts[name]) for name in ("make", "model") if facts.get(name)),
            exposure_value=exposure_value(facts.get("exposure_seconds"), facts.get("f_number"), facts.get("iso")),
            bracketed=bool(facts.get("is_bracketed")),
            sharpness=merit_of(photo.analysis or {}),
        )

    async def _regroup(self, owner_id: str) -> None:
        photos = await self._likes(owner_id)
        vectors = await self._vectors(owner_id) if len(photos) <= MOST_VECTORS else {}
        found = await asyncio.to_thread(self._find, owner_id, photos, vectors)
        async with self._database.transaction() as session:
            await groups.replace(session, owner_id, found)

    async def _likes(self, owner_id: str) -> list[Like]:
        photos: list[Like] = []
        while True:
            # In pieces, with room for everybody else in between.
            async with self._database.reading() as session:
                after = photos[-1].photo if photos else ""
                piece = await groups.likes_of(session, owner_id, after=after, limit=READ)
            photos += piece
            if len(piece) < READ:
                return photos

    async def _vectors(self, owner_id: str) -> dict[str, NDArray[np.float32]]:
        """Vectors, where they are few enough to be held; of a large library measurements decide alone."""
        async with self._database.reading() as session:
            kinds = await embeddings.revisions(session, owner_id)
        if not kinds:
            return {}
        model, revision, _ = kinds[0]
        vectors: dict[str, NDArray[np.float32]] = {}
        after = 0
        while len(vectors) < MOST_VECTORS:
            async with self._database.reading() as session:
                found = await embeddings.of_model(session, owner_id, model, revision, after=after, limit=READ)
            vectors |= {one.photo: one.vector for one in found}
            if len(found) < READ:
                break
            after = found[-1].id
        return vectors

    def _find(self, owner_id: str, photos: Sequence[Like], vectors: Mapping[str, NDArray[np.float32]]) -> list[Group]:
        pictures: OrderedDict[str, NDArray[np.uint8] | None] = OrderedDict()

        def picture(one: Like) -> NDArray[np.uint8] | None:
            if one.photo not in pictures:
                pictures[one.photo] = shapes.small_grey(self._thumbnail(owner_id, one.photo))
                if len(pictures) > _PICTURES:
                    pictures.popitem(last=False)
            return pictures[one.photo]

        def cosine(first: Like, second: Like) -> float | None:
            a, b = vectors.get(first.photo), vectors.get(second.photo)
            return None if a is None or b is None else float(a @ b)

        def same(first: Like, second: Like) -> bool:
            a, b = picture(first), picture(second)
            return a is not None and b is not None and shapes.difference(a, b) <= _LOOKS_ALIKE

        def moved_on(first: Like, second: Like) -> str | None:
            a, b = picture(first), picture(second)
            return None if a is None or b is None else shapes.moved_on(a, b)

        return find_groups(photos, cosine=cosine, same=same, moved_on=moved_on)

    def _thumbnail(self, owner_id: str, sha256: str) -> Path:
        return self._layout.absolute(self._layout.thumbnail(owner_id, sha256, 0))


def merit_of(analysis: Mapping[str, Any]) -> float:
    """How good a photo is beside others of the same moment: sharpness, above all of the subject, eyes, and votes."""
    sharpness = (analysis.get("sharpness") or {}).get("score")
    merit = float(sharpness) if isinstance(sharpness, int | float) else 0.0
    findings = analysis.get("findings") or {}
    focus = (findings.get("focus") or {}).get("score")
    if isinstance(focus, int | float):
        # A sharp background does not make up for a blurred face.
        merit += _FOCUS * float(focus)
    eyes = [face["eyes_open"] for face in findings.get("faces") or () if face.get("eyes_open") is not None]
    if eyes:
        # The worst pair of eyes decides about a picture of several people.
        merit += _EYES * min(eyes)
    for name in ("aesthetic", "technical"):
        votes = (findings.get(name) or {}).get("votes")
        if votes:
            merit += _VOTES * (sum(n * share for n, share in enumerate(votes, start=1)) - 1) / 9
    return merit
