"""Reads what Immich reads of XMP, in files and in sidecars, under the names that exiftool gives it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
#: What is one value, and what is a list of words.
_SINGLE = {
    "{http://purl.org/dc/elements/1.1/}description": "Description",
    "{http://ns.adobe.com/tiff/1.0/}ImageDescription": "ImageDescription",
    "{http://ns.adobe.com/xap/1.0/}Rating": "Rating",
    "{http://ns.adobe.com/exif/1.0/}DateTimeOriginal": "DateTimeOriginal",
    "{http://ns.adobe.com/exif/1.0/}GPSLatitude": "GPSLatitude",
    "{http://ns.adobe.com/exif/1.0/}GPSLongitude": "GPSLongitude",
}
_LISTS = {
    "{http://www.digikam.org/ns/1.0/}TagsList": "TagsList",
    "{http://ns.adobe.com/lightroom/1.0/}hierarchicalSubject": "HierarchicalSubject",
    "{http://purl.org/dc/elements/1.1/}subject": "Keywords",
}


def read_xmp(packet: bytes) -> dict[str, Any]:
    """The values of a packet or sidecar; nothing where it cannot be read."""
    begin, end = packet.find(b"<"), packet.rfind(b">")
    try:
        root = ET.fromstring(packet[begin : end + 1])
    except ET.ParseError:
        return {}
    found: dict[str, Any] = {}
    for description in root.iter(f"{_RDF}Description"):
        for name, value in description.attrib.items():
            if name in _SINGLE:
                found[_SINGLE[name]] = value
        for element in description:
            if element.tag in _SINGLE:
                items = [item.text or "" for item in element.iter(f"{_RDF}li")]
                found[_SINGLE[element.tag]] = items[0] if items else element.text or ""
            elif element.tag in _LISTS:
                found[_LISTS[element.tag]] = [item.text or "" for item in element.iter(f"{_RDF}li")]
    if "Rating" in found:
        found["Rating"] = _number(found["Rating"])
    for name in ("GPSLatitude", "GPSLongitude"):
        if name in found:
            found[name] = _degrees(found[name])
    return {name: value for name, value in found.items() if value is not None}


def tag_list(values: dict[str, Any]) -> list[str]:
    """The tags that Immich makes of them: digiKam's list, else Lightroom's, else the keywords."""
    if values.get("TagsList"):
        return [str(tag) for tag in values["TagsList"]]
    if values.get("HierarchicalSubject"):
        return ["/".join(part.replace("/", "|") for part in tag.split("|")) for tag in values["HierarchicalSubject"]]
    return [str(tag) for tag in values.get("Keywords", [])]


def _number(text: str) -> int | float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return int(number) if number.is_integer() else number


def _degrees(text: str) -> float | None:
    """`12,34.5N` or `12,34,30N`."""
    try:
        sign = -1 if text[-1:] in "SW" else 1
        parts = [float(part) for part in text.rstrip("NSEW").split(",")]
    except ValueError:
        return None
    return round(sign * sum(part / 60**index for index, part in enumerate(parts)), 6)
