"""Immich as publishing sees it: one target per connection."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from immich_sidecar.immich.publish import UploadResult
from immich_sidecar.immich.stacks import StackResult
from immich_sidecar.settings import Mode


class Publisher(Protocol):
    """What publishing needs of Immich; `immich.publish.Publisher` is one."""

    async def upload_original(
        self, path: Path, *, file_name: str, sha1: str, captured_at: datetime | None, modified_at: datetime
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
    ) -> UploadResult: ...

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
    ) -> StackResult: ...

    async def mark(self, asset_id: str, fields: dict[str, Any]) -> None: ...

    async def add_to_albums(self, original_id: str, version_id: str | None = None) -> None: ...


class Target(Protocol):
    """One connection."""

    @property
    def mode(self) -> Mode:
        """What is written, and when."""
        ...

    @property
    def albums(self) -> bool:
        """Whether originals and versions go into albums."""
        ...

    @property
    def publisher(self) -> Publisher:
        """Writes to Immich."""
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
