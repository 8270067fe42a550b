"""Words about a photo: what its owner says of it in Immich, what an analysis says, and both as an XMP document.

A document that comes beside an upload is read together with the file, and wins. So a new version says from its first
moment on what the original says, and nothing has to be written over what Immich reads from the file.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from immich_py_client.models import Asset, Exif
from immich_py_client.types import Unset

from immich_sidecar.immich import tagging

#: What an analysis may say about a photo as a whole, under this key: `rating` (1..5), `description`, `tags`. Nothing
#: that is only measured says anything of the kind.
WORDS_OF_ANALYSIS = "words"
#: Longest description and tag that are taken from an analysis, and how many tags.
LONGEST_DESCRIPTION, LONGEST_TAG, MOST_TAGS = 5000, 100, 30

#: What XML cannot hold.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NAMESPACES = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
}


@dataclass(frozen=True)
class Words:
    """What is said of a photo."""

    description: str | None = None
    #: 1 to 5; None: not rated.
    rating: int | None = None
    #: Paths, such as `Places/Rome`.
    tags: tuple[str, ...] = ()

    def over(self, other: "Words") -> "Words":
        """These words, and those of another where there are none."""
        return Words(
            self.description or other.description,
            self.rating or other.rating,
            tuple(dict.fromkeys((*self.tags, *other.tags))),
        )


def stars(rating: float | Unset | None) -> int | None:
    """A rating as it may be written, 1 to 5; None for everything else."""
    if isinstance(rating, Unset | bool) or rating is None or not 1 <= rating <= 5:
        return None
    return round(rating)


def words_of(asset: Asset) -> Words:
    """What Immich says of an asset that it has read, without the tags that are ours."""
    exif = asset.exif_info or Exif()
    tags = tuple(tag.value for tag in asset.tags or () if tag.value and not tagging.is_ours(tag.value))
    return Words(exif.description or None, stars(exif.rating), tags)


def words_of_analysis(analysis: Mapping[str, Any] | None) -> Words:
    """What an analysis says about the photo as a whole; what is not as it should be is left out."""
    said = (analysis or {}).get(WORDS_OF_ANALYSIS)
    if not isinstance(said, Mapping):
        return Words()
    description, rating, tags = said.get("description"), said.get("rating"), said.get("tags")
    return Words(
        _clean(description)[:LONGEST_DESCRIPTION].strip() or None if isinstance(description, str) else None,
        stars(rating) if isinstance(rating, int | float) else None,
        tuple(_paths(tags))[:MOST_TAGS] if isinstance(tags, list | tuple) else (),
    )


def sidecar(words: Words) -> bytes | None:
    """An XMP document with these words; None where there are none.

    The description stands twice: Immich takes a file's `ImageDescription` before a document's `dc:description`. The
    tags stand once, where Immich itself writes them: were they keywords (`dc:subject`) too, those would come back as
    tags when an owner takes the last tag off.
    """
    parts: list[str] = []
    if words.description:
        text = f'<rdf:Alt><rdf:li xml:lang="x-default">{_text(words.description)}</rdf:li></rdf:Alt>'
        parts += [
            f"<dc:description>{text}</dc:description>",
            f"<tiff:ImageDescription>{text}</tiff:ImageDescription>",
        ]
    if words.rating is not None:
        parts.append(f"<xmp:Rating>{words.rating}</xmp:Rating>")
    if words.tags:
        items = "".join(f"<rdf:li>{_text(tag)}</rdf:li>" for tag in words.tags)
        parts.append(f"<digiKam:TagsList><rdf:Seq>{items}</rdf:Seq></digiKam:TagsList>")
    if not parts:
        return None
    names = " ".join(f'xmlns:{prefix}="{address}"' for prefix, address in _NAMESPACES.items())
    lines = [
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>',
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">',
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">',
        f'<rdf:Description rdf:about="" {names}>',
        *parts,
        "</rdf:Description></rdf:RDF></x:xmpmeta>",
        '<?xpacket end="w"?>',
    ]
    return "\n".join(lines).encode()


def _paths(tags: Iterable[Any]) -> list[str]:
    """Tags of an analysis, none of which may look as if it were ours."""
    found = [_clean(tag)[:LONGEST_TAG].strip().strip("/") for tag in tags if isinstance(tag, str)]
    return [tag for tag in dict.fromkeys(found) if tag and not tagging.is_ours(tag)]


def _clean(text: str) -> str:
    return _NOT_XML.sub("", text)


def _text(text: str) -> str:
    # A bare carriage return would be read as a line feed.
    return escape(_clean(text), {"\r": "&#13;"})
