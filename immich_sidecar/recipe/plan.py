"""What a list of operations asks of the engine, gathered into one piece of pure data.

Operations add to a `Plan`; the engine reads nothing else. So neither knows the other, and steps that the
engine fuses (all of colour, all of geometry) arrive together.
"""

from dataclasses import dataclass, field

#: Rows of a 3x3 matrix.
Matrix = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]


@dataclass(frozen=True)
class DecodePlan:
    """How a RAW file becomes scene-linear pixels, and those a displayable picture."""

    #: Where the white balance comes from: `as_shot`, `auto` or `daylight`.
    white_balance: str = "as_shot"
    #: What happens where the sensor was saturated: `clip`, `blend` or `reconstruct`.
    highlight: str = "clip"
    #: Exposure in EV that is applied before the curve.
    baseline_ev: float = 0.0
    #: Points (scene-linear, display-linear), rising; empty for a straight line.
    tone_curve: tuple[tuple[float, float], ...] = ()
    #: Camera RGB (white-balanced) to linear sRGB; None for the one that LibRaw or the file knows.
    colour_matrix: Matrix | None = None


@dataclass(frozen=True)
class GeometryPlan:
    """Where each pixel of the result lies in the original, after EXIF orientation."""

    #: Clockwise turn in degrees, followed by the largest inner rectangle.
    degrees: float = 0.0
    #: x, y, width, height in fractions of the frame that orientation and turn leave.
    crop: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class ColourPlan:
    """What happens to each pixel's colour, in linear light."""

    #: Colour temperature of the light, in kelvin; 6500 changes nothing; None with `gains`.
    temperature: float | None = None
    #: Green (negative) to magenta (positive), -100..100.
    tint: float = 0.0
    #: Factors of linear sRGB red, green and blue.
    gains: tuple[float, float, float] | None = None
    #: Exposure in EV.
    ev: float = 0.0
    #: The five parameters of `tone`, each -100..100.
    black: float = 0.0
    white: float = 0.0
    shadows: float = 0.0
    highlights: float = 0.0
    contrast: float = 0.0


@dataclass(frozen=True)
class DetailPlan:
    """What happens to fine detail, last, on display values."""

    #: Strength of noise removal in brightness and in colour, 0..100.
    luma: float = 0.0
    chroma: float = 0.0


@dataclass(frozen=True)
class Plan:
    """Everything that the engine is asked to do."""

    #: None where the recipe has no `decode`.
    decode: DecodePlan | None = None
    geometry: GeometryPlan = field(default_factory=GeometryPlan)
    colour: ColourPlan = field(default_factory=ColourPlan)
    detail: DetailPlan = field(default_factory=DetailPlan)
