"""Tags from an editable vocabulary: how well each of its words fits the vector of a photo.

The vocabulary is a text file that people change; the words of each of its paragraphs are weighed against each other.
A model that compares photos with words says how alike the two are; how that becomes a probability depends on how the
model was trained (`Calibration`).
"""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.analysis.findings import Tag
from immich_sidecar.errors import SettingsError, StorageError

#: Name of the file in the data directory.
FILE_NAME = "vocabulary.txt"
#: Words that a photo gets at most, and the probability from which on.
MOST_TAGS, FLOOR = 8, 0.15
#: Limits of the file.
MOST_WORDS, MOST_LETTERS = 2000, 80

#: What is asked about each word. Several phrasings would be a little steadier (Radford et al. 2021), and take as many
#: times longer: on one core SigLIP 2 B/16 takes 0.23 s a phrase, which is 68 s for the usual vocabulary.
_PHRASE = "a photo of {}"
#: What fits every photo: a word has to fit better than that.
_PLAIN = "a photo"

Vectors = NDArray[np.float32]
Encode = Callable[[Sequence[str]], Vectors]


@dataclass(frozen=True)
class Vocabulary:
    """The words of a vocabulary file."""

    #: Words by paragraph.
    groups: tuple[tuple[str, ...], ...]

    @property
    def words(self) -> tuple[str, ...]:
        """All words, in the order of the file."""
        return tuple(word for group in self.groups for word in group)

    @property
    def digest(self) -> str:
        """Tells one vocabulary from another, in 16 hexadecimal digits; notes in the file do not count."""
        text = "\n\n".join("\n".join(group) for group in self.groups)
        return hashlib.sha256("\0".join((text, _PHRASE, _PLAIN)).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Calibration:
    """How a model's likeness (the cosine of two vectors) becomes a probability."""

    #: What the cosine is multiplied with.
    scale: float
    #: Models trained on pairs of photo and text alone, as SigLIP, have it: then the logistic function of
    #: scale * cosine + bias is the probability of a pair (Zhai et al. 2023). The others, as CLIP, know only which of
    #: several texts fits best: then the words of a paragraph share one softmax with a phrase that fits every photo.
    bias: float | None = None


#: For models of which only the vectors are known. CLIP's authors allow no steeper scale (Radford et al. 2021).
UNKNOWN = Calibration(scale=100.0)


@dataclass(frozen=True, eq=False)
class WordVectors:
    """A vocabulary as a model understands it."""

    vocabulary: Vocabulary
    #: (words, dimensions) float32 of length 1, in the order of the words.
    words: Vectors
    #: (dimensions,), what fits every photo.
    plain: Vectors

    def tags(
        self, vector: Vectors, calibration: Calibration, *, most: int = MOST_TAGS, floor: float = FLOOR
    ) -> tuple[Tag, ...]:
        """The words that fit a photo of that vector (dimensions,), most probable first.

        Parameters
        ----------
        most
            Number of tags.
        floor
            Least probability, 0..1.
        """
        scores = self._probabilities(vector.astype(np.float64), calibration)
        order = sorted(range(len(scores)), key=lambda n: (-scores[n], n))[:most]
        words = self.vocabulary.words
        return tuple(Tag(word=words[n], score=round(float(scores[n]), 3)) for n in order if scores[n] >= floor)

    def _probabilities(self, vector: NDArray[np.float64], calibration: Calibration) -> NDArray[np.float64]:
        logits = self.words @ vector * calibration.scale
        if calibration.bias is not None:
            return _logistic(logits + calibration.bias)
        plain = float(self.plain @ vector) * calibration.scale
        found, first = np.zeros(len(logits)), 0
        for group in self.vocabulary.groups:
            part = slice(first, first + len(group))
            highest = max(plain, float(logits[part].max()))
            powers = np.exp(logits[part] - highest)
            found[part] = powers / (powers.sum() + np.exp(plain - highest))
            first += len(group)
        return found


def read_vocabulary(path: Path) -> Vocabulary:
    """Read a vocabulary file; where there is none, the usual one is put there first.

    A file without words is allowed: photos get no tags then.

    Raises
    ------
    SettingsError
        If a line cannot be used; the message names it.
    StorageError
        If the file cannot be read or made.
    """
    try:
        if not path.exists():
            _write(path, usual_text().encode())
        data = path.read_bytes()
    except OSError as error:
        raise StorageError(f"The vocabulary {path} cannot be read or made: {error.strerror or error}.") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise SettingsError(f"{path}, line {line}: not written as UTF-8; save the file with that encoding.") from error
    return parse_vocabulary(text, name=str(path))


def parse_vocabulary(text: str, *, name: str = FILE_NAME) -> Vocabulary:
    """The words of a vocabulary's text; one that is there twice counts where it stands first.

    Raises
    ------
    SettingsError
        If a line cannot be used; the message names the file by `name`.
    """
    groups: list[list[str]] = [[]]
    known: set[str] = set()
    for number, line in enumerate(text.splitlines(), start=1):
        word = " ".join(line.split())
        if not word:
            groups.append([])
        if not word or word.startswith("#"):
            continue
        if len(word) > MOST_LETTERS or not word.isprintable():
            raise SettingsError(
                f"{name}, line {number}: a word or phrase has at most {MOST_LETTERS} letters, all of them printable; "
                f"this one begins with {word[:20]!r}."
            )
        if word.casefold() not in known:
            known.add(word.casefold())
            groups[-1].append(word)
    if len(known) > MOST_WORDS:
        raise SettingsError(f"{name}: {len(known)} words; more than {MOST_WORDS} make tagging slow. Take some out.")
    return Vocabulary(tuple(tuple(group) for group in groups if group))


def usual_text() -> str:
    """The vocabulary that is there until somebody changes it."""
    return Path(__file__).with_name(FILE_NAME).read_text("utf-8")


def word_vectors(vocabulary: Vocabulary, encode: Encode, *, revision: str, folder: Path) -> WordVectors:
    """A vocabulary as a model understands it; computed once and kept in a file for each vocabulary and revision.

    Parameters
    ----------
    encode
        Gives the vectors of texts, (count, dimensions), of length 1.
    revision
        What tells one set of weights from another.
    folder
        Where the vectors are kept; files there may be deleted at any time.
    """
    known = hashlib.sha256(f"{vocabulary.digest} {revision}".encode()).hexdigest()[:32]
    path = folder / f"vocabulary-{known}.npy"
    count = len(vocabulary.words)
    with contextlib.suppress(OSError, ValueError, EOFError):
        kept = np.load(path, allow_pickle=False)
        if kept.ndim == 2 and kept.dtype == np.float32 and len(kept) == count + 1 and np.isfinite(kept).all():
            return WordVectors(vocabulary, kept[:-1], kept[-1])
    found = encode([*(_PHRASE.format(word) for word in vocabulary.words), _PLAIN]).astype(np.float32)
    found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), np.float32(1e-12))
    # Without the file the vectors are computed again; nothing else depends on it.
    with contextlib.suppress(OSError):
        _write(path, _as_npy(found))
    return WordVectors(vocabulary, found[:-1], found[-1])


def _logistic(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / (1 + e^-x) without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * value))


def _as_npy(array: Vectors) -> bytes:
    import io

    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o644)  # noqa: PTH101
        os.replace(temporary, path)  # noqa: PTH105
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108
        raise
