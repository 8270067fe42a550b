"""Sending files to Immich and fetching them, streamed."""

import hashlib
import io
import json
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

from immich_py_client.api.assets import download_asset, upload_asset
from immich_py_client.models import AssetUpload, AssetUploaded
from immich_py_client.models.visibility import Visibility
from immich_py_client.types import UNSET, File

from immich_sidecar.errors import ImmichServerError
from immich_sidecar.immich.transport import CheckedFile, Progress, Transport

_CHUNK_BYTES = 1 << 18


class TransferCalls(Transport):
    """Files of any size, of which a small piece is in memory at a time."""

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
        favorite: bool | None = None,
        live_photo_video_id: str | None = None,
        sidecar: bytes | None = None,
        on_bytes: Progress | None = None,
    ) -> tuple[str, bool]:
        """Stream a file into Immich; gives the asset's id and whether it was there already.

        The bytes are hashed on their way, and the last of them are held back where they are not those of
        `sha1`: then nothing arrives. A file that Immich has is not sent to its end, and nothing of what stands
        beside it here is taken over.

        Parameters
        ----------
        path
            The file.
        file_name
            What Immich is to call it; its ending tells Immich what it is.
        sha1
            The SHA-1 that the bytes must have, hexadecimal.
        created_at
            When the photo was taken, until Immich has read the file.
        modified_at
            When the file was changed.
        metadata
            What is kept at the asset from the first moment, by key.
        visibility
            Where it is shown.
        favorite
            Whether it is a favourite.
        live_photo_video_id
            The moving part that belongs to it, which is in Immich already.
        sidecar
            An XMP document that Immich keeps beside the file.
        on_bytes
            Told how much of the file was sent.

        Raises
        ------
        IntegrityError
            If the file is not the one that `sha1` names, or cannot be read.
        """
        tried = f"upload {file_name}"
        items = [{"key": key, "value": value} for key, value in metadata.items()]
        with CheckedFile(path, sha1, on_bytes) as content:
            body = AssetUpload(
                device_asset_id=f"{file_name}-{sha1}",
                device_id="immich-sidecar",
                file_created_at=created_at,
                file_modified_at=modified_at,
                metadata=json.dumps(items),
                visibility=visibility,
                asset_data=File(cast(BinaryIO, content), file_name, "application/octet-stream"),
                is_favorite=UNSET if favorite is None else "true" if favorite else "false",
                live_photo_video_id=UNSET if live_photo_video_id is None else live_photo_video_id,
                # The ending of this name is what Immich goes by; it gives the document a name of its own.
                sidecar_data=UNSET if sidecar is None else File(io.BytesIO(sidecar), "x.xmp", "application/rdf+xml"),
            )
            answer: AssetUploaded = await self.send_file(upload_asset, tried=tried, body=body, x_immich_checksum=sha1)
        if not answer.id:
            raise ImmichServerError(f"Could not {tried}: the answer names no asset; it is tried again")
        return answer.id, answer.status == "duplicate"

    async def download(self, asset_id: str, target: Path, *, name: str, on_bytes: Progress | None = None) -> str:
        """Stream an original to a file; gives the SHA-1 of what arrived, hexadecimal."""
        tried = f"download {name}"
        digest = hashlib.sha1(usedforsecurity=False)
        arrived = 0
        async with self.streaming(download_asset, asset_id, tried=tried) as response:
            length = response.headers.get("content-length", "")
            total = int(length) if length.isdecimal() else 0
            with target.open("wb") as file:
                async for chunk in response.aiter_bytes(_CHUNK_BYTES):
                    digest.update(chunk)
                    file.write(chunk)
                    arrived += len(chunk)
                    if on_bytes is not None:
                        on_bytes(arrived, total)
        return digest.hexdigest()
