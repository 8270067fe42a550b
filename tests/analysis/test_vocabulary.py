"""The vocabulary of tags: the file that people edit, and which words fit a photo."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from immich_sidecar.analysis.vocabulary import (
    Calibration,
    Vocabulary,
    WordVectors,
    parse_vocabulary,
    read_vocabulary,
    usual_text,
    word_vectors,
)
from immich_sidecar.errors import SettingsError, StorageError

CLIP, SIGLIP = Calibration(scale=100.0), Calibration(scale=100.0, bias=-15.0)


def test_the_file_is_made_at_first_use_and_read_as_people_leave_it(tmp_path: Path) -> None:
    path = tmp_path / "data" / "vocabulary.txt"

    first = read_vocabulary(path)

    assert path.read_text("utf-8") == usual_text()
    assert {"beach", "wedding", "dog", "sunset", "winter"} <= set(first.words)
    assert len(first.groups) > 10
    path.write_text("# only these\n  red   kite \r\n\nTram\n")
    assert read_vocabulary(path) == Vocabulary((("red kite",), ("Tram",)))


def test_no_word_of_ours_is_there_twice() -> None:
    lines = [" ".join(line.split()).casefold() for line in usual_text().splitlines()]
    words = [line for line in lines if line and not line.startswith("#")]

    assert len(words) == len(set(words)) == len(parse_vocabulary(usual_text()).words)


def test_words_that_are_there_twice_count_once() -> None:
    assert parse_vocabulary("Dog\ncat\n\ndog\nDOG\n\n\nbird") == Vocabulary((("Dog", "cat"), ("bird",)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"dog\n" + b"x" * 81, "line 2: a word or phrase has at most 80 letters"),
        (b"dog\ncat\nbad\x07word", "line 3: .*printable"),
        ("dog\ncafé".encode("latin-1"), "line 2: not written as UTF-8"),
        ("\n".join(f"word {n}" for n in range(2001)).encode(), "2001 words; more than 2000"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "vocabulary.txt"
    path.write_bytes(content)

    with pytest.raises(SettingsError, match=message) as caught:
        read_vocabulary(path)

    assert str(path) in str(caught.value)


def test_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "vocabulary.txt").mkdir()

    with pytest.raises(StorageError, match="cannot be read or made"):
        read_vocabulary(tmp_path / "vocabulary.txt")


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        vocabulary = parse_vocabulary(text)
    except SettingsError:
        return

    written = "\n\n".join("\n".join(group) for group in vocabulary.groups)
    assert parse_vocabulary(written) == vocabulary


def _unit(*values: float) -> NDArray[np.float32]:
    vector = np.array(values, np.float32)
    return vector / np.float32(np.linalg.norm(vector))


def _vectors(groups: tuple[tuple[str, ...], ...], *rows: NDArray[np.float32]) -> WordVectors:
    return WordVectors(Vocabulary(groups), np.stack(rows), _unit(0, 0, 0, 1))


PHOTO = _unit(1.0, 0.6, 0.0, 0.1)
ANIMALS_PLACES = (("dog", "cat"), ("beach",))


@pytest.mark.parametrize("calibration", [CLIP, SIGLIP], ids=["softmax", "logistic"])
def test_the_words_that_fit_come_first(calibration: Calibration) -> None:
    vectors = _vectors(ANIMALS_PLACES, _unit(1, 0.5, 0, 0), _unit(0, 0, 1, 0), _unit(0.2, 1, 0, 0))

    tags = vectors.tags(PHOTO, calibration)

    assert [tag.word for tag in tags] == ["dog", "beach"]
    assert all(0.15 <= tag.score <= 1 for tag in tags)


def test_the_logistic_function_is_the_one_of_the_pair() -> None:
    vectors = _vectors((("dog",),), _unit(1, 0, 0, 0))
    cosine = float(_unit(1, 0, 0, 0) @ PHOTO)

    (tag,) = vectors.tags(PHOTO, Calibration(scale=20.0, bias=-16.0))

    assert tag.score == pytest.approx(1 / (1 + np.exp(-(20 * cosine - 16))), abs=6e-4)


def test_a_group_in_which_nothing_fits_gives_no_tag() -> None:
    far = _vectors(ANIMALS_PLACES, _unit(0, 0, 1, 0), _unit(0, 0, 1, 0.01), _unit(0, 1, -1, 0))

    assert far.tags(_unit(0, 0.05, 0.02, 1), CLIP) == ()


def test_words_of_a_group_share_and_groups_do_not() -> None:
    apart = _vectors((("dog",), ("puppy",)), PHOTO, PHOTO)
    together = _vectors((("dog", "puppy"),), PHOTO, PHOTO)

    assert [tag.score for tag in apart.tags(PHOTO, CLIP)] == [1.0, 1.0]
    assert [tag.score for tag in together.tags(PHOTO, CLIP)] == [0.5, 0.5]


def test_no_more_tags_than_asked_for_and_none_below_the_floor() -> None:
    groups = tuple((f"word {n}",) for n in range(20))
    vectors = _vectors(groups, *[_unit(1, 0.1 * n, 0, 0) for n in range(20)])

    assert len(vectors.tags(PHOTO, CLIP)) == 8
    assert len(vectors.tags(PHOTO, CLIP, most=3)) == 3
    assert vectors.tags(PHOTO, Calibration(1.0, -50.0)) == ()


class Encoder:
    """Gives texts vectors by their letters, and counts what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked += texts
        rows = []
        for text in texts:
            row = np.random.default_rng(list(text.encode())).normal(size=12).astype(np.float32)
            rows.append(row / np.linalg.norm(row))
        return np.stack(rows)


def test_vectors_of_words_are_computed_once(tmp_path: Path) -> None:
    vocabulary, encoder = parse_vocabulary("dog\ncat\n\nsea {}"), Encoder()

    first = word_vectors(vocabulary, encoder, revision="r1", folder=tmp_path)
    asked = len(encoder.asked)
    again = word_vectors(vocabulary, encoder, revision="r1", folder=tmp_path)

    assert asked == len(encoder.asked) == 4
    assert "a photo of sea {}" in encoder.asked
    np.testing.assert_array_equal(first.words, again.words)
    np.testing.assert_array_equal(first.plain, again.plain)
    np.testing.assert_allclose(np.linalg.norm(first.words, axis=1), 1, atol=1e-6)


def test_other_words_and_other_weights_have_vectors_of_their_own(tmp_path: Path) -> None:
    encoder = Encoder()

    word_vectors(parse_vocabulary("dog"), encoder, revision="r1", folder=tmp_path)
    word_vectors(parse_vocabulary("dog"), encoder, revision="r2", folder=tmp_path)
    word_vectors(parse_vocabulary("dog\ncat"), encoder, revision="r1", folder=tmp_path)

    assert len(list(tmp_path.iterdir())) == 3
    assert encoder.asked.count("a photo of dog") == 3


@pytest.mark.parametrize("content", [b"", b"rubbish", b"\x93NUMPY\x01\x00" + b"x" * 40])
def test_a_damaged_file_of_vectors_is_made_anew(tmp_path: Path, content: bytes) -> None:
    vocabulary, encoder = parse_vocabulary("dog\ncat"), Encoder()
    first = word_vectors(vocabulary, encoder, revision="r1", folder=tmp_path)
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(content)

    again = word_vectors(vocabulary, encoder, revision="r1", folder=tmp_path)

    np.testing.assert_array_equal(first.words, again.words)
    assert kept.read_bytes() != content


def test_a_vocabulary_without_words_gives_no_tags(tmp_path: Path) -> None:
    vectors = word_vectors(parse_vocabulary("# none\n"), Encoder(), revision="r1", folder=tmp_path)

    assert vectors.tags(np.ones(12, np.float32), CLIP) == ()
    assert vectors.tags(np.ones(12, np.float32), SIGLIP) == ()
