"""The calls that are made to Immich, typed."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, cast

from immich_py_client.api.account import get_my_api_key, get_my_user
from immich_py_client.api.albums import add_assets_to_album, create_album, get_all_albums
from immich_py_client.api.assets import (
    check_bulk_upload,
    copy_asset,
    download_asset,
    get_asset_info,
    get_asset_metadata,
    update_asset_metadata,
    upload_asset,
)
from immich_py_client.api.search import search_assets
from immich_py_client.api.server import get_server_config, get_server_version, ping_server
from immich_py_client.api.stacks import create_stack, get_stack, search_stacks, update_stack
from immich_py_client.models import (
    Album,
    AlbumCreate,
    ApiKey,
    Asset,
    AssetCopy,
    AssetMetadata,
    AssetMetadataItem,
    AssetMetadataUpsert,
    AssetUpload,
    AssetUploaded,
    BulkIdResult,
    BulkIds,
    BulkUploadCheck,
    BulkUploadCheckItem,
    BulkUploadCheckResults,
    MetadataSearch,
    MetadataValue,
    SearchResult,
    ServerConfig,
    ServerVersion,
    Stack,
    StackCreate,
    StackUpdate,
    User,
)
from immich_py_client.models.visibility import Visibility
from immich_py_client.types import UNSET, File

from immich_sidecar.errors import ImmichRefusedError, ImmichServerError
from immich_sidecar.immich.transport import CheckedFile, Transport

#: How many assets a search page may hold at most.
LARGEST_PAGE = 1000

_CHUNK_BYTES = 1 << 18
_METHODS_SAFE_TO_REPEAT = {"get", "put", "head"}


@dataclass(frozen=True)
class SearchWindow:
    """What a search asks for: assets of one visibility whose creation or change lies in a closed range."""

    after: datetime
    before: datetime
    visibility: Visibility
    #: Compare with the moment of the last change instead of that of creation.
    updated: bool = False


class Api(Transport):
    """Immich's API as one user's key sees it. Every method raises errors of `ImmichError`."""

    def server_now(self) -> datetime:
        """The present moment on Immich's clock, to about a second; ours where it is not known."""
        return datetime.now(UTC) + (self.clock_offset or timedelta(0))

    # ---- the server and who we are to it

    async def ping(self) -> bool:
        """Whether an Immich answers at the address; something else there raises ImmichRefusedError."""
        answer = await self.call(ping_server, tried=f"reach Immich at {self.url}")
        return bool(answer.res == "pong")

    async def version(self) -> tuple[int, int, int]:
        answer: ServerVersion = await self.call(get_server_version, tried="ask Immich for its version")
        try:
            return int(answer.major or 0), int(answer.minor or 0), int(answer.patch or 0)
        except (TypeError, ValueError) as error:
            raise ImmichRefusedError(f"Could not read Immich's version: {error}") from error

    async def in_maintenance(self) -> bool:
        answer: ServerConfig = await self.call(get_server_config, tried="ask whether Immich is in maintenance")
        return bool(answer.maintenance_mode)

    async def permissions(self) -> tuple[str, ...]:
        """What the key may do."""
        answer: ApiKey = await self.call(get_my_api_key, tried="ask Immich about the API key")
        return tuple(answer.permissions or ())

    async def user(self) -> tuple[str, str]:
        """Id and name of the user whom the key belongs to."""
        answer: User = await self.call(get_my_user, tried="ask Immich whose API key it is")
        if not answer.id:
            raise ImmichRefusedError("Could not ask Immich whose API key it is: the answer names no user")
        return answer.id, answer.name or answer.email or ""

    # ---- assets

    async def search(
        self, window: SearchWindow, *, page: int = 1, size: int = LARGEST_PAGE
    ) -> tuple[list[Asset], bool]:
        """One page of the assets in a window, and whether there are more."""
        body = MetadataSearch(visibility=window.visibility, with_exif=True, order="asc", page=page, size=size)
        after, before = _rounded(window.after), _rounded(window.before)
        if window.updated:
            body.updated_after, body.updated_before = after, before
        else:
            body.created_after, body.created_before = after, before
        answer: SearchResult = await self.call(search_assets, tried="search for new photos", repeatable=True, body=body)
        if not answer.assets:
            raise ImmichRefusedError("Could not search for new photos: the answer holds no assets")
        return list(answer.assets.items or ()), bool(answer.assets.next_page)

    async def asset(self, asset_id: str) -> Asset:
        """The asset, with its stack."""
        answer: Asset = await self.call(get_asset_info, asset_id, tried=f"read asset {asset_id}")
        return answer

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

    async def known(self, sha1: str) -> tuple[str, bool] | None:
        """The user's asset with these bytes and whether it is in the trash; None where Immich has none."""
        body = BulkUploadCheck(assets=[BulkUploadCheckItem(id="1", checksum=sha1)])
        answer: BulkUploadCheckResults = await self.call(
            check_bulk_upload, tried="ask whether Immich has a file already", repeatable=True, body=body
        )
        for result in answer.results or ():
            if result.action == "reject" and result.asset_id:
                return result.asset_id, bool(result.is_trashed)
        return None

    async def upload(
        self,
        path: Path,
        *,
        file_name: str,
        sha1: str,
        created_at: datetime,
        modified_at: datetime,
        metadata: dict[str, dict[str, Any]],
        visibility: Visibility = "timeline",
    ) -> tuple[str, bool]:
        """Stream a file into Immich; gives the asset's id and whether it was there already.

        The bytes are hashed on their way, and the last of them are held back where they are not those of
        `sha1`: then nothing arrives.

        Raises
        ------
        IntegrityError
            If the file is not the one that `sha1` names, or cannot be read.
        """
        tried = f"upload {file_name}"
        items = [{"key": key, "value": value} for key, value in metadata.items()]
        with CheckedFile(path, sha1) as content:
            body = AssetUpload(
                device_asset_id=f"{file_name}-{sha1}",
                device_id="immich-sidecar",
                file_created_at=created_at,
                file_modified_at=modified_at,
                metadata=json.dumps(items),
                visibility=visibility,
                asset_data=File(cast(BinaryIO, content), file_name, "application/octet-stream"),
            )
            answer: AssetUploaded = await self.send_file(upload_asset, tried=tried, body=body, x_immich_checksum=sha1)
        if not answer.id:
            raise ImmichServerError(f"Could not {tried}: the answer names no asset; it is tried again")
        return answer.id, answer.status == "duplicate"

    async def download(self, asset_id: str, target: Path, *, name: str) -> str:
        """Stream an original to a file; gives the SHA-1 of what arrived, hexadecimal."""
        tried = f"download {name}"
        digest = hashlib.sha1(usedforsecurity=False)
        async with self.streaming(download_asset, asset_id, tried=tried) as response:
            with target.open("wb") as file:
                async for chunk in response.aiter_bytes(_CHUNK_BYTES):
                    digest.update(chunk)
                    file.write(chunk)
        return digest.hexdigest()

    # ---- stacks

    async def stack(self, stack_id: str) -> Stack:
        """The stack without those of its assets that are in the trash."""
        answer: Stack = await self.call(get_stack, stack_id, tried=f"read stack {stack_id}")
        return answer

    async def stacks(self, *, primary_id: str | None = None) -> list[Stack]:
        """The user's stacks: all, or the one that this asset is the primary of."""
        answer: list[Stack] = await self.call(
            search_stacks, tried="look for a stack", primary_asset_id=UNSET if primary_id is None else primary_id
        )
        return answer

    async def make_stack(self, asset_ids: Iterable[str]) -> Stack:
        """Make a new stack; the first asset becomes the primary."""
        body = StackCreate(asset_ids=list(asset_ids))
        answer: Stack = await self.call(create_stack, tried=f"stack asset {body.asset_ids[0]}", body=body)
        return answer

    async def set_primary(self, stack_id: str, asset_id: str) -> Stack:
        answer: Stack = await self.call(
            update_stack,
            stack_id,
            tried=f"put asset {asset_id} on top of its stack",
            body=StackUpdate(primary_asset_id=asset_id),
        )
        return answer

    async def join_stack(self, member_id: str, asset_id: str) -> None:
        """Add an unstacked asset to the stack of a member; the stack keeps its id."""
        body = AssetCopy(
            source_id=member_id,
            target_id=asset_id,
            stack=True,
            albums=False,
            favorite=False,
            shared_links=False,
            sidecar=False,
        )
        # Copying within one stack would dissolve it: repeating blindly is not safe.
        await self.call(copy_asset, tried=f"stack asset {asset_id}", repeatable=False, body=body)

    # ---- albums

    async def albums(self) -> list[Album]:
        answer: list[Album] = await self.call(get_all_albums, tried="list the albums")
        return answer

    async def make_album(self, name: str) -> str:
        answer: Album = await self.call(create_album, tried=f"make the album {name}", body=AlbumCreate(album_name=name))
        if not answer.id:
            raise ImmichServerError(f"Could not make the album {name}: the answer names none; it is tried again")
        return answer.id

    async def add_to_album(self, album_id: str, asset_ids: list[str]) -> list[BulkIdResult]:
        """Add assets to an album; one answer per asset, `error` being `duplicate` where it is there already."""
        answer: list[BulkIdResult] = await self.call(
            add_assets_to_album, album_id, tried="add photos to an album", body=BulkIds(ids=asset_ids)
        )
        return answer


def _rounded(moment: datetime) -> datetime:
    """Immich's dates have milliseconds."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
