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
    #: How the mosaic of a Bayer sensor is interpolated: `fast` or `best`.
    demosaic: str = "best"


@dataclass(frozen=True)
class WarpPlan:
    """Where a lens put what it saw; see the operation `lens`, whose strengths are applied here already."""

    #: In fractions of the picture after EXIF orientation.
    centre: tuple[float, float]
    #: What r = 1 stands for, in halves of the diagonal.
    radius: float
    #: Coefficients of factors by distance: of all light, and then of red and blue beside it.
    radial: tuple[float, ...] = (1.0,)
    red: tuple[float, ...] = (1.0,)
    blue: tuple[float, ...] = (1.0,)
    tangential: tuple[float, float] = (0.0, 0.0)

    @property
    def is_identity(self) -> bool:
        """Whether everything stays where it is."""
        return not self.bends and not self.has_fringes

    @property
    def bends(self) -> bool:
        """Whether straight lines are bent."""
        return _is_factor(self.radial) or any(self.tangential)

    @property
    def has_fringes(self) -> bool:
        """Whether colours come apart."""
        return _is_factor(self.red) or _is_factor(self.blue)


def _is_factor(coefficients: tuple[float, ...]) -> bool:
    return coefficients[0] != 1.0 or any(coefficients[1:])


@dataclass(frozen=True)
class FalloffPlan:
    """How a lens darkened the corners; see the operation `lens`."""

    centre: tuple[float, float]
    radius: float
    terms: tuple[float, ...]
    #: `share`: of the light that arrived; `gain`: what undoes it.
    kind: str
    #: How much is undone, 0..1, in stops.
    strength: float = 1.0


@dataclass(frozen=True)
class UprightPlan:
    """By how much the camera leaned, and how wide it saw."""

    #: Degrees by which it looked up and to the right; about one axis, see the operation `upright`.
    vertical: float = 0.0
    horizontal: float = 0.0
    #: Focal length in mm on the 36 x 24 mm of small-picture film.
    focal_length_35mm: float = 35.0


@dataclass(frozen=True)
class GeometryPlan:
    """Where each pixel of the result lies in the original, after EXIF orientation."""

    #: What the lens did, undone before everything else; None for nothing.
    warp: WarpPlan | None = None
    #: Clockwise quarter turns, 0..3, after mirroring left and right; both before all that follows.
    quarter_turns: int = 0
    mirror: bool = False
    #: Perspective; None for none.
    upright: UprightPlan | None = None
    #: Clockwise turn in degrees; what perspective and turn leave is cut to the largest inner rectangle.
    degrees: float = 0.0
    #: x, y, width, height in fractions of the frame that orientation, perspective and turn leave.
    crop: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class MonochromePlan:
    """How colours become shades of grey, and those a tone."""

    #: Factors of linear sRGB red, green and blue in grey.
    weights: tuple[float, float, float]
    #: How much of the change happens, 0..1.
    amount: float = 1.0
    #: OKLab hue of the tone in degrees, and its strength 0..1.
    hue: float = 0.0
    toning: float = 0.0


@dataclass(frozen=True)
class LutPlan:
    """A table of colours, interpolated between."""

    #: Steps of each channel.
    size: int
    #: size^3 x 3 numbers, little-endian `float32`, display values of sRGB (0..1) in and out; red changes fastest, then
    #: green, then blue, as in a `.cube` file.
    values: bytes
    #: How much of the change happens, 0..1.
    strength: float = 1.0


@dataclass(frozen=True)
class ColourPlan:
    """What happens to each pixel's colour, in linear light."""

    #: Colour temperature of the light, in kelvin; 6500 changes nothing; None with `gains`.
    temperature: float | None = None
    #: Green (negative) to magenta (positive), -100..100.
    tint: float = 0.0
    #: Factors of linear sRGB red, green and blue.
    gains: tuple[float, float, float] | None = None
    #: Whether they are factors of a RAW file's own red, green and blue instead, where those are known.
    gains_of_camera: bool = False
    #: Exposure in EV.
    ev: float = 0.0
    #: The brightest light that exposure has to keep from being cut, as a part of full white.
    brightest: float = 1.0
    #: The five parameters of `tone`, each -100..100.
    black: float = 0.0
    white: float = 0.0
    shadows: float = 0.0
    highlights: float = 0.0
    contrast: float = 0.0
    #: Saturation and vibrance, -100..100.
    saturation: float = 0.0
    vibrance: float = 0.0
    monochrome: MonochromePlan | None = None
    #: After everything else.
    lut: LutPlan | None = None


@dataclass(frozen=True)
class NamedLut:
    """A table that finished colours go through, before the engine has looked it up."""

    #: SHA-256 of the table in its normal form.
    sha256: str
    #: Part of the table's effect, 0..1.
    strength: float = 1.0
    #: For messages.
    name: str = ""


@dataclass(frozen=True)
class LocalPlan:
    """What happens to a part of the picture; see `recipe.masked`."""

    #: Columns and rows of the mask's grid over the upright original, and its run lengths, outside first.
    width: int
    height: int
    runs: tuple[int, ...]
    #: Whether the part is what lies outside of the mask.
    is_outside: bool = False
    #: Softness 0..1.
    feather: float = 0.0
    ev: float = 0.0
    #: -1..1.
    saturation: float = 0.0


@dataclass(frozen=True)
class DetailPlan:
    """What happens to fine detail, last, on display values."""

    #: Strength of noise removal in brightness and in colour, 0..100.
    luma: float = 0.0
    chroma: float = 0.0
    #: Strength of sharpening, 0..100; its radius in pixels at full size; and the noise that is spared, in the unit of
    #: `luma`.
    sharpen: float = 0.0
    sharpen_radius: float = 1.0
    sharpen_threshold: float = 0.0


#: Formats of `OutputPlan` with the ending of their files and their media type.
OUTPUT_FORMATS = {
    "jpeg": ("jpg", "image/jpeg"),
    "small": ("jpg", "image/jpeg"),
    "heic": ("heic", "image/heic"),
    "avif": ("avif", "image/avif"),
    "jxl": ("jxl", "image/jxl"),
    "tiff16": ("tif", "image/tiff"),
}


@dataclass(frozen=True)
class OutputPlan:
    """The file that is written."""

    #: A key of `OUTPUT_FORMATS`.
    format: str = "jpeg"
    #: 1..100 in the sense of the format; None for the caller's (a recipe without `output`), and for `tiff16`.
    quality: int | None = None
    #: Pixels that the longer side has at most; 0 for any.
    longest_edge: int = 0
    #: `keep`: the colour space of the original; `srgb`, `p3`.
    profile: str = "keep"

    @property
    def extension(self) -> str:
        """The ending of the file's name, without a dot."""
        return OUTPUT_FORMATS[self.format][0]


@dataclass(frozen=True)
class Plan:
    """Everything that the engine is asked to do."""

    #: None where the recipe has no `decode`.
    decode: DecodePlan | None = None
    #: None where the lens's vignetting stays.
    falloff: FalloffPlan | None = None
    geometry: GeometryPlan = field(default_factory=GeometryPlan)
    colour: ColourPlan = field(default_factory=ColourPlan)
    #: The table of a `lut`, by its digest; None where there is none.
    lut: NamedLut | None = None
    #: After all colour, one after the other.
    local: tuple[LocalPlan, ...] = ()
    detail: DetailPlan = field(default_factory=DetailPlan)
    output: OutputPlan = field(default_factory=OutputPlan)
