"""AVIF files, large ones as a grid of tiles.

The AV1 encoder needs some forty bytes for each pixel that it gets at a time. So a large picture is encoded in tiles,
each by Pillow, and the tiles are laid together as a derived image of kind `grid` (ISO/IEC 23008-12, 6.6.2.3), which
decoders put together again. Tiles of one size and one configuration, at least 64 pixels a side and in whole multiples
of that, are what MIAF (ISO/IEC 23000-22, 7.3.11.4.2) asks for. Metadata is laid beside them here, because Pillow writes
an EXIF block with an orientation anew, which breaks maker notes.
"""

import io
import struct
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop.iso_boxes import box, boxes, full_box
from immich_sidecar.develop.packets import Packets

#: Longest side of a tile, and what its sides are multiples of.
TILE, _STEP = 1024, 64
#: Speed of the AV1 encoder, 0..10.
_SPEED = 8
_EXIF_MARK, _TIFF_MARKS = b"Exif\0\0", {b"II*\0", b"MM\0*"}
#: Flag of an item that is not shown by itself.
_HIDDEN = 1
#: Added to the number of a property that has to be understood.
_ESSENTIAL = 0x80


def written(image: NDArray[np.uint8], icc: bytes, packets: Packets, *, quality: int) -> bytes:
    """Encode a picture (height, width, 3) with its metadata, in 4:4:4; `quality` 1..100.

    EXIF that no reader would know as such is left out: decoders refuse the whole file for it.
    """
    height, width = image.shape[:2]
    if max(width, height) <= TILE:
        return _file([_tile(image, icc, quality)], b"", (width, height), packets)
    wide, tall = _side(width), _side(height)
    tiles = [_tile(part, icc, quality) for part in _parts(image, wide, tall)]
    return _file(tiles, _grid(-(-height // tall), -(-width // wide), width, height), (width, height), packets)


def _side(length: int) -> int:
    """The side of tiles that cover a length as evenly as steps allow."""
    return _STEP * -(-length // (_STEP * -(-length // TILE)))


def _parts(image: NDArray[np.uint8], wide: int, tall: int) -> Iterator[NDArray[np.uint8]]:
    """Tiles from left to right and from top to bottom; beyond the border its pixels go on, and are not shown."""
    height, width = image.shape[:2]
    for top in range(0, height, tall):
        for left in range(0, width, wide):
            part = image[top : top + tall, left : left + wide]
            below, right = tall - part.shape[0], wide - part.shape[1]
            whole = cv2.copyMakeBorder(part, 0, below, 0, right, cv2.BORDER_REPLICATE) if below or right else part
            yield np.ascontiguousarray(whole, np.uint8)


class _Tile:
    """What is taken from the file of one tile: its head, the properties of its picture, and the coded picture."""

    def __init__(self, encoded: bytes) -> None:
        outer = _inside(encoded)
        properties = _inside(_inside(outer[b"meta"][4:])[b"iprp"])[b"ipco"]
        self.brands, self.coded = outer[b"ftyp"], outer[b"mdat"]
        self.properties = [(kind, properties[start:end]) for kind, start, end in boxes(properties)]


def _inside(data: bytes) -> dict[bytes, bytes]:
    """The contents of boxes that occur once."""
    return {kind: data[start:end] for kind, start, end in boxes(data)}


def _tile(part: NDArray[np.uint8], icc: bytes, quality: int) -> _Tile:
    from PIL import Image

    target = io.BytesIO()
    Image.fromarray(part).save(
        target, "AVIF", quality=quality, subsampling="4:4:4", speed=_SPEED, max_threads=1, icc_profile=icc
    )
    return _Tile(target.getvalue())


def _grid(rows: int, columns: int, width: int, height: int) -> bytes:
    is_large = max(width, height) > 0xFFFF
    return struct.pack(">BBBB", 0, int(is_large), rows - 1, columns - 1) + struct.pack(
        ">II" if is_large else ">HH", width, height
    )


def _file(tiles: list[_Tile], grid: bytes, size: tuple[int, int], packets: Packets) -> bytes:
    """All items in one file: the grid, if there is one, is the first, the tiles follow, metadata is the last."""
    properties = [*tiles[0].properties, (b"ispe", struct.pack(">III", 0, *size))]

    def numbers(*kinds: bytes) -> list[int]:
        # Of the whole picture only the size, which is the last, is another than that of the tiles.
        return [number for number, (kind, _) in enumerate(properties[:-1], 1) if kind in kinds]

    shared = numbers(b"pixi", b"colr")
    of_tiles = [*numbers(b"ispe"), *shared, *(_ESSENTIAL | number for number in numbers(b"av1C"))]
    items = [(b"av01", b"", _HIDDEN if grid else 0, tile.coded) for tile in tiles]
    own = [of_tiles for _ in tiles]
    references = []
    if grid:
        items.insert(0, (b"grid", b"", 0, grid))
        own.insert(0, [len(properties), *shared])
        references = [box(b"dimg", struct.pack(f">HH{len(tiles)}H", 1, len(tiles), *range(2, len(items) + 1)))]
    pictures = len(items)
    if packets.exif[:4] in _TIFF_MARKS and len(packets.exif) >= 8:
        items.append((b"Exif", b"", 0, struct.pack(">I", len(_EXIF_MARK)) + _EXIF_MARK + packets.exif))
    if packets.whole_xmp:
        items.append((b"mime", b"application/rdf+xml\0", 0, packets.whole_xmp))
    references += [box(b"cdsc", struct.pack(">HHH", number, 1, 1)) for number in range(pictures + 1, len(items) + 1)]
    of_items = b"".join(
        struct.pack(">HB", number, len(indices)) + bytes(indices) for number, indices in enumerate(own, 1)
    )
    infos = [
        full_box(b"infe", struct.pack(">HH4sx", number, 0, kind) + content_type, version=2, flags=flags)
        for number, (kind, content_type, flags, _) in enumerate(items, 1)
    ]
    contents = b"".join(box(kind, content) for kind, content in properties[: None if grid else -1])
    boxes_of_meta = [
        full_box(b"hdlr", bytes(4) + b"pict" + bytes(13)),
        full_box(b"pitm", struct.pack(">H", 1)),
        full_box(b"iinf", struct.pack(">H", len(infos)) + b"".join(infos)),
        *([full_box(b"iref", b"".join(references))] if references else []),
        box(b"iprp", box(b"ipco", contents) + full_box(b"ipma", struct.pack(">I", len(own)) + of_items)),
    ]
    data = [content for *_, content in items]
    head = box(b"ftyp", tiles[0].brands)
    # Where the data lie depends on how long the list of their places is, and that not on what it says.
    start = len(head) + len(_meta(boxes_of_meta, data, 0)) + 8
    return head + _meta(boxes_of_meta, data, start) + box(b"mdat", b"".join(data))


def _meta(boxes_of_meta: list[bytes], data: list[bytes], start: int) -> bytes:
    """The box of everything but the data of the items, which lie one after the other from `start` on."""
    places = []
    for number, content in enumerate(data, 1):
        places.append(struct.pack(">HHHII", number, 0, 1, start, len(content)))
        start += len(content)
    located = full_box(b"iloc", struct.pack(">BBH", 0x44, 0, len(places)) + b"".join(places))
    return full_box(b"meta", b"".join([*boxes_of_meta[:2], located, *boxes_of_meta[2:]]))
