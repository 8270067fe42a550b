"""Immich as publishing sees it: one target per connection."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from immich_sidecar.immich.annotate import Annotation, Annotator
from immich_sidecar.immich.carrying import Carried
from immich_sidecar.immich.choices import Choices
from immich_sidecar.immich.followed_albums import FollowedAlbums
from immich_sidecar.immich.native_edits import NativeEditor
from immich_sidecar.immich.publish import UploadResult
from immich_sidecar.immich.retire import Retired
from immich_sidecar.immich.stacks import StackResult
from immich_sidecar.library.tables import PhotoRow, VersionRow
from immich_sidecar.settings import Mode

#: Told how many bytes were sent, of how many.
OnBytes = Callable[[int, int], None]


class Publisher(Protocol):
    """What publishing needs of Immich; `immich.publish.Publisher` is one, kept for as long as the connection lives."""

    @property
    def annotator(self) -> Annotator: ...

    @property
    def followed(self) -> FollowedAlbums: ...

    @property
    def native(self) -> NativeEditor: ...

    def may(self, *permissions: str) -> bool: ...

    async def upload_original(
        self,
        path: Path,
        *,
        file_name: str,
        sha1: str,
        captured_at: datetime | None,
        modified_at: datetime,
        sidecar: bytes | None = None,
        on_bytes: OnBytes | None = None,
    ) -> UploadResult: ...

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
        on_bytes: OnBytes | None = None,
    ) -> UploadResult: ...

    async def find_version(self, sha1: str, mark: dict[str, Any]) -> UploadResult | None: ...

    async def confirm(self, asset_id: str, sha1: str) -> bool: ...

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
    ) -> StackResult: ...

    async def mark(self, asset_id: str, fields: dict[str, Any]) -> None: ...

    async def mark_version(self, asset_id: str, fields: dict[str, Any], same: Collection[int] = ()) -> bool: ...

    async def carry_over(self, old_id: str, new_id: str, *, written: Mapping[str, Any]) -> Carried: ...

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
    ) -> Retired: ...

    async def bring_back(self, version: VersionRow, *, original_id: str | None) -> None: ...

    async def add_to_albums(self, original_id: str, version_id: str | None = None) -> None: ...


class Target(Protocol):
    """One connection."""

    @property
    def mode(self) -> Mode:
        """What is written, and when, unless a photo has a mode of its own."""
        ...

    @property
    def albums(self) -> bool:
        """Whether originals and versions go into albums."""
        ...

    @property
    def choices(self) -> Choices:
        """What its user chose."""
        ...

    @property
    def publisher(self) -> Publisher:
        """Writes to Immich."""
        ...

    async def look_again(self, photo: PhotoRow) -> str | None:
        """Why no version of the photo may be uploaded now, by what Immich and the rules say; None: nothing."""
        ...

    async def ping(self) -> None:
        """Do nothing where Immich answers to our key.

        Raises
        ------
        ImmichError
            If it does not.
        """
        ...


#: The targets there are now, by the row id of their connection.
Targets = Callable[[], Mapping[int, Target]]
