"""Versions that Immich makes itself, by editing the original: a plain crop, a quarter turn.

What is to be made is written into the photo's row first, so that what is found there after a crash is known to be ours.
"""

import logging
from collections.abc import Callable
from typing import Any

from immich_sidecar.errors import ImmichGoneError, ImmichRefusedError
from immich_sidecar.immich import marks
from immich_sidecar.immich.native_edits import Outcome, as_json
from immich_sidecar.library import photos
from immich_sidecar.library.tables import PhotoRow, Publish, VersionRow
from immich_sidecar.pipeline.publish_scene import NATIVE, NATIVE_REFUSED, Scene
from immich_sidecar.pipeline.publish_steps import Bench
from immich_sidecar.pipeline.wanted import Edits

_log = logging.getLogger(__name__)


async def make_natively(bench: Bench, scene: Scene) -> bool:
    """Bring the edits of the original to what is wanted of the version; whether it is in its place with that.

    Raises
    ------
    ImmichRefusedError
        If its owner edited the original in Immich.
    """
    if scene.wanted.edits is Edits.TAKE_AWAY:
        await _take_away(bench, scene)
        return False
    edits = scene.native_edits or ()
    photo, version = scene.photo, scene.version
    before, after = photo.native_edits, as_json(edits)
    made = before == after and version.written.get(NATIVE) is True
    await _remember(bench, photo, after if before is None else before)
    try:
        outcome = await scene.target.publisher.native.make(photo.immich_asset_id or "", edits, ours=before, made=made)
    except ImmichRefusedError:
        await _remember(bench, photo, before)
        raise
    if outcome is Outcome.IMPOSSIBLE:
        _log.info("photo %s: Immich does not edit it; the version is uploaded", photo.sha256)
        await _remember(bench, photo, before)
        await bench.remember(version, _written({NATIVE_REFUSED: True}))
        return False
    await _remember(bench, photo, after)
    await bench.remember(version, _written({NATIVE: True}))
    await _mark(bench, scene)
    return True


async def _take_away(bench: Bench, scene: Scene) -> None:
    photo, version = scene.photo, scene.version
    if not await scene.target.publisher.native.take_away(photo.immich_asset_id or "", photo.native_edits or ()):
        _log.info("photo %s: its edits in Immich are not ours (any more), and stay", photo.sha256)
    await _mark(bench, scene)
    await _remember(bench, photo, None)

    def change(row: VersionRow) -> None:
        row.written = {name: value for name, value in row.written.items() if name != NATIVE}
        if row.immich_asset_id is None and row.publish in (Publish.STACKED, Publish.MARKED):
            # There is nothing of it in Immich.
            row.publish = Publish.ORIGINAL_UPLOADED

    await bench.remember(version, change)


async def _mark(bench: Bench, scene: Scene) -> None:
    photo, version = scene.photo, scene.version
    fields = marks.mark_of_original(
        recipe_id=version.recipe_id,
        version=version.n,
        review=photo.review.value,
        sha256=photo.sha256,
        installation=bench.installation,
    )
    try:
        await scene.target.publisher.mark(photo.immich_asset_id or "", fields)
    except ImmichGoneError:
        if scene.wanted.edits is Edits.MAKE:
            raise


async def _remember(bench: Bench, photo: PhotoRow, edits: list[dict[str, Any]] | None) -> None:
    """Write what we had Immich make, whatever was decided meanwhile."""
    async with bench.database.transaction() as session:
        row = await photos.get(session, photo.owner_id, photo.sha256)
        row.native_edits = edits
        session.add(row)


def _written(facts: dict[str, Any]) -> Callable[[VersionRow], None]:
    def change(row: VersionRow) -> None:
        row.written = {**row.written, **facts}

    return change
