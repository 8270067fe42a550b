"""What models see in a photo; plain data that goes to JSON and back unchanged.

All places are fractions of the oriented photo, from its left and upper edge; no torch, no pixels.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

#: What people call a colour table that was made for one photo.
TABLE_NAME = "Made for this photo"

Fraction = Annotated[float, Field(ge=0, le=1)]


class Job(StrEnum):
    """What models are for; each job is done by at most one model at a time."""

    #: Objects with boxes.
    DETECTION = "detection"
    #: Outlines of what lies in a box or around a point.
    SEGMENTATION = "segmentation"
    #: A vector that can be compared with those of words and other photos.
    EMBEDDING = "embedding"
    #: How pleasing a photo is.
    AESTHETIC = "aesthetic"
    #: How well it is made technically.
    TECHNICAL = "technical"
    #: Faces, where Immich has not found them already.
    FACES = "faces"
    #: Answers in words.
    WORDS = "words"
    #: A colour table made for the photo.
    TONE = "tone"


class Frozen(BaseModel):
    """Immutable, compared by value, nothing unknown inside."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Box(Frozen):
    """A rectangle, in fractions of the oriented photo."""

    x: Fraction
    y: Fraction
    width: Fraction
    height: Fraction


class Mask(Frozen):
    """Where something is, on a grid over the whole oriented photo."""

    #: Columns and rows of the grid; what comes from outside must not claim more memory than masks need.
    width: int = Field(gt=0, le=4096)
    height: int = Field(gt=0, le=4096)
    #: Run lengths down the columns, outside first, as the compressed text that COCO's annotations use.
    counts: str


class FoundObject(Frozen):
    """Something that a detector found."""

    #: Name of its class, as `person` or `dog`.
    label: str
    #: The detector's certainty.
    score: Fraction
    box: Box
    #: Its outline, where it was segmented.
    mask: Mask | None = None


class Face(Frozen):
    """A face."""

    box: Box
    score: Fraction
    #: Whose it is, where Immich knows.
    name: str | None = None
    #: Right eye, left eye, tip of the nose, right and left corner of the mouth (x, y); empty where unknown.
    landmarks: tuple[tuple[float, float], ...] = ()
    #: Probability that the eyes are open; None where it was not measured.
    eyes_open: Fraction | None = None
    #: Who found it: `immich`, or the name of a model.
    source: str


class Quality(Frozen):
    """A distribution of votes from 1 (bad) to 10 (good)."""

    #: Shares of the ten votes; they add up to 1.
    votes: tuple[float, ...] = Field(min_length=10, max_length=10)

    @property
    def mean(self) -> float:
        """Mean vote, 1 to 10."""
        return sum(vote * share for vote, share in enumerate(self.votes, start=1))

    @property
    def spread(self) -> float:
        """Standard deviation of the votes."""
        mean = self.mean
        variance = sum(share * (vote - mean) ** 2 for vote, share in enumerate(self.votes, start=1))
        return float(max(variance, 0.0) ** 0.5)


class Tag(Frozen):
    """A word of the vocabulary that fits."""

    word: str
    score: Fraction


class WordedCrop(Frozen):
    """A crop that a language model proposes."""

    box: Box
    reason: str = ""


class Words(Frozen):
    """The answers of a language model."""

    #: What the photo shows, in a sentence or two.
    description: str = ""
    composition: tuple[str, ...] = ()
    #: What its colours need.
    colour: tuple[str, ...] = ()
    crops: tuple[WordedCrop, ...] = ()
    technical: str = ""
    #: Where the answer was not in the form asked for: the answer as it came. The other fields are empty then.
    malformed: str | None = None


class Focus(Frozen):
    """How sharp the main subject is, in the picture that models look at."""

    #: `face`, or the name of an object's class.
    what: str
    box: Box
    #: Width in pixels of its sharpest edges.
    edge_width: float = Field(gt=0)
    #: 0 (blurred) .. 1 (crisp).
    score: Fraction
    #: The same width in its surroundings; None where there are none, or nothing in them has edges.
    around: float | None = None

    @property
    def is_missed(self) -> bool:
        """Whether what lies around the subject is clearly sharper than the subject."""
        return self.score < 0.4 and self.around is not None and self.edge_width > 1.55 * self.around


class ToneTable(Frozen):
    """A colour table that a model made for the photo, and what it would do to it."""

    #: SHA-256 of the table in its normal form (`develop.cube`): the name that recipes know it by.
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    #: Mean change of lightness and of chroma, in CIELAB units, and mean distance of colours.
    lightness: float
    chroma: float
    distance: float = Field(ge=0)


class ModelRun(Frozen):
    """That a model looked at the photo, or why it did not."""

    job: Job
    #: Name of the model, as in `immich-sidecar models list`; empty where none was to be had.
    model: str
    #: What tells one set of weights from another.
    revision: str = ""
    #: `cpu`, `cuda:0` and the like; empty where it did not run.
    device: str = ""
    #: Seconds from handing the photo in to the answer.
    seconds: float = 0.0
    #: Why there is no answer, in words for a person; None where there is one.
    error: str | None = None
    #: Whether the answer was kept from an earlier look at the same photo with the same weights.
    cached: bool = False


class Findings(Frozen):
    """Everything that models found in one photo, and which of them did not answer."""

    objects: tuple[FoundObject, ...] = ()
    faces: tuple[Face, ...] = ()
    aesthetic: Quality | None = None
    technical: Quality | None = None
    tags: tuple[Tag, ...] = ()
    words: Words | None = None
    tone: ToneTable | None = None
    focus: Focus | None = None
    runs: tuple[ModelRun, ...] = ()

    def run(self, job: Job) -> ModelRun | None:
        """The run of a job; None where it was not asked for."""
        return next((run for run in self.runs if run.job is job), None)

    @property
    def missing(self) -> tuple[ModelRun, ...]:
        """The runs that gave no answer."""
        return tuple(run for run in self.runs if run.error is not None)
