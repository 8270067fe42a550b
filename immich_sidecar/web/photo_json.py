"""A photo with what belongs to it, and how the API tells it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.advise.looks import preset_noted
from immich_sidecar.advise.presets import Chosen
from immich_sidecar.immich.retire import KEPT_BECAUSE
from immich_sidecar.library import companions as companion_rows
from immich_sidecar.library.photos import status_of
from immich_sidecar.library.tables import (
    LOCAL_OWNER,
    CompanionRow,
    DecisionRow,
    PhotoRow,
    Publish,
    RecipeRow,
    Review,
    VersionRow,
    WorkState,
)
from immich_sidecar.pipeline import analysing_again
from immich_sidecar.web.words import iso

#: Decisions that make a new version.
RECIPE_KINDS = ("change", "reset", "develop", "preset", "analyse", "renew")
_WORKING = frozenset({WorkState.STORED, WorkState.ANALYSED, WorkState.ADVISED, WorkState.RENDERED})


@dataclass(frozen=True)
class Shown:
    """A photo, its newest recipe and its versions, newest first."""

    photo: PhotoRow
    recipe: RecipeRow | None
    versions: tuple[VersionRow, ...]
    #: Number of the version that was shown before the one that is being made; 0: the original.
    before: int = 0
    #: What belongs to the photo: the JPEG of a RAW file, XMP files; of one name the newest.
    companions: tuple[CompanionRow, ...] = ()
    #: What another look proposes for a photo that was decided about.
    offer: RecipeRow | None = None

    @property
    def status(self) -> str:
        """One word for where the photo stands."""
        return status_of(self.photo)

    @property
    def current(self) -> VersionRow | None:
        """The version to look at: the photo's own, or the one before it while that is being made."""
        n = self.photo.version if _is_finished(self.photo, self.versions) else self.before
        return next((row for row in self.versions if row.n == n), None)

    @property
    def digest(self) -> str | None:
        """What tells pictures of the current version from all others; None: the original is shown."""
        return short_digest(self.current) if self.current else None

    @property
    def working(self) -> bool:
        """Whether a version (or the first look) is being made."""
        return self.photo.state in _WORKING and self.photo.failed_at is None

    @property
    def suggestions(self) -> tuple[Mapping[str, Any], ...]:
        """What was proposed, with confidence and reason; whether it is applied as the recipe stands now."""
        if self.recipe is None:
            return ()
        active = {operation["type"] for operation in self.recipe.operations}
        return tuple(
            {**item, "applied": item["operation"] in active} for item in self.recipe.ai_metadata.get("suggestions", ())
        )

    @property
    def preset(self) -> Chosen:
        """The preset that the recipe was made with; the usual one where there is no recipe yet."""
        return Chosen() if self.recipe is None else preset_noted(self.recipe.ai_metadata)

    @property
    def confidence(self) -> float | None:
        """The lowest confidence of the applied suggestions; None where none is applied."""
        return min((float(item["confidence"]) for item in self.suggestions if item["applied"]), default=None)

    @property
    def shape(self) -> tuple[int, int]:
        """Width and height of what is shown: the current version's, else the original's."""
        current = self.current
        return (current.width, current.height) if current else (self.photo.width, self.photo.height)

    @property
    def pictured(self) -> bool:
        """Whether there is a picture of it: the analysis makes the first."""
        return self.photo.state is not WorkState.STORED or bool(self.versions)

    @property
    def can_review(self) -> bool:
        """Whether there is something to approve or reject."""
        return self.photo.review != Review.NONE

    @property
    def published(self) -> bool:
        """Whether any version of the photo is in Immich."""
        return any(row.publish in (Publish.UPLOADED, Publish.STACKED, Publish.MARKED) for row in self.versions)


async def gather(session: AsyncSession, owner: str, photos: Sequence[PhotoRow]) -> list[Shown]:
    """Recipes and versions of an owner's photos, in a few questions whatever their number."""
    if not photos:
        return []
    hashes = [photo.sha256 for photo in photos]
    recipe_ids = [photo.recipe_id for photo in photos if photo.recipe_id]
    rows = await session.exec(
        select(VersionRow)
        .where(VersionRow.owner_id == owner, col(VersionRow.photo).in_(hashes))
        .order_by(col(VersionRow.n).desc())
    )
    versions: dict[str, list[VersionRow]] = {}
    for version in rows:
        versions.setdefault(version.photo, []).append(version)
    found = await session.exec(select(RecipeRow).where(RecipeRow.owner_id == owner, col(RecipeRow.id).in_(recipe_ids)))
    recipes = {recipe.id: recipe for recipe in found}
    before = await _versions_before(session, owner, photos, versions)
    offers = await analysing_again.offers(session, owner, photos)
    companions: dict[str, list[CompanionRow]] = {}
    for companion in await companion_rows.of_photos(session, owner, hashes):
        companions.setdefault(companion.photo, []).append(companion)
    return [
        Shown(
            photo,
            recipes.get(photo.recipe_id or ""),
            tuple(versions.get(photo.sha256, ())),
            before.get(photo.sha256, 0),
            tuple(companion_rows.shown(companions.get(photo.sha256, ()))),
            offers.get(photo.sha256),
        )
        for photo in photos
    ]


def _is_finished(photo: PhotoRow, versions: Sequence[VersionRow]) -> bool:
    """Whether the photo's own version can be looked at: it is rendered, and its file is in its place."""
    return photo.state is not WorkState.RENDERED and any(row.n == photo.version for row in versions)


async def _versions_before(
    session: AsyncSession, owner: str, photos: Sequence[PhotoRow], versions: Mapping[str, Sequence[VersionRow]]
) -> dict[str, int]:
    """For photos whose own version is being made: the number of the finished version that the change began with.

    That is not always the number before: a version that was undone has one, too.
    """
    unfinished = [
        photo
        for photo in photos
        if photo.version > 0 and versions.get(photo.sha256) and not _is_finished(photo, versions[photo.sha256])
    ]
    if not unfinished:
        return {}
    decided = await session.exec(
        select(DecisionRow).where(
            DecisionRow.owner_id == owner,
            col(DecisionRow.photo).in_([photo.sha256 for photo in unfinished]),
            col(DecisionRow.kind).in_(RECIPE_KINDS),
        )
    )
    came_from = {(row.photo, row.after.get("version")): int(row.before.get("version") or 0) for row in decided}
    found = {}
    for photo in unfinished:
        made = {row.n for row in versions[photo.sha256]} - {photo.version}
        n = came_from.get((photo.sha256, photo.version), 0)
        while n and n not in made:
            n = came_from.get((photo.sha256, n), 0)
        found[photo.sha256] = n
    return found


def photo_json(
    shown: Shown, *, base: str = "", immich_link: str | None = None, with_masks: bool = True
) -> dict[str, Any]:
    """A photo as the API tells it; without the masks of its objects they are null."""
    photo, recipe = shown.photo, shown.recipe
    pictured = {"version": _n(shown.current), "digest": shown.digest}
    return {
        "id": photo.sha256,
        "owner": photo.owner_id,
        "file_name": photo.file_name,
        "status": shown.status,
        "state": photo.state.value,
        "review": photo.review.value,
        "version": photo.version,
        "revision": photo.revision,
        "width": photo.width,
        "height": photo.height,
        "size": photo.size,
        "captured_at": iso(photo.captured_at),
        "created_at": iso(photo.created_at),
        "is_raw": photo.is_raw,
        "media_type": photo.media_type,
        "source": photo.source.value,
        "left_alone_reason": photo.left_alone_reason,
        "offer": None if shown.offer is None else list(shown.offer.ai_metadata.get("suggestions", ())),
        "badge": photo.badge,
        "failed_at": photo.failed_at,
        "error": photo.last_error,
        "original_publish": photo.original_publish.value,
        "original_publish_error": photo.original_publish_error,
        "confidence": shown.confidence,
        "preset": {"name": shown.preset.name, "label": shown.preset.label, "strength": shown.preset.strength},
        "suggestions": list(shown.suggestions),
        "findings": _findings(photo, with_masks=with_masks),
        "recipe": recipe_json(recipe) if recipe else None,
        "versions": [version_json(photo, row, base) for row in shown.versions],
        "companions": [companion_json(row) for row in shown.companions],
        "immich": _immich(photo, immich_link),
        "urls": {
            "page": address(base, photo, f"/photos/{photo.sha256}"),
            "thumbnail": address(base, photo, f"/api/photos/{photo.sha256}/thumbnail", **pictured),
            "preview": address(base, photo, f"/api/photos/{photo.sha256}/preview", **pictured),
            "original": address(base, photo, f"/api/photos/{photo.sha256}/original"),
        },
    }


def _findings(photo: PhotoRow, *, with_masks: bool) -> dict[str, Any] | None:
    found: dict[str, Any] | None = (photo.analysis or {}).get("findings")
    if found is None or with_masks:
        return found
    return {**found, "objects": [{**item, "mask": None} for item in found.get("objects", ())]}


def recipe_json(recipe: RecipeRow) -> dict[str, Any]:
    """A recipe as its JSON file has it."""
    return {
        "id": recipe.id,
        "original_hash": recipe.original_hash,
        "created_at": iso(recipe.created_at),
        "operations": recipe.operations,
        "ai_metadata": recipe.ai_metadata,
        "user_overrides": recipe.user_overrides,
    }


def version_json(photo: PhotoRow, row: VersionRow, base: str = "") -> dict[str, Any]:
    """One version as the API tells it."""
    return {
        "n": row.n,
        "recipe_id": row.recipe_id,
        "width": row.width,
        "height": row.height,
        "size": row.size,
        "sha256": row.sha256,
        "created_at": iso(row.created_at),
        "publish": row.publish.value,
        "blocked_reason": row.blocked_reason,
        "immich_asset_id": row.immich_asset_id,
        "retired": row.retired,
        "kept_because": row.written.get(KEPT_BECAUSE),
        "url": address(base, photo, f"/api/photos/{photo.sha256}/versions/{row.n}"),
    }


def companion_json(row: CompanionRow) -> dict[str, Any]:
    """A file that belongs to a photo, as the API tells it."""
    return {
        "kind": row.kind,
        "file_name": row.file_name,
        "size": row.size,
        "sha256": row.sha256,
        "immich_asset_id": row.immich_asset_id,
        "publish": row.publish.value,
        "note": row.last_error,
    }


def address(base: str, photo: PhotoRow, path: str, **query: object) -> str:
    """An address about a photo; names its owner unless that is `local`."""
    pairs = {name: str(value) for name, value in query.items() if value is not None}
    if photo.owner_id != LOCAL_OWNER:
        pairs["owner"] = photo.owner_id
    return f"{base}{path}" + (f"?{urlencode(pairs)}" if pairs else "")


def _immich(photo: PhotoRow, immich_link: str | None) -> dict[str, Any] | None:
    if photo.immich_asset_id is None:
        return None
    return {
        "asset_id": photo.immich_asset_id,
        "stack_id": photo.immich_stack_id,
        "url": f"{immich_link}/photos/{quote(photo.immich_asset_id, safe='')}" if immich_link else None,
    }


def short_digest(version: VersionRow) -> str:
    """The first digits of a version's SHA-256, for addresses of its pictures."""
    return version.sha256[:12]


def _n(version: VersionRow | None) -> int:
    return version.n if version else 0
