"""The mark that the sidecar leaves on assets: one JSON object under one key of Immich's key-value store.

Immich shows it nowhere and searches nothing in it; it tells a later sidecar what an asset is. Writing replaces
the whole object, so a mark is always written whole.
"""

from collections.abc import Collection
from typing import Any

#: The key; it never changes, or everything marked so far would be processed again.
KEY = "immich-sidecar"


def mark_of_version(
    *,
    original_asset_id: str,
    recipe_id: str,
    recipe: dict[str, Any],
    ai_analysis: dict[str, Any],
    version: int,
    review: str,
    sha256: str,
    installation: str | None = None,
) -> dict[str, Any]:
    """The mark of one of our versions.

    `review` is that of the version: `pending`, `approved`, `rejected`, or `superseded` by a later one. `sha256` is
    that of the original, the identity of the photo. `installation` names the data directory that made it.
    """
    return {
        "is_processed": True,
        "original_asset_id": original_asset_id,
        "processing_recipe_id": recipe_id,
        "processing_recipe": recipe,
        "ai_analysis": ai_analysis,
        "version": version,
        "review": review,
        "sha256": sha256,
        **_named(installation),
    }


def mark_of_original(
    *, recipe_id: str | None, version: int, review: str, sha256: str, installation: str | None = None
) -> dict[str, Any]:
    """The mark of an original whose current version is `version`."""
    return {
        "is_original": True,
        "processing_recipe_id": recipe_id,
        "version": version,
        "review": review,
        "sha256": sha256,
        **_named(installation),
    }


def is_ours(found: dict[str, Any], wanted: dict[str, Any], same: Collection[int] = ()) -> bool:
    """Whether a mark that was found is an earlier state of one that is to be written, and may be replaced by it.

    It is not where it names another photo or version, or another installation; marks of early releases name none.
    `same` are the numbers of versions whose bytes are the same, and which may be named as well.
    """
    names = ("is_processed", "is_original", "sha256")
    said_by = found.get("installation")
    return (
        all(found.get(name) == wanted.get(name) for name in names)
        and found.get("version") in (wanted.get("version"), *same)
        and said_by in (None, wanted.get("installation"))
    )


def _named(installation: str | None) -> dict[str, str]:
    return {} if installation is None else {"installation": installation}


def short(mark: dict[str, Any]) -> dict[str, Any]:
    """The mark without what may be long; a form of an upload takes only so much text."""
    return {name: value for name, value in mark.items() if name not in ("processing_recipe", "ai_analysis")}
