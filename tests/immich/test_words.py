"""What is said of photos, by their owners and by an analysis, and how it is written down."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from immich_py_client.models import Asset, Exif, Tag

from immich_sidecar.immich.annotate import (
    CAME_WITH,
    PROCESSED,
    REJECTED,
    Annotation,
    enclosed,
    has_been_read,
    may_write,
    of_version,
)
from immich_sidecar.immich.choices import Choices
from immich_sidecar.immich.words import (
    LONGEST_DESCRIPTION,
    LONGEST_TAG,
    MOST_TAGS,
    Words,
    sidecar,
    words_of,
    words_of_analysis,
)
from immich_sidecar.library.tables import Review
from tests.immich_server.xmp import read_xmp, tag_list

NOW = datetime(2026, 1, 1, tzinfo=UTC)
#: What XML can say at all; tags have no empty parts.
_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r\x85\u2028"), min_size=1, max_size=30).filter(
    lambda text: text.strip() == text and all(ord(letter) >= 32 and letter not in "\ufffe\uffff" for letter in text)
)


def asset(**attributes: Any) -> Asset:
    made = Asset(id="a", thumbhash="x", created_at=NOW.isoformat(), exif_info=Exif())
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


@given(
    st.builds(
        Words,
        st.none() | _TEXT,
        st.none() | st.integers(1, 5),
        st.lists(_TEXT.filter(lambda text: "/" not in text), max_size=4, unique=True).map(tuple),
    )
)
def test_what_is_written_is_what_is_read(words: Words) -> None:
    document = sidecar(words)
    if document is None:
        assert words == Words()
        return
    read = read_xmp(document)
    # Immich takes the one that stands for EXIF's first.
    assert read.get("ImageDescription") == read.get("Description") == words.description
    assert read.get("Rating") == words.rating
    assert tuple(tag_list(read)) == words.tags


@pytest.mark.parametrize(
    "hostile",
    [
        '"><script>alert(1)</script>',
        "</rdf:li></rdf:Alt></dc:description><evil/>",
        "]]> & &amp; <!-- -->",
        "<?xpacket end='w'?>",
        "\x00\x01null\x0b and \ufffe \ud800 surrogates",
        "line\r\nbreak\tand tab",
        "🏔️ Ünïcödé «ß» עברית",
    ],
)
def test_hostile_words_stay_words(hostile: str) -> None:
    document = sidecar(Words(hostile, 3, (f"a/{hostile}", hostile)))
    assert document is not None
    root = ET.fromstring(document[document.index(b"<x:xmpmeta") : document.rindex(b"<?xpacket")])
    assert {element.tag.rpartition("}")[2] for element in root.iter()} == {
        *("xmpmeta", "RDF", "Description", "description", "ImageDescription", "Alt", "li", "Rating"),
        *("TagsList", "Seq"),
    }
    said = read_xmp(document)["Description"]
    assert said == "".join(letter for letter in hostile if letter not in "\x00\x01\x0b\ufffe\ud800")


def test_what_immich_says() -> None:
    exif = Exif(description="By the sea", rating=4.0)
    tags = [Tag(id="1", value="Sea"), Tag(id="2", value="Sidecar/Review"), Tag(id="3", value="Sidecars")]
    assert words_of(asset(exif_info=exif, tags=tags)) == Words("By the sea", 4, ("Sea", "Sidecars"))
    for nothing in (-1, 0, 6, None):
        assert words_of(asset(exif_info=Exif(rating=nothing))).rating is None


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (None, Words()),
        ({}, Words()),
        ({"words": None}, Words()),
        ({"words": []}, Words()),
        ({"words": {"rating": 0, "description": 3, "tags": "dog"}}, Words()),
        ({"words": {"rating": True, "description": " ", "tags": [1, "", "/"]}}, Words()),
        ({"words": {"rating": 5, "description": " A dog. ", "tags": ["dog", "dog", "/animals/dog/"]}},
         Words("A dog.", 5, ("dog", "animals/dog"))),
        # What a model says is no way to make tags that count as ours.
        ({"words": {"tags": ["Sidecar/Superseded", "Sidecar", "/Sidecar/Rejected"]}}, Words()),
        ({"words": {"description": "x" * 10_000, "tags": ["y" * 1000, *map(str, range(99))]}},
         Words("x" * LONGEST_DESCRIPTION, None, ("y" * LONGEST_TAG, *map(str, range(MOST_TAGS - 1))))),
    ],
)  # fmt: skip
def test_what_an_analysis_says(said: Any, words: Words) -> None:
    assert words_of_analysis(said) == words


@pytest.mark.parametrize(
    ("now", "ours", "wanted", "answer"),
    [
        (None, None, "new", True),
        ("theirs", None, "new", False),
        ("ours", "ours", "new", True),
        ("theirs", "ours", "new", False),
        # They took it away: it does not come back.
        (None, "ours", "new", False),
        ("new", None, "new", False),
        (None, None, None, False),
        ("ours", "ours", None, False),
        (3, 3, 4, True),
    ],
)
def test_never_over_what_somebody_else_wrote(now: Any, ours: Any, wanted: Any, answer: bool) -> None:
    assert may_write(now, ours, wanted) is answer


@pytest.mark.parametrize(("tags", "content", "rating", "description"), list(itertools.product([False, True], repeat=4)))
@pytest.mark.parametrize("review", [None, *Review])
def test_only_what_was_chosen_is_said(
    tags: bool, content: bool, rating: bool, description: bool, review: Review | None
) -> None:
    analysis = {"words": {"rating": 2, "description": "A cat", "tags": ["cat"]}}
    choices = Choices(tags=tags, content_tags=content, rating=rating, description=description)
    annotation = of_version(choices, analysis, review)
    assert annotation.words.rating == (2 if rating else None)
    assert annotation.words.description == ("A cat" if description else None)
    expected = {"cat"} if content else set()
    expected |= {PROCESSED} if tags else set()
    expected |= {REJECTED} if tags and review is Review.REJECTED else set()
    assert set(annotation.words.tags) == expected
    assert not set(annotation.not_tags) & expected


def test_beside_an_upload_stand_their_words_and_ours_where_there_are_none() -> None:
    ours = Annotation(Words("Ours", 2, ("dog", PROCESSED)))
    theirs = asset(exif_info=Exif(description="Theirs"), tags=[Tag(id="1", value="Rex")])
    beside = enclosed(theirs, ours, NOW)
    read = read_xmp(beside.document or b"")
    assert (read["Description"], read["Rating"], tag_list(read)) == ("Theirs", 2, ["Rex", "dog", PROCESSED])
    assert beside.written == {CAME_WITH: {"description": "Theirs"}, "rating": 2, "tags": ["dog", PROCESSED]}


def test_nothing_is_said_of_an_original_that_immich_has_not_read() -> None:
    unread = asset(thumbhash=None, exif_info=Exif(description="Half"))
    assert enclosed(unread, Annotation(Words("Ours")), NOW).document is None
    assert not has_been_read(unread, NOW + timedelta(hours=20))
    assert has_been_read(unread, NOW + timedelta(hours=25))
    assert enclosed(asset(), Annotation(), NOW).document is None
