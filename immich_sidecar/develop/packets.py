"""Metadata of a picture between two files: EXIF, XMP, Photoshop's resources, comments."""

import re
import struct
from collections.abc import Collection
from dataclasses import dataclass
from xml.etree import ElementTree

#: Number of the image resource that holds IPTC records.
IPTC_RESOURCE = 1028


@dataclass(frozen=True)
class Packets:
    """Metadata as JPEG segments hold it, without their prefixes."""

    #: A TIFF structure.
    exif: bytes = b""
    xmp: bytes = b""
    #: Parts of extended XMP: GUID, length, offset, content (XMP specification, part 3, 1.1.3.1).
    extended_xmp: tuple[bytes, ...] = ()
    #: Photoshop's image resources.
    photoshop: bytes = b""
    comments: tuple[bytes, ...] = ()

    @property
    def whole_xmp(self) -> bytes:
        """The packet with what lies outside of it, for containers that have room for all in one."""
        return joined_xmp(self.xmp, b"".join(part[40:] for part in self.extended_xmp))

    @property
    def iptc(self) -> bytes:
        """The IPTC records among the resources."""
        return next((content for kind, content, _ in _resources(self.photoshop) if kind == IPTC_RESOURCE), b"")


def without_resources(photoshop: bytes, kinds: Collection[int]) -> bytes:
    """Photoshop's image resources without those of some numbers; as they are where damaged."""
    found = _resources(photoshop)
    if sum(len(whole) for _, _, whole in found) < len(photoshop):
        return photoshop
    return b"".join(whole for kind, _, whole in found if kind not in kinds)


def _resources(photoshop: bytes) -> list[tuple[int, bytes, bytes]]:
    """Number, content and all of each image resource, as far as they are whole."""
    found, at = [], 0
    while at + 12 <= len(photoshop) and photoshop[at : at + 4] == b"8BIM":
        kind = struct.unpack_from(">H", photoshop, at + 4)[0]
        name_end = at + 6 + photoshop[at + 6] + 1
        name_end += (name_end - at) % 2
        if name_end + 4 > len(photoshop):
            break
        size = struct.unpack_from(">I", photoshop, name_end)[0]
        end = name_end + 4 + size
        if end > len(photoshop):
            break
        found.append((kind, photoshop[name_end + 4 : end], photoshop[at : end + size % 2]))
        at = end + size % 2
    return found


def joined_xmp(packet: bytes, extension: bytes) -> bytes:
    """One packet of a packet and its extension; the packet alone where they cannot be joined."""
    if not extension:
        return packet
    try:
        main, more = packet.decode("utf-8"), extension.decode("utf-8")
    except UnicodeDecodeError:
        return packet
    inner = re.search(r"<rdf:RDF[^>]*>(.*)</rdf:RDF>", more, re.DOTALL)
    end = main.rfind("</rdf:RDF>")
    if inner is None or end < 0:
        return packet
    main = main[:end] + inner[1] + main[end:]
    main = re.sub(r"\s?\w+:HasExtendedXMP\s*=\s*(?:\"[^\"]*\"|'[^']*')", "", main)
    main = re.sub(r"<(\w+:HasExtendedXMP)>[^<]*</\1>", "", main)
    try:
        ElementTree.fromstring(main.strip("\0 \r\n\t"))  # noqa: S314 -- only asked whether it parses
    except (ElementTree.ParseError, ValueError):
        return packet
    return main.encode("utf-8")
