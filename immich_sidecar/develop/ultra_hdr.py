"""Writing of JPEGs with a gain map: two pictures in one file, which point to each other.

The first has an index of both (CIPA DC-007, Multi-Picture Format), a directory in XMP (Ultra HDR Image Format 1.1) and
the mark of ISO 21496-1; the second says in XMP and in a segment of ISO 21496-1 what its numbers mean.
"""

import struct

from immich_sidecar.develop.gain_map import HDRGM, ISO, GainMap, Gains, written_iso

_XMP, _MPF = b"http://ns.adobe.com/xap/1.0/\0", b"MPF\0"
_LARGEST_PACKET = 65533 - len(_XMP)
_APP1, _APP2 = 0xE1, 0xE2
_CONTAINER = "http://ns.google.com/photos/1.0/container/"
_ITEM = "http://ns.google.com/photos/1.0/container/item/"
#: The first picture of several, a JPEG.
_PRIMARY = 0x030000
#: Bytes of the index segment: mark, length, "MPF", TIFF header, three entries, two pictures.
_INDEX = 2 + 2 + 4 + 8 + 2 + 3 * 12 + 4 + 2 * 16


def second_picture(found: GainMap) -> bytes:
    """The map as a JPEG that says what it means."""
    segments = _segment(_APP1, _XMP + _described(found.gains)) + _segment(_APP2, ISO + written_iso(found.gains))
    return found.encoded[:2] + segments + found.encoded[2:]


def with_directory(packet: bytes, length: int) -> bytes:
    """The first picture's packet with a directory of both; `length` is that of the second one.

    The packet as it is where it has no room for it: the index and ISO's mark are there as well.
    """
    about = (
        f'<rdf:Description rdf:about="" xmlns:Container="{_CONTAINER}" xmlns:Item="{_ITEM}" xmlns:hdrgm="{HDRGM}" '
        'hdrgm:Version="1.0"><Container:Directory><rdf:Seq>'
        '<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="Primary" Item:Mime="image/jpeg"/></rdf:li>'
        '<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="GainMap" Item:Mime="image/jpeg" '
        f'Item:Length="{length}"/></rdf:li></rdf:Seq></Container:Directory></rdf:Description>'
    ).encode()
    end = packet.rfind(b"</rdf:RDF>")
    if end < 0 and packet:
        return packet
    whole = packet[:end] + about + packet[end:] if packet else _packet(about)
    return whole if len(whole) <= _LARGEST_PACKET else packet


def joined(first: bytes, second: bytes) -> bytes:
    """Both pictures in one file; `first` is a JPEG with everything but index and mark."""
    at = _before_tables(first)
    mark = _segment(_APP2, ISO + bytes(4))
    length = len(first) + _INDEX + len(mark)
    header_at = at + 2 + 2 + len(_MPF)
    entries = struct.pack(">IIIHH", _PRIMARY, length, 0, 0, 0)
    entries += struct.pack(">IIIHH", 0, len(second), length - header_at, 0, 0)
    index = b"MM\0*" + struct.pack(">IH", 8, 3)
    index += struct.pack(">HHI4s", 0xB000, 7, 4, b"0100")
    index += struct.pack(">HHII", 0xB001, 4, 1, 2)
    index += struct.pack(">HHII", 0xB002, 7, len(entries), 8 + 2 + 3 * 12 + 4)
    index += bytes(4) + entries
    return first[:at] + _segment(_APP2, _MPF + index) + mark + first[at:] + second


def _before_tables(data: bytes) -> int:
    """Where the application segments end."""
    at = 2
    while data[at] == 0xFF and (0xE0 <= data[at + 1] <= 0xEF or data[at + 1] == 0xFE):
        at += 2 + int(struct.unpack_from(">H", data, at + 2)[0])
    return at


def _described(gains: Gains) -> bytes:
    def told(values: tuple[float, float, float], name: str) -> tuple[str, str]:
        """As an attribute, or as an element with a value for each channel."""
        if len(set(values)) == 1:
            return f' hdrgm:{name}="{values[0]:.6g}"', ""
        items = "".join(f"<rdf:li>{value:.6g}</rdf:li>" for value in values)
        return "", f"<hdrgm:{name}><rdf:Seq>{items}</rdf:Seq></hdrgm:{name}>"

    parts = [
        told(gains.low, "GainMapMin"),
        told(gains.high, "GainMapMax"),
        told(gains.gamma, "Gamma"),
        told(gains.offset_sdr, "OffsetSDR"),
        told(gains.offset_hdr, "OffsetHDR"),
    ]
    attributes = "".join(attribute for attribute, _ in parts)
    attributes += f' hdrgm:HDRCapacityMin="{gains.least_headroom:.6g}" hdrgm:HDRCapacityMax="{gains.full_headroom:.6g}"'
    elements = "".join(element for _, element in parts)
    return _packet(
        f'<rdf:Description rdf:about="" xmlns:hdrgm="{HDRGM}" hdrgm:Version="1.0"{attributes} '
        f'hdrgm:BaseRenditionIsHDR="False">{elements}</rdf:Description>'.encode()
    )


def _packet(descriptions: bytes) -> bytes:
    return (
        b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        + descriptions
        + b"</rdf:RDF></x:xmpmeta><?xpacket end='w'?>"
    )


def _segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload
