"""Writing to Immich: uploading originals and versions, stacking and marking them, retiring what was replaced.

Every method may be repeated after a crash at any point: it finds what is there already and does the rest. What
should be in Immich at all is decided elsewhere (`pipeline.wanted`). Nothing but a version of ours is ever moved to
the trash (`retire.may_retire`), and nothing is deleted for good.
"""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path, PurePath
from typing import Any, Literal

from immich_py_client.models.visibility import Visibility

from immich_sidecar.errors import ImmichAwayError, ImmichCredentialsError, ImmichGoneError
from immich_sidecar.immich import marks
from immich_sidecar.immich.albums import ORIGINALS, PROCESSED, Albums
from immich_sidecar.immich.annotate import Annotation, Annotator, Enclosed, enclosed
from immich_sidecar.immich.carrying import Carried, carry_over
from immich_sidecar.immich.connections import Connection, ConnectionState
from immich_sidecar.immich.followed_albums import FollowedAlbums
from immich_sidecar.immich.native_edits import NativeEditor
from immich_sidecar.immich.retire import Retired, Retirer
from immich_sidecar.immich.rules import sha1_of
from immich_sidecar.immich.stacks import Stacker, StackResult, WantPrimary
from immich_sidecar.immich.tagging import Tagging
from immich_sidecar.immich.transport import Progress
from immich_sidecar.library.database import Database
from immich_sidecar.library.tables import PhotoRow, VersionRow

__all__ = ["Publisher", "StackResult", "UploadResult", "version_file_name"]

#: Characters of a mark that travel in the form of an upload; servers cut text fields off at 1 MiB.
LONGEST_FORM_MARK = 500_000

_NOT_IN_NAMES = re.compile(r'[\x00-\x1f\x7f/\\"]')


@dataclass(frozen=True)
class UploadResult:
    """What Immich made of a file."""

    asset_id: str
    #: `created`, or `duplicate` where the same bytes were there already.
    status: Literal["created", "duplicate"]
    #: The duplicate lies in Immich's trash, and stays there.
    is_trashed: bool = False
    #: The duplicate carries the mark that it was to get: an earlier attempt of ours sent it.
    is_ours: bool = False
    #: What was written beside the file, for `VersionRow.written`.
    written: Mapping[str, Any] = field(default_factory=dict)


def version_file_name(original_name: str, n: int, extension: str = "jpg") -> str:
    """The name of version `n` in Immich, e.g. `IMG_1234_processed_v2.jpg`."""
    stem = PurePath(_NOT_IN_NAMES.sub("_", original_name)).stem or "photo"
    return f"{stem}_processed_v{n}.{extension}"


class Publisher:
    """Writes to the Immich of one connection. All methods raise errors of `ImmichError`.

    Nothing is written before the key was seen to belong to the user whose photos these are: a key can be
    exchanged while the service does not run.

    Parameters
    ----------
    connection
        Whose Immich it is.
    database
        Has the connection's row, and remembers the albums.
    """

    def __init__(self, connection: Connection, database: Database) -> None:
        self.connection = connection
        self._api = connection.api
        self._database = database
        self._stacker = Stacker(connection.api)
        self._albums = Albums(connection, database)
        self.tagging = Tagging(connection.api)
        #: Writes tags, ratings and descriptions.
        self.annotator = Annotator(connection.api, self.tagging)
        #: Lets versions follow their originals into albums.
        self.followed = FollowedAlbums(connection, database, self._albums)
        #: Lets Immich itself crop and turn.
        self.native = NativeEditor(connection.api)
        self._retirer = Retirer(connection.api, self._stacker, self.tagging)

    def may(self, *permissions: str) -> bool:
        """Whether the key has these permissions, as far as is known."""
        granted = self.connection.permissions
        return "all" in granted or set(permissions) <= set(granted)

    async def _make_sure_of_the_user(self) -> None:
        if self.connection.verified:
            return
        check = await self.connection.refresh(self._database)
        if self.connection.verified:
            return
        message = check.message or f"Immich at {self.connection.url} does not say whose API key it is"
        if check.state in (ConnectionState.CREDENTIALS, ConnectionState.REFUSED):
            raise ImmichCredentialsError(message)
        raise ImmichAwayError(message)

    async def upload_original(
        self,
        path: Path,
        *,
        file_name: str,
        sha1: str,
        captured_at: datetime | None,
        modified_at: datetime,
        sidecar: bytes | None = None,
        on_bytes: Progress | None = None,
    ) -> UploadResult:
        """Upload an original of a hot folder; where Immich has it already, nothing is sent.

        `sidecar` is the XMP file that goes with it; Immich takes none later.

        Raises
        ------
        IntegrityError
            If the file is not the one that `sha1` (hexadecimal) names; nothing arrives then.
        """
        return await self._upload(
            path,
            file_name=file_name,
            sha1=sha1,
            captured_at=captured_at,
            modified_at=modified_at,
            metadata={},
            visibility="timeline",
            sidecar=sidecar,
            on_bytes=on_bytes,
        )

    async def upload_version(
        self,
        path: Path,
        *,
        file_name: str,
        sha1: str,
        captured_at: datetime | None,
        modified_at: datetime,
        mark: dict[str, Any],
        annotation: Annotation | None = None,
        on_bytes: Progress | None = None,
    ) -> UploadResult:
        """Upload one of our versions, marked from its first moment on.

        It goes where its original is: beside an archived one into the archive. The original is the mark's
        `original_asset_id`; what that says in Immich (description, rating, tags) stands in an XMP document beside the
        file, and what `annotation` says where it says nothing.

        Raises
        ------
        ImmichGoneError
            If the original is not in Immich any more, or in its trash; nothing is uploaded then.
        IntegrityError
            If the file is not the one that `sha1` (hexadecimal) names; nothing arrives then.
        """
        await self._make_sure_of_the_user()
        visibility: Visibility = "timeline"
        beside = Enclosed()
        original_id = mark.get("original_asset_id")
        if original_id:
            original = await self._api.asset(original_id)
            if original.is_trashed:
                raise ImmichGoneError(
                    f"Could not upload {file_name}: its original is in Immich's trash; restore it there and retry"
                )
            if original.visibility == "archive":
                visibility = "archive"
            beside = enclosed(original, annotation or Annotation(), self._api.server_now())
        if len(json.dumps(mark)) > LONGEST_FORM_MARK:
            mark = marks.short(mark)
        result = await self._upload(
            path,
            file_name=file_name,
            sha1=sha1,
            captured_at=captured_at,
            modified_at=modified_at,
            metadata={marks.KEY: mark},
            visibility=visibility,
            sidecar=beside.document,
            on_bytes=on_bytes,
        )
        if result.status == "created":
            return replace(result, is_ours=True, written=beside.written)
        is_ours = await self._is_marked_so(result.asset_id, mark)
        # An earlier attempt of ours said the same.
        return replace(result, is_ours=is_ours, written=beside.written if is_ours else {})

    async def find_version(self, sha1: str, mark: dict[str, Any]) -> UploadResult | None:
        """A version that was sent although nobody heard that it arrived; None where Immich does not have it."""
        await self._make_sure_of_the_user()
        if (known := await self._api.known(sha1)) is None:
            return None
        return UploadResult(known[0], "duplicate", known[1], is_ours=await self._is_marked_so(known[0], mark))

    async def _is_marked_so(self, asset_id: str, mark: dict[str, Any]) -> bool:
        found = await self._api.metadata(asset_id, marks.KEY)
        return found is not None and marks.is_ours(found, mark)

    async def _upload(
        self,
        path: Path,
        *,
        file_name: str,
        sha1: str,
        captured_at: datetime | None,
        modified_at: datetime,
        metadata: dict[str, dict[str, Any]],
        visibility: Visibility,
        sidecar: bytes | None = None,
        on_bytes: Progress | None,
    ) -> UploadResult:
        await self._make_sure_of_the_user()
        if known := await self._api.known(sha1):
            return UploadResult(known[0], "duplicate", known[1])
        asset_id, was_there = await self._api.upload(
            path,
            file_name=_NOT_IN_NAMES.sub("_", file_name),
            sha1=sha1,
            created_at=captured_at or modified_at,
            modified_at=modified_at,
            metadata=metadata,
            visibility=visibility,
            sidecar=sidecar,
            on_bytes=on_bytes,
        )
        if not was_there:
            return UploadResult(asset_id, "created")
        # Somebody else was faster by a moment.
        known = await self._api.known(sha1)
        return UploadResult(asset_id, "duplicate", bool(known and known[1]))

    async def confirm(self, asset_id: str, sha1: str) -> bool:
        """Whether Immich holds this asset with exactly these bytes, outside its trash."""
        await self._make_sure_of_the_user()
        try:
            asset = await self._api.asset(asset_id)
        except ImmichGoneError:
            return False
        return not asset.is_trashed and not asset.is_offline and sha1_of(asset) == sha1.lower()

    async def stack(
        self,
        original_id: str,
        version_id: str,
        *,
        want_primary: Literal["ours", "keep", "restore"],
        primary_before: str | None,
        our_ids: frozenset[str] = frozenset(),
        stacked_before: bool = False,
        earlier_ids: frozenset[str] = frozenset(),
        standing_id: str | None = None,
    ) -> StackResult:
        """Stack a version with its original and put on top what is wanted there, as far as that is ours to do.

        Parameters
        ----------
        want_primary
            `ours`: the version comes on top if the original or another version of ours is there now; where the
            user put something else on top, that stays. `keep`: nothing on top changes; a new stack has the
            original there. `restore`: if one of ours is on top, what was there before us comes back.
        primary_before
            What an earlier result named so; None the first time.
        our_ids
            Assets of all versions of this photo that were uploaded.
        stacked_before
            Whether this version was in a stack with its original once. If it is not any more, its owner took
            them apart, and they are left so.
        earlier_ids
            Assets of other versions that were in a stack with the original once. Where their owner keeps them out of
            it now, a newer version stays out as well.
        standing_id
            The earlier version that `restore` puts on top instead of what was there before us: its owner approved it,
            and has not approved what came after it.
        """
        await self._make_sure_of_the_user()
        return await self._stacker.stack(
            original_id,
            version_id,
            want_primary=WantPrimary(want_primary),
            primary_before=primary_before,
            our_ids=our_ids,
            stacked_before=stacked_before,
            earlier_ids=earlier_ids,
            standing_id=standing_id,
        )

    async def mark(self, asset_id: str, fields: dict[str, Any]) -> None:
        """Write our mark at an asset, whole; `marks.mark_of_version` and `marks.mark_of_original` make the fields."""
        await self._make_sure_of_the_user()
        await self._api.put_metadata(asset_id, marks.KEY, fields)

    async def mark_version(self, asset_id: str, fields: dict[str, Any], same: Collection[int] = ()) -> bool:
        """Bring the mark of a version up to date; one that another installation left there is not touched.

        `same` are the numbers of other versions with the same bytes, whose mark it may carry. Returns whether the
        asset carries `fields` now.
        """
        await self._make_sure_of_the_user()
        found = await self._api.metadata(asset_id, marks.KEY)
        if found == fields:
            return True
        if found is not None and not marks.is_ours(found, fields, same):
            return False
        await self._api.put_metadata(asset_id, marks.KEY, fields)
        return True

    async def carry_over(self, old_id: str, new_id: str, *, written: Mapping[str, Any]) -> Carried:
        """Give a version what its owner gave the one before it; see `carrying.carry_over`."""
        await self._make_sure_of_the_user()
        return await carry_over(self._api, old_id, new_id, written=written)

    async def retire(
        self,
        photo: PhotoRow,
        version: VersionRow,
        *,
        instead_id: str,
        installation: str,
        taken_over: bool,
        trash: bool,
        hide: bool = False,
        own_albums: frozenset[str] = frozenset(),
    ) -> Retired:
        """Take a version out of the way that another one replaced, or that was rejected, as far as `may_retire` lets.

        Parameters
        ----------
        instead_id
            The asset that takes its place: it has to be there, and comes on top of the stack if ours was.
        installation
            What our marks name this installation.
        taken_over
            Whether `carry_over` gave that asset all that the owner had given this one.
        trash
            Whether it goes to the trash where the key allows it. If not, it is tagged where the key allows that.
        hide
            Whether it goes to the archive where the trash is closed to the key.
        own_albums
            Albums that we put it into ourselves.
        """
        await self._make_sure_of_the_user()
        own = {album for album in (await self._albums.remembered(PROCESSED),) if album is not None}
        return await self._retirer.retire(
            photo,
            version,
            instead_id=instead_id,
            user_id=self.connection.user_id,
            installation=installation,
            taken_over=taken_over,
            trash=trash and self.may("asset.delete"),
            tag=self.may("tag.create", "tag.asset"),
            hide=hide,
            own_albums=own_albums | own,
        )

    async def bring_back(self, version: VersionRow, *, original_id: str | None) -> None:
        """Undo `retire`: take the version out of the trash, or take the tag off it.

        Beside an original in the archive it stays in the archive.

        Raises
        ------
        ImmichGoneError
            If Immich has emptied its trash.
        """
        await self._make_sure_of_the_user()
        await self._retirer.bring_back(version, original_id)

    async def add_to_albums(self, original_id: str, version_id: str | None = None) -> None:
        """Put the original into the album `Originals` and the version into `Processed`."""
        await self._make_sure_of_the_user()
        await self._albums.add(ORIGINALS, original_id)
        if version_id is not None:
            await self._albums.add(PROCESSED, version_id)
