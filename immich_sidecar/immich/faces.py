"""The faces that Immich has found in an asset (`GET /faces`), in our words."""

import asyncio
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

from immich_sidecar.analysis.findings import Box, Face
from immich_sidecar.errors import ImmichError
from immich_sidecar.immich.connections import Connection

_log = logging.getLogger(__name__)

#: Immich's name where faces say who found them.
SOURCE = "immich"
#: Seconds that an answer may take: a photo waits for it.
PATIENCE = 5.0
#: How far the shapes of the two pictures may differ, as a part; previews are rounded to whole pixels.
_SAME_SHAPE = 0.02


async def read_faces(connection: Connection, asset_id: str, *, width: int, height: int) -> tuple[Face, ...]:
    """The faces that Immich has found in an asset by now; none where the key may not read them, or nothing comes back.

    Never fails and asks for no permission: faces are found without Immich too.
    """
    if not {"all", "face.read"} & set(connection.permissions):
        return ()
    try:
        async with asyncio.timeout(PATIENCE):
            found = await connection.api.faces(asset_id)
    except (ImmichError, TimeoutError) as error:
        _log.info("asset %s: its faces could not be read: %s", asset_id, error or "no answer")
        return ()
    return faces_of_immich([face.to_dict() for face in found], width=width, height=height)


def faces_of_immich(payload: Sequence[Mapping[str, Any]], *, width: int, height: int) -> tuple[Face, ...]:
    """The faces in a photo, as Immich answers for its asset, the largest first.

    Immich measures them in the picture that it looked at, whose size it tells with each. Where that picture has
    another shape than our photo, because it was edited in Immich or looked at before it was turned, nobody knows
    where in our photo the face is: it is left out. So is one without an area, and one whose numbers are missing.
    A person who is hidden in Immich keeps the face and loses the name; without a name, the face has none.

    Parameters
    ----------
    payload
        The list of `AssetFaceResponseDto`, parsed from JSON.
    width, height
        Of the oriented photo, in any unit.
    """
    found = [face for entry in payload if (face := _face(entry, width / height)) is not None]
    return tuple(sorted(found, key=lambda face: -face.box.width * face.box.height))


def _face(entry: Mapping[str, Any], shape: float) -> Face | None:
    try:
        width, height = float(entry["imageWidth"]), float(entry["imageHeight"])
        across = (float(entry["boundingBoxX1"]), float(entry["boundingBoxX2"]))
        down = (float(entry["boundingBoxY1"]), float(entry["boundingBoxY2"]))
    except (KeyError, TypeError, ValueError):
        return None
    if not (width > 0 and height > 0) or abs(math.log(width / height / shape)) > _SAME_SHAPE:
        return None
    left, right = (min(1.0, max(0.0, x / width)) for x in sorted(across))
    top, bottom = (min(1.0, max(0.0, y / height)) for y in sorted(down))
    if right <= left or bottom <= top:
        return None
    person = entry.get("person") or {}
    name = None if person.get("isHidden") else str(person.get("name") or "").strip() or None
    # Immich keeps no score; what it shows passed its own threshold.
    box = Box(x=left, y=top, width=min(right - left, 1 - left), height=min(bottom - top, 1 - top))
    return Face(box=box, score=1.0, name=name, source=SOURCE)
