"""Changing an XMP packet where it stands: true dimensions, no orientation, no claims of parts that are gone.

The packet is text of others, kept as it is but for those words. An edit that would break it is not made.
"""

import re
from xml.etree import ElementTree

#: What the new picture no longer has: a gain map, a video, and the directory of both.
_GONE = {
    "http://ns.adobe.com/hdr-gain-map/1.0/": r"\w+",
    "http://ns.google.com/photos/1.0/container/": "Directory",
    "http://ns.google.com/photos/1.0/camera/": r"(?:MotionPhoto|MicroVideo)\w*",
    "http://ns.apple.com/HDRGainMap/1.0/": r"\w+",
}
_TIFF, _EXIF = "http://ns.adobe.com/tiff/1.0/", "http://ns.adobe.com/exif/1.0/"


def patched(packet: bytes, *, width: int, height: int, orientation: int = 1) -> bytes:
    """The packet for a picture of another size and orientation; empty if it cannot be made so."""
    if not packet:
        return b""
    try:
        text = packet.decode("utf-8")
    except UnicodeDecodeError:
        return packet
    edited = text
    for namespace, names in (
        (_TIFF, {"Orientation": orientation, "ImageWidth": width, "ImageLength": height}),
        (_EXIF, {"PixelXDimension": width, "PixelYDimension": height}),
    ):
        for prefix in _prefixes(text, namespace):
            for name, value in names.items():
                edited = _with_value(edited, f"{prefix}:{name}", value)
    for namespace, pattern in _GONE.items():
        for prefix in _prefixes(text, namespace):
            edited = _without(edited, f"{prefix}:{pattern}")
    if edited == text:
        return packet
    if _is_whole(text) and not _is_whole(edited):
        return b""
    return edited.encode("utf-8")


def _prefixes(text: str, namespace: str) -> set[str]:
    return set(re.findall(rf"xmlns:([\w.-]+)\s*=\s*[\"']{re.escape(namespace)}[\"']", text))


def _with_value(text: str, name: str, value: int) -> str:
    text = re.sub(rf"(\s{name}\s*=\s*)([\"'])[^\"']*\2", rf"\g<1>\g<2>{value}\g<2>", text)
    return re.sub(rf"(<{name}\s*>)[^<]*(</{name}\s*>)", rf"\g<1>{value}\g<2>", text)


def _without(text: str, name: str) -> str:
    text = re.sub(rf"<({name})(?:\s[^<>]*)?(?:/>|(?<!/)>.*?</\1\s*>)", "", text, flags=re.DOTALL)
    return re.sub(rf"\s{name}\s*=\s*(?:\"[^\"]*\"|'[^']*')", "", text)


def _is_whole(text: str) -> bool:
    try:
        ElementTree.fromstring(text.strip("\0 \r\n\t"))  # noqa: S314 -- only asked whether it parses
    except (ElementTree.ParseError, ValueError):
        return False
    return True
