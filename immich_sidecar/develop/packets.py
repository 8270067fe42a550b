"""Metadata of a picture between two files: EXIF, XMP, Photoshop's resources, comments."""

import hashlib
import re
import struct
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from xml.dom import minidom
from xml.etree import ElementTree
from xml.parsers.expat import ExpatError

#: Number of the image resource that holds IPTC records.
IPTC_RESOURCE = 1028
_RDF, _NOTE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#", "http://ns.adobe.com/xmp/note/"
#: Spaces of attributes that are no properties: RDF's own, those that name spaces, XML's.
_NO_PROPERTIES = {_RDF, "http://www.w3.org/2000/xmlns/", "http://www.w3.org/XML/1998/namespace"}
#: Bytes of the word that there is extended XMP, and of the largest part of that.
_NOTED, _LARGEST_PART = 200, 65_400


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


def split_xmp(packet: bytes, room: int) -> tuple[bytes, tuple[bytes, ...]]:
    """A packet of at most `room` bytes without its largest properties, and these as parts of extended XMP.

    Neither where the packet is damaged (XMP specification, part 3, 1.1.3.1).
    """
    try:
        text = packet.decode("utf-8").strip("\0 \r\n\t\ufeff")
        whole, extension = _apart(text, len(packet) + _NOTED - room)
    except (ExpatError, UnicodeDecodeError, RecursionError):
        return b"", ()
    if len(whole) > room:
        return b"", ()
    head = _digest(extension) + struct.pack(">I", len(extension))
    starts = range(0, len(extension), _LARGEST_PART)
    return whole, tuple(head + struct.pack(">I", at) + extension[at : at + _LARGEST_PART] for at in starts)


def _apart(text: str, surplus: int) -> tuple[bytes, bytes]:
    """A packet without its largest properties, so that it is shorter by `surplus`, and one of these."""
    main, extension = (_parsed(text) for _ in range(2))
    descriptions = [list(_descriptions(root)) for root in (main, extension)]
    properties = list(zip(*(_properties(found) for found in descriptions), strict=True))
    for kept, moved in sorted(properties, key=lambda pair: -pair[0].size):
        (kept if surplus > 0 else moved).remove()
        surplus -= kept.size
    content: bytes = extension.toxml().encode()
    for first in descriptions[0][:1]:
        first.setAttribute("xmlns:xmpNote", _NOTE)
        first.setAttribute("xmpNote:HasExtendedXMP", _digest(content).decode())
    whole: bytes = main.toxml().encode()
    return whole, content


def _digest(extension: bytes) -> bytes:
    """What names extended XMP: its MD5, in capital hexadecimal digits."""
    return hashlib.md5(extension, usedforsecurity=False).hexdigest().upper().encode()


@dataclass(frozen=True)
class _Property:
    """A property of a packet, told by an attribute or by an element."""

    description: Any
    node: Any

    @property
    def size(self) -> int:
        """Its bytes."""
        is_element = self.node.nodeType == minidom.Node.ELEMENT_NODE
        return len((self.node.toxml() if is_element else f' {self.node.name}="{self.node.value}"').encode())

    def remove(self) -> None:
        """Take it out of its packet."""
        if self.node.nodeType == minidom.Node.ELEMENT_NODE:
            self.description.removeChild(self.node)
        else:
            self.description.removeAttributeNode(self.node)


def _parsed(text: str) -> Any:
    """The root of a packet; names of spaces stay as they are written."""
    return minidom.parseString(text).documentElement  # noqa: S318 -- no entities in XMP


def _descriptions(root: Any) -> Iterator[Any]:
    for whole in [root] if root.localName == "RDF" else root.getElementsByTagNameNS(_RDF, "RDF")[:1]:
        yield from (one for one in whole.childNodes if one.localName == "Description" and one.namespaceURI == _RDF)


def _properties(descriptions: Iterable[Any]) -> Iterator[_Property]:
    for one in descriptions:
        for node in [*one.attributes.values(), *one.childNodes]:
            # Names of spaces, and what a description is about, are no properties.
            if node.namespaceURI is not None and node.namespaceURI not in _NO_PROPERTIES:
                yield _Property(one, node)
