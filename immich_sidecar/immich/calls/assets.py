"""Calls about assets: reading, marking, changing, taking away."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from immich_py_client.api.assets import (
    check_bulk_upload,
    copy_asset,
    delete_asset_metadata,
    delete_assets,
    get_asset_info,
    get_asset_metadata,
    restore_assets,
    run_asset_jobs,
    update_asset,
    update_asset_metadata,
    update_assets,
    view_asset,
)
from immich_py_client.models import (
    Asset,
    AssetBulkDelete,
    AssetBulkUpdate,
    AssetCopy,
    AssetJobs,
    AssetMetadata,
    AssetMetadataItem,
    AssetMetadataUpsert,
    AssetUpdate,
    BulkIds,
    BulkUploadCheck,
    BulkUploadCheckItem,
    BulkUploadCheckResults,
    Count,
    MetadataValue,
)
from immich_py_client.models.asset_job import AssetJob
from immich_py_client.models.thumbnail_size import ThumbnailSize
from immich_py_client.models.visibility import Visibility
from immich_py_client.types import UNSET, Unset

from immich_sidecar.immich.calls.server import ServerCalls
from immich_sidecar.immich.compatibility import can_clear_ratings

#: How many files one question after known files names at most; Immich bounds the size of a body only.
_MOST_CHECKED = 1000


@dataclass(frozen=True, kw_only=True)
class AssetChanges:
    """What is to change at assets; what is not given stays.

    Raises
    ------
    ValueError
        If a rating is not None or 1 to 5, if a date has no time zone, or if half a place is given.
    """

    #: 1 to 5; None takes it away. There is no 0 and no -1: Immich 3 refuses the one and forgets the other.
    rating: int | Unset | None = UNSET
    favorite: bool | Unset = UNSET
    description: str | Unset = UNSET
    #: When the photo was taken.
    taken_at: datetime | Unset = UNSET
    #: Degrees, north and east positive.
    latitude: float | Unset = UNSET
    longitude: float | Unset = UNSET
    visibility: Visibility | Unset = UNSET

    def __post_init__(self) -> None:
        if not isinstance(self.rating, Unset | None) and (
            isinstance(self.rating, bool) or not isinstance(self.rating, int) or not 1 <= self.rating <= 5
        ):
            raise ValueError(f"a rating is 1 to 5 or None, not {self.rating!r}")
        if isinstance(self.taken_at, datetime) and self.taken_at.tzinfo is None:
            raise ValueError("the moment of a photo needs a time zone")
        if isinstance(self.latitude, Unset) != isinstance(self.longitude, Unset):
            raise ValueError("latitude and longitude go together")

    def into(self, body: AssetUpdate | AssetBulkUpdate, *, can_clear_ratings: bool) -> None:
        """Write the changes into a body."""
        if self.rating is not None or can_clear_ratings:
            body.rating = self.rating
        body.is_favorite = self.favorite
        body.description = self.description
        if isinstance(self.taken_at, datetime):
            body.date_time_original = self.taken_at.isoformat()
        body.latitude, body.longitude = self.latitude, self.longitude
        body.visibility = self.visibility


class AssetCalls(ServerCalls):
    """The user's assets."""

    async def asset(self, asset_id: str) -> Asset:
        """The asset, with its stack."""
        answer: Asset = await self.call(get_asset_info, asset_id, tried=f"read asset {asset_id}")
        return answer

    async def thumbnail(self, asset_id: str, *, size: ThumbnailSize = "preview") -> tuple[bytes, str]:
        """A small picture of the asset and its content type.

        Raises
        ------
        ImmichGoneError
            If there is none (yet).
        """
        tried = f"fetch the small picture of asset {asset_id}"
        async with self.streaming(view_asset, asset_id, tried=tried, size=size) as response:
            return await response.aread(), response.headers.get("content-type", "application/octet-stream")

    # ---- marks

    async def metadata(self, asset_id: str, key: str) -> dict[str, Any] | None:
        """What is kept under a key at an asset; None where there is no such key."""
        answer: list[AssetMetadata] = await self.call(
            get_asset_metadata, asset_id, tried=f"read the marks of asset {asset_id}"
        )
        for item in answer:
            if item.key == key:
                return item.value.to_dict() if item.value else {}
        return None

    async def put_metadata(self, asset_id: str, key: str, value: dict[str, Any]) -> None:
        """Keep an object under a key at an asset; what was there is replaced."""
        body = AssetMetadataUpsert(items=[AssetMetadataItem(key=key, value=MetadataValue.from_dict(value))])
        await self.call(update_asset_metadata, asset_id, tried=f"mark asset {asset_id}", body=body)

    async def delete_metadata(self, asset_id: str, key: str) -> None:
        """Forget what is kept under a key at an asset; no such key is fine."""
        await self.call(
            delete_asset_metadata, asset_id, key, tried=f"take a mark off asset {asset_id}", repeatable=True
        )

    # ---- known files

    async def known(self, sha1: str) -> tuple[str, bool] | None:
        """The user's asset with these bytes and whether it is in the trash; None where Immich has none."""
        return (await self.known_many([sha1])).get(sha1)

    async def known_many(self, sha1s: Iterable[str]) -> dict[str, tuple[str, bool]]:
        """The user's assets with these bytes and whether they are in the trash, by SHA-1; others are left out."""
        asked = list(dict.fromkeys(sha1s))
        found = {}
        for start in range(0, len(asked), _MOST_CHECKED):
            some = asked[start : start + _MOST_CHECKED]
            body = BulkUploadCheck(assets=[BulkUploadCheckItem(id=sha1, checksum=sha1) for sha1 in some])
            answer: BulkUploadCheckResults = await self.call(
                check_bulk_upload, tried="ask whether Immich has a file already", repeatable=True, body=body
            )
            for result in answer.results or ():
                if result.action == "reject" and result.id and result.asset_id:
                    found[result.id] = (result.asset_id, bool(result.is_trashed))
        return found

    # ---- changes

    async def update_asset(self, asset_id: str, changes: AssetChanges) -> Asset:
        """Change an asset; gives it as it is now. Before Immich 2.6 a rating cannot be taken away, and stays."""
        body = AssetUpdate()
        changes.into(body, can_clear_ratings=await self._can_clear(changes))
        answer: Asset = await self.call(update_asset, asset_id, tried=f"change asset {asset_id}", body=body)
        return answer

    async def update_assets(self, asset_ids: Iterable[str], changes: AssetChanges) -> None:
        """Change several assets alike, with one call."""
        body = AssetBulkUpdate(ids=list(asset_ids))
        changes.into(body, can_clear_ratings=await self._can_clear(changes))
        await self.call(update_assets, tried=f"change {len(body.ids)} assets", body=body)

    async def _can_clear(self, changes: AssetChanges) -> bool:
        return changes.rating is not None or can_clear_ratings(await self.known_version())

    async def copy_asset(
        self,
        source_id: str,
        target_id: str,
        *,
        stack: bool = False,
        albums: bool = False,
        favorite: bool = False,
        shared_links: bool = False,
        sidecar: bool = False,
    ) -> None:
        """Give an asset what another one has.

        With `stack` the target joins the stack of the source; if it is in one, the source's goes up in that one.
        """
        body = AssetCopy(
            source_id=source_id,
            target_id=target_id,
            stack=stack,
            albums=albums,
            favorite=favorite,
            shared_links=shared_links,
            sidecar=sidecar,
        )
        tried = f"stack asset {target_id}" if stack else f"copy what asset {source_id} has to asset {target_id}"
        # Copying within one stack would dissolve it: repeating blindly is not safe.
        await self.call(copy_asset, tried=tried, repeatable=not stack, body=body)

    async def run_jobs(self, asset_ids: Iterable[str], name: AssetJob) -> None:
        """Let Immich do a job of its own for these assets, some time later."""
        body = AssetJobs(asset_ids=list(asset_ids), name=name)
        await self.call(run_asset_jobs, tried=f"let Immich do {name}", repeatable=True, body=body)

    # ---- the trash

    async def delete_assets(self, asset_ids: Iterable[str], *, force: bool = False) -> None:
        """Move assets to the trash, or with `force` delete them for good. Whether they may go is not asked here."""
        body = AssetBulkDelete(ids=list(asset_ids), force=force)
        tried = f"delete {len(body.ids)} assets" if force else f"move {len(body.ids)} assets to the trash"
        await self.call(delete_assets, tried=tried, repeatable=not force, body=body)

    async def restore_assets(self, asset_ids: Iterable[str]) -> int:
        """Take assets out of the trash; gives how many were in it."""
        body = BulkIds(ids=list(asset_ids))
        answer: Count = await self.call(restore_assets, tried=f"restore {len(body.ids)} assets", body=body)
        return answer.count or 0
