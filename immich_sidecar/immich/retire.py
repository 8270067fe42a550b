"""Taking a version of ours out of the way once another took its place: the only thing of Immich's that we ever trash.

`may_retire` decides, for whatever trashes or tags a version; there is no way around it. What goes to the trash can be
restored there for as long as Immich keeps it, and nothing is ever deleted for good.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from immich_py_client.models import Asset

from immich_sidecar.errors import ImmichGoneError, ImmichPermissionError
from immich_sidecar.immich import marks
from immich_sidecar.immich.api import Api, AssetChanges
from immich_sidecar.immich.rules import sha1_of
from immich_sidecar.immich.stacks import Stacker
from immich_sidecar.immich.tagging import SUPERSEDED, Tagging
from immich_sidecar.library.tables import PhotoRow, VersionRow

#: In `VersionRow.written`: the asset was in Immich before we sent the file, so that it is not of our making.
FOUND_THERE = "found_there"
#: In `VersionRow.written`: the number of the version that was the photo's when this one was retired.
RETIRED_BY = "retired_by"
#: In `VersionRow.written`: the number of the later version with the same bytes that owns its asset now.
HANDED_ON = "handed_on"
#: In `VersionRow.written`: why it was kept although a newer version took its place.
KEPT_BECAUSE = "kept_because"


class Fate(StrEnum):
    """What became of a version that was to be retired, as `VersionRow.retired` has it."""

    #: About to be moved to the trash, or back from there; the service may have ended in between.
    TRASHING = "trashing"
    #: We moved it to Immich's trash.
    TRASHED = "trashed"
    #: It stays in the stack, and lies in Immich's archive, so that nobody sees it.
    ARCHIVED = "archived"
    #: It stays in the stack, tagged.
    TAGGED = "tagged"
    #: It stays in the stack; only our mark says so.
    MARKED = "marked"
    #: It stays as it is, because something speaks against it.
    KEPT = "kept"
    #: Its owner removed it, or moved it to the trash.
    GONE = "gone"


@dataclass(frozen=True)
class Retired:
    """What came of it."""

    fate: Fate
    #: Why it was kept.
    reason: str | None = None


def may_retire(
    asset: Asset,
    mark: Mapping[str, Any] | None,
    version: VersionRow,
    photo: PhotoRow,
    *,
    user_id: str | None,
    installation: str | None,
    taken_over: bool = False,
) -> str | None:
    """Why this asset must not be retired as that version; None where it may be.

    It may only where our rows, Immich's record of the bytes and our own mark all say that it is what we made of this
    photo, and where its owner has made nothing of it since.

    Parameters
    ----------
    asset
        The asset as Immich tells it now.
    mark
        Our mark as it was read from that asset; None where there is none.
    version
        The row of the version that is to be retired, in Immich as that asset.
    photo
        The row of its photo.
    user_id
        The Immich user of the connection.
    installation
        This installation, as our marks name it.
    taken_over
        Whether what its owner gave it went over to the version that took its place.
    """
    return (
        _not_in_our_rows(asset, version, photo, user_id)
        or _not_our_bytes(asset, version, photo)
        or (_not_our_mark(mark, version, photo, installation) or _of_the_user(asset, taken_over=taken_over))
    )


def _not_in_our_rows(asset: Asset, version: VersionRow, photo: PhotoRow, user_id: str | None) -> str | None:
    if (version.owner_id, version.photo) != (photo.owner_id, photo.sha256):
        return "the version is one of another photo"
    if not asset.id or asset.id != version.immich_asset_id:
        return "it is not the asset that was uploaded"
    if not photo.immich_asset_id or asset.id == photo.immich_asset_id:
        return "it is the original"
    if version.written.get(FOUND_THERE):
        return "it was in Immich before it was uploaded"
    if not user_id or asset.owner_id != user_id:
        return "it belongs to another user"
    return None


def _not_our_bytes(asset: Asset, version: VersionRow, photo: PhotoRow) -> str | None:
    if asset.library_id:
        return "it lies in an external library"
    if asset.type_ != "IMAGE":
        return "it is no picture"
    sha1 = sha1_of(asset)
    if sha1 is None or sha1 != version.sha1.lower():
        return "its bytes are not those that were uploaded"
    if sha1 == photo.sha1.lower():
        return "its bytes are those of the original"
    return None


def _not_our_mark(
    mark: Mapping[str, Any] | None, version: VersionRow, photo: PhotoRow, installation: str | None
) -> str | None:
    if mark is None:
        return "it does not carry our mark"
    expected = {
        "is_processed": True,
        "sha256": photo.sha256,
        "version": version.n,
        "original_asset_id": photo.immich_asset_id,
        "processing_recipe_id": version.recipe_id,
    }
    if mark.get("is_original") or any(mark.get(name) != value for name, value in expected.items()):
        return "its mark is that of something else"
    if not installation or mark.get("installation") != installation:
        return "another installation made it"
    return None


def _of_the_user(asset: Asset, *, taken_over: bool) -> str | None:
    if asset.is_trashed:
        return "it is in the trash already"
    if asset.is_edited:
        return "it was edited in Immich"
    if asset.live_photo_video_id:
        return "it was made a live photo"
    if asset.visibility not in ("timeline", "archive"):
        return "it was hidden in Immich"
    if asset.is_favorite and not taken_over:
        return "it is a favourite"
    return None


class Retirer:
    """Retires versions of one user, and brings them back.

    Parameters
    ----------
    api, stacker, tagging
        Of the connection.
    """

    def __init__(self, api: Api, stacker: Stacker, tagging: Tagging) -> None:
        self._api = api
        self._stacker = stacker
        self._tagging = tagging

    async def retire(
        self,
        photo: PhotoRow,
        version: VersionRow,
        *,
        instead_id: str,
        user_id: str | None,
        installation: str | None,
        taken_over: bool,
        trash: bool,
        tag: bool,
        hide: bool = False,
        own_albums: frozenset[str] = frozenset(),
    ) -> Retired:
        """Move a version to the trash, or say in other ways that it was replaced; see `Publisher.retire`."""
        asset_id = version.immich_asset_id or ""
        try:
            asset = await self._api.asset(asset_id)
            mark = await self._api.metadata(asset_id, marks.KEY)
        except ImmichGoneError:
            return Retired(Fate.GONE)
        if asset.is_trashed:
            return Retired(Fate.TRASHED if version.retired in (Fate.TRASHING, Fate.TRASHED) else Fate.GONE)
        reason = may_retire(
            asset, mark, version, photo, user_id=user_id, installation=installation, taken_over=taken_over
        )
        reason = reason or await self._not_replaced(instead_id)
        if reason is None and (trash or hide) and not taken_over:
            reason = await self._in_an_album(asset_id, own_albums, trash=trash)
        if reason is not None:
            return Retired(Fate.KEPT, reason)
        if trash:
            try:
                # A trashed primary hides its whole stack.
                await self._stacker.make_way(asset_id, instead_id)
                await self._api.delete_assets([asset_id], force=False)
            except ImmichPermissionError:
                pass
            else:
                return Retired(Fate.TRASHED)
        if hide:
            # An archived primary would hide its whole stack as well.
            await self._stacker.make_way(asset_id, instead_id)
            await self._api.update_asset(asset_id, AssetChanges(visibility="archive"))
            return Retired(Fate.ARCHIVED)
        if tag:
            try:
                await self._tagging.add(SUPERSEDED, [asset_id])
            except ImmichPermissionError:
                pass
            else:
                return Retired(Fate.TAGGED)
        return Retired(Fate.MARKED)

    async def bring_back(self, version: VersionRow, original_id: str | None) -> None:
        """Undo `retire`; see `Publisher.bring_back`."""
        asset_id = version.immich_asset_id or ""
        if version.retired == Fate.TAGGED:
            await self._tagging.remove(SUPERSEDED, [asset_id])
        elif version.retired == Fate.ARCHIVED:
            if original_id is None or not await self._is_archived(original_id):
                await self._api.update_asset(asset_id, AssetChanges(visibility="timeline"))
        elif version.retired in (Fate.TRASHING, Fate.TRASHED):
            try:
                asset = await self._api.asset(asset_id)
            except ImmichGoneError as error:
                raise ImmichGoneError(
                    f"Version {version.n} was moved to Immich's trash when another took its place, and Immich does not "
                    "have it any more. Change something to make a new version."
                ) from error
            if asset.is_trashed:
                await self._api.restore_assets([asset_id])

    async def _is_archived(self, asset_id: str) -> bool:
        try:
            return (await self._api.asset(asset_id)).visibility == "archive"
        except ImmichGoneError:
            return False

    async def _not_replaced(self, instead_id: str) -> str | None:
        try:
            asset = await self._api.asset(instead_id)
        except ImmichGoneError:
            return "what is to take its place is not in Immich"
        return "what is to take its place is in Immich's trash" if asset.is_trashed else None

    async def _in_an_album(self, asset_id: str, own_albums: frozenset[str], *, trash: bool) -> str | None:
        """Whether its owner put it into an album, as far as the key may look; the archive takes it out of none."""
        try:
            albums = await self._api.albums(asset_id=asset_id)
        except ImmichPermissionError:
            return "it may be in an album, and the key may not look (album.read)" if trash else None
        names = [album.album_name or "" for album in albums if album.id not in own_albums]
        return f"it is in the album {names[0]}" if names else None
