"""Writing into Immich what models say of a photo: only what its owner picks, and never over what stands there."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from sqlmodel import select

from immich_sidecar.advise.rating import propose
from immich_sidecar.analysis.findings import Findings
from immich_sidecar.errors import ConflictError
from immich_sidecar.immich.annotate import AT_ORIGINAL, Annotation
from immich_sidecar.immich.compatibility import FEATURES
from immich_sidecar.immich.words import WORDS_OF_ANALYSIS, Words, words_of_analysis
from immich_sidecar.library.database import Database
from immich_sidecar.library.tables import PhotoRow, VersionRow
from immich_sidecar.pipeline.targets import Publisher

#: What can be written, and which permissions of the API key it needs.
PERMISSIONS = {
    "description": ("asset.update",),
    "rating": ("asset.update",),
    "tags": FEATURES["review_tags"].permissions,
}


def proposed(findings: Findings | None) -> Words:
    """What could be written of a photo."""
    if findings is None:
        return Words()
    rating = propose(findings)
    said = {
        "description": findings.words.description if findings.words is not None else None,
        "rating": rating.stars if rating is not None else None,
        "tags": [tag.word for tag in findings.tags],
    }
    # Through the same sieve as all words of an analysis: what cannot be written or would look like ours is left out.
    return words_of_analysis({WORDS_OF_ANALYSIS: said})


async def tell(
    database: Database, publisher: Publisher, photo: PhotoRow, findings: Findings | None, picked: Collection[str]
) -> tuple[str, ...]:
    """Write what was picked at the original in Immich; gives which of it stands there by now.

    Description and rating are written only where there is none, or where the one that stands there is what we wrote
    before.

    Raises
    ------
    ConflictError
        If there is nothing to write, a permission lacks, or Immich cannot take it (now).
    ImmichError
        If Immich does not do it.
    """
    everything = proposed(findings)
    words = replace(
        everything,
        description=everything.description if "description" in picked else None,
        rating=everything.rating if "rating" in picked else None,
        tags=everything.tags if "tags" in picked else (),
    )
    wanted = tuple(name for name in PERMISSIONS if getattr(words, name))
    if not wanted:
        raise ConflictError("Pick something to write: tags, description or rating, as far as there is one.")
    if photo.immich_asset_id is None:
        raise ConflictError("The photo is not in Immich yet.")
    if photo.read_only:
        raise ConflictError("The photo lies in an external library, where Immich keeps nothing beside it.")
    missing = sorted({one for name in wanted for one in PERMISSIONS[name] if not publisher.may(one)})
    if missing:
        raise ConflictError(f"The API key lacks {', '.join(missing)}: allow that in Immich, under API keys.")
    version = await _version(database, photo)
    before: dict[str, Any] = dict((version.written.get(AT_ORIGINAL) if version is not None else None) or {})
    after = await publisher.annotator.write(photo.immich_asset_id, Annotation(words), before)
    if after is None:
        raise ConflictError("Immich has not read the photo yet; try again in a minute.")
    if version is not None and after != before:
        async with database.transaction() as session:
            row = await session.get_one(VersionRow, version.id)
            row.written = {**row.written, AT_ORIGINAL: after}
            session.add(row)
    said = await publisher.annotator.said_at(photo.immich_asset_id)
    return tuple(name for name in wanted if _stands(getattr(said, name), getattr(words, name)))


def _stands(said: Any, wanted: Any) -> bool:
    if isinstance(wanted, tuple):
        return set(wanted) <= set(said)
    return bool(said == wanted)


async def _version(database: Database, photo: PhotoRow) -> VersionRow | None:
    """The photo's current version, which remembers what we have written."""
    async with database.reading() as session:
        query = select(VersionRow).where(
            VersionRow.owner_id == photo.owner_id, VersionRow.photo == photo.sha256, VersionRow.n == photo.version
        )
        return (await session.exec(query)).first()
