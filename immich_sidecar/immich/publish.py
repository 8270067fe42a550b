"""Writing to Immich: uploading originals and versions, stacking them, marking them, putting them into albums.

Every method may be repeated after a crash at any point: it finds what is there already and does the rest. What
should be in Immich at all is decided elsewhere (`pipeline.wanted`); nothing is ever deleted or trashed.
"""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePath
from typing import Any, Literal

from immich_py_client.models.visibility import Visibility

from immich_sidecar.errors import ImmichAwayError, ImmichCredentialsError, ImmichGoneError
from immich_sidecar.immich import marks
from immich_sidecar.immich.albums import ORIGINALS, PROCESSED, Albums
from immich_sidecar.immich.connections import Connection, ConnectionState
from immich_sidecar.immich.rules import sha1_of
from immich_sidecar.immich.stacks import Stacker, StackResult, WantPrimary
from immich_sidecar.library.database import Database

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
        self, path: Path, *, file_name: str, sha1: str, captured_at: datetime | None, modified_at: datetime
    ) -> UploadResult:
        """Upload an original of a hot folder; where Immich has it already, nothing is sent.

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
    ) -> UploadResult:
        """Upload one of our versions, marked from its first moment on.

        It goes where its original is: beside an archived one into the archive. The original is the mark's
        `original_asset_id`.

        Raises
        ------
        ImmichGoneError
            If the original is not in Immich any more, or in its trash; nothing is uploaded then.
        IntegrityError
            If the file is not the one that `sha1` (hexadecimal) names; nothing arrives then.
        """
        await self._make_sure_of_the_user()
        visibility: Visibility = "timeline"
        original_id = mark.get("original_asset_id")
        if original_id:
            original = await self._api.asset(original_id)
            if original.is_trashed:
                raise ImmichGoneError(
                    f"Could not upload {file_name}: its original is in Immich's trash; restore it there and retry"
                )
            if original.visibility == "archive":
                visibility = "archive"
        if len(json.dumps(mark)) > LONGEST_FORM_MARK:
            mark = marks.short(mark)
        return await self._upload(
            path,
            file_name=file_name,
            sha1=sha1,
            captured_at=captured_at,
            modified_at=modified_at,
            metadata={marks.KEY: mark},
            visibility=visibility,
        )

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
        """
        await self._make_sure_of_the_user()
        return await self._stacker.stack(
            original_id,
            version_id,
            want_primary=WantPrimary(want_primary),
            primary_before=primary_before,
            our_ids=our_ids,
            stacked_before=stacked_before,
        )

    async def mark(self, asset_id: str, fields: dict[str, Any]) -> None:
        """Write our mark at an asset, whole; `marks.mark_of_version` and `marks.mark_of_original` make the fields."""
        await self._make_sure_of_the_user()
        await self._api.put_metadata(asset_id, marks.KEY, fields)

    async def add_to_albums(self, original_id: str, version_id: str | None = None) -> None:
        """Put the original into the album `Originals` and the version into `Processed`."""
        await self._make_sure_of_the_user()
        await self._albums.add(ORIGINALS, original_id)
        if version_id is not None:
            await self._albums.add(PROCESSED, version_id)
