"""Steps of publishing that say something beside a version and its original, and see to the albums it is in."""

from datetime import timedelta
from typing import Any

from immich_sidecar.immich import annotate as words
from immich_sidecar.immich import followed_albums
from immich_sidecar.immich.annotate import AT_ORIGINAL, CAME_WITH, FAVORITE, Annotation
from immich_sidecar.immich.retire import FOUND_THERE, Fate
from immich_sidecar.library import processed
from immich_sidecar.library.tables import Review, VersionRow, now
from immich_sidecar.pipeline import publish_steps
from immich_sidecar.pipeline.publish_scene import CARRIED, Scene, carried
from immich_sidecar.pipeline.publish_steps import Bench, NotYetError

#: In `VersionRow.written["carried"]`, where other numbers are those of versions: what the original says.
FROM_ORIGINAL = "0"
#: Seconds until Immich is asked again whether it has read a new file, at most; the longer it takes, the rarer.
_LONGEST_WAIT = 120.0


def annotation_of(scene: Scene) -> Annotation:
    """What is said at the scene's version."""
    review = scene.photo.review if scene.current else None
    return words.of_version(scene.target.choices, scene.photo.analysis, review)


async def annotate(bench: Bench, scene: Scene) -> None:
    """Let the version say what its owner made of the original, and both what was chosen to be written."""
    photo, choices, annotator = scene.photo, scene.target.choices, scene.target.publisher.annotator
    if scene.version.retired in (Fate.TRASHING, Fate.TRASHED, Fate.GONE) or scene.version.written.get(FOUND_THERE):
        return
    await _heart(bench, scene)
    await _take_over(bench, scene)
    written = await _written(bench, scene)
    found = await annotator.write(scene.version.immich_asset_id or "", annotation_of(scene), written)
    await _remember(bench, scene, written, found)
    if photo.read_only or not scene.current:
        return
    at_original: dict[str, Any] = dict(written.get(AT_ORIGINAL) or {})
    about = Annotation(words.of_photo(choices, photo.analysis))
    found = await annotator.write(photo.immich_asset_id or "", about, at_original)
    await _remember(bench, scene, {AT_ORIGINAL: at_original}, None if found is None else {AT_ORIGINAL: found})


async def _take_over(bench: Bench, scene: Scene) -> None:
    """Once, when it is approved, and not where it took the place of a version that had all of it."""
    version, written = scene.version, await _written(bench, scene)
    before = dict(written.get(CARRIED) or {})
    if not scene.current or scene.photo.review is not Review.APPROVED or FROM_ORIGINAL in before:
        return
    had_it = [row for row in scene.others if str(row.n) in before and FROM_ORIGINAL in carried(row)]
    if had_it:
        result: dict[str, Any] | None = {FAVORITE: True} if any(row.written.get(FAVORITE) for row in had_it) else {}
    else:
        result = await scene.target.publisher.annotator.take_over(
            scene.photo.immich_asset_id or "",
            version.immich_asset_id or "",
            written=written.get(AT_ORIGINAL) or {},
            came_with=written.get(CAME_WITH) or {},
        )
    facts = None if result is None else {**result, CARRIED: {**before, FROM_ORIGINAL: "all"}}
    await _remember(bench, scene, written, facts)


async def _heart(bench: Bench, scene: Scene) -> None:
    """A version that is not wanted any more is no favourite because of us."""
    if not scene.version.written.get(FAVORITE) or scene.photo.review is Review.APPROVED or scene.stands:
        return
    await scene.target.publisher.annotator.no_favorite(scene.version.immich_asset_id or "")

    def change(row: VersionRow) -> None:
        kept = {number: how for number, how in carried(row).items() if number != FROM_ORIGINAL}
        row.written = {**{name: value for name, value in row.written.items() if name != FAVORITE}, CARRIED: kept}

    await bench.remember(scene.version, change)


async def follow_albums(bench: Bench, scene: Scene) -> None:
    """Put an approved version into the albums of its original; one that is not wanted any more leaves them."""
    target = scene.target
    if not target.choices.follow_albums or not target.publisher.may(*followed_albums.PERMISSIONS):
        return
    if scene.current and scene.photo.review is Review.APPROVED:
        await target.publisher.followed.put(scene.photo, scene.version)
    elif not scene.stands:
        await target.publisher.followed.take_out(scene.photo, scene.version)


async def _written(bench: Bench, scene: Scene) -> dict[str, Any]:
    """What is written at the version by now; steps before this one added to it."""
    async with bench.database.reading() as session:
        version = scene.version
        return dict((await processed.get(session, version.owner_id, version.photo, version.n)).written)


async def _remember(bench: Bench, scene: Scene, before: dict[str, Any], now_there: dict[str, Any] | None) -> None:
    """Write what changed into the row.

    Raises
    ------
    NotYetError
        If nothing could be written in Immich yet (None).
    """
    if now_there is None:
        age = (now() - scene.version.created_at) / timedelta(seconds=1)
        raise NotYetError(min(max(age / 4, publish_steps.EXTRACTION_WAIT), _LONGEST_WAIT))
    facts = {name: value for name, value in now_there.items() if value != before.get(name)}
    if not facts:
        return

    def change(row: VersionRow) -> None:
        row.written = {**row.written, **facts}

    await bench.remember(scene.version, change)
