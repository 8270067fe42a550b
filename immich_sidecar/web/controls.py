"""What the photo page offers to change: every slider and every list, and which number or word of a recipe it is for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from immich_sidecar.recipe.operations.output import USUAL_QUALITY


@dataclass(frozen=True)
class Numbered:
    """A slider for one number of one operation; 0 means that the number asks for nothing."""

    group: str
    name: str
    label: str
    operation: str
    parameter: str
    low: float
    high: float
    step: float
    ends: tuple[str, str]
    unit: str = ""
    digits: int = 0
    #: What the number is where the recipe has no such operation.
    neutral: float = 0.0
    #: Whether the operation is switched off once this number and all others of it that count are neutral.
    counts: bool = True
    #: Whether it is about what is known of a lens, and so is offered only where something is.
    is_of_lens: bool = False
    #: Whether it is about a part of the picture, and so is offered only where that was outlined.
    is_masked: bool = False


@dataclass(frozen=True)
class Chosen:
    """A list for one word of one operation; its first value is what a recipe without the operation means."""

    group: str
    name: str
    label: str
    operation: str
    parameter: str
    options: tuple[tuple[str, str], ...]
    #: Whether the operation is there from the start or never (`decode`, of RAW files), and is not switched off here.
    is_given: bool = False
    #: Parameters of the operation that are forgotten when another value is chosen, since they mean another thing then.
    forgets: tuple[str, ...] = ()
    #: What stands in the list for parameters of the operation; None: the parameter. A value "" takes the parameter out.
    shown: Callable[[Mapping[str, Any]], str] | None = None

    def standing(self, values: Mapping[str, Any]) -> str:
        """The value of the list that parameters of the operation mean."""
        if self.shown is not None:
            return self.shown(values)
        return str(values.get(self.parameter, self.options[0][0]))


#: The groups in the order of the page, and which of them are unfolded.
GROUPS = {
    "Light": True,
    "Colour": True,
    "Black and white": False,
    "Parts of the picture": False,
    "Geometry": True,
    "Detail": False,
    "Lens": False,
    "File": False,
}


def _quality(values: Mapping[str, Any]) -> str:
    """What stands for a quality: "" for the usual one of the format."""
    quality = values.get("quality")
    usual = quality is None or quality == USUAL_QUALITY.get(values.get("format", "jpeg"))
    return "" if usual else str(quality)


_FORMATS = (
    ("jpeg", "JPEG"),
    ("small", "JPEG, small"),
    ("heic", "HEIC"),
    ("avif", "AVIF"),
    ("jxl", "JPEG XL"),
    ("tiff16", "TIFF, 16 bits"),
)
_EDGES = (
    ("0", "as large as it is"),
    *((str(edge), f"{edge} pixels at most") for edge in (4096, 3840, 2560, 2048, 1600, 1080)),
)
_QUALITIES = (("", "usual"), *((str(quality), str(quality)) for quality in (100, 95, 90, 85, 80, 70, 60, 50, 40, 30)))
_PROFILES = (("keep", "as in the original"), ("srgb", "sRGB"), ("p3", "Display P3"))

#: Everything that the page offers beside the crop, which is drawn on the picture, and the white balance, which is no
#: single number (`warmth`). Another operation gets its controls by lines here.
CONTROLS: tuple[Numbered | Chosen, ...] = (
    Numbered("Light", "exposure", "Exposure", "exposure", "ev", -3, 3, 0.05, ("darker", "brighter"), "EV", 2),
    Numbered("Light", "highlights", "Highlights", "tone", "highlights", -100, 100, 1, ("recover", "lift")),
    Numbered("Light", "shadows", "Shadows", "tone", "shadows", -100, 100, 1, ("deepen", "open")),
    Numbered("Light", "contrast", "Contrast", "tone", "contrast", -100, 100, 1, ("softer", "stronger")),
    Numbered("Light", "white", "White point", "tone", "white", -100, 100, 1, ("duller", "brighter")),
    Numbered("Light", "black", "Black point", "tone", "black", -100, 100, 1, ("deeper", "lifted")),
    Numbered("Colour", "saturation", "Saturation", "saturation", "saturation", -100, 100, 1, ("grey", "vivid")),
    Numbered("Colour", "vibrance", "Vibrance", "saturation", "vibrance", -100, 100, 1, ("muted", "livelier")),
    Numbered("Black and white", "monochrome", "Strength", "monochrome", "amount", 0, 100, 1, ("colour", "grey")),
    *(
        Numbered(
            *("Black and white", f"mixer_{channel}", f"{channel.capitalize()} in grey", "monochrome", channel),
            *(-100, 200, 1, ("darker", "brighter"), "%"),
            neutral=neutral,
            counts=False,
        )
        for channel, neutral in (("red", 21.0), ("green", 72.0), ("blue", 7.0))
    ),
    Numbered(
        "Black and white", "toning", "Toning", "monochrome", "toning", 0, 100, 1, ("none", "strong"), counts=False
    ),
    Numbered(
        *(
            "Black and white",
            "toning_hue",
            "Hue of the tone",
            "monochrome",
            "toning_hue",
            0,
            360,
            1,
            ("red", "violet"),
            "°",
        ),
        neutral=70.0,
        counts=False,
    ),
    Numbered(
        *("Geometry", "straighten", "Straighten", "straighten", "degrees", -15, 15, 0.1),
        *(("anticlockwise", "clockwise"), "°", 2),
    ),
    Numbered(
        *("Geometry", "upright_vertical", "Vertical perspective", "upright", "vertical", -20, 20, 0.1),
        *(("widen the bottom", "widen the top"), "°", 2),
    ),
    Numbered(
        *("Geometry", "upright_horizontal", "Horizontal perspective", "upright", "horizontal", -20, 20, 0.1),
        *(("widen the left", "widen the right"), "°", 2),
    ),
    *(
        control
        for part, label in (("subject", "Subject"), ("background", "Background"), ("sky", "Sky"))
        for control in (
            Numbered(
                *("Parts of the picture", f"{part}_ev", f"{label}: light", part, "ev", -2, 2, 0.05),
                *(("darker", "brighter"), "EV", 2),
                is_masked=True,
            ),
            Numbered(
                *("Parts of the picture", f"{part}_saturation", f"{label}: colour", part, "saturation", -100, 100, 1),
                ("grey", "vivid"),
                is_masked=True,
            ),
        )
    ),
    Chosen(
        *("Light", "highlight", "Blown highlights", "decode", "highlight"),
        (("clip", "White"), ("blend", "Keep their brightness"), ("reconstruct", "Rebuild their colour")),
        is_given=True,
    ),
    Chosen(
        *("Detail", "demosaic", "RAW detail", "decode", "demosaic"),
        (("best", "Best"), ("fast", "Fast")),
        is_given=True,
    ),
    *(
        Numbered(
            *("Lens", f"lens_{name}", label, "lens", parameter, 0, 100, 1, ("as taken", "undone"), "%"),
            is_of_lens=True,
        )
        for name, label, parameter in (
            ("distortion", "Distortion", "distortion"),
            ("fringes", "Colour fringes", "chromatic_aberration"),
            ("vignetting", "Dark corners", "vignetting"),
        )
    ),
    Numbered("Detail", "denoise_luma", "Grain removal", "denoise", "luma", 0, 100, 1, ("none", "strong")),
    Numbered("Detail", "denoise_chroma", "Colour noise removal", "denoise", "chroma", 0, 100, 1, ("none", "strong")),
    Numbered("Detail", "sharpen", "Sharpness", "sharpen", "amount", 0, 100, 1, ("none", "strong")),
    Numbered(
        *("Detail", "sharpen_radius", "Radius of sharpening", "sharpen", "radius", 0.3, 3, 0.1, ("fine", "coarse")),
        *("px", 1),
        neutral=1.0,
        counts=False,
    ),
    Numbered(
        *("Detail", "sharpen_threshold", "Noise not to sharpen", "sharpen", "threshold", 0, 40, 1, ("none", "much")),
        neutral=4.0,
        counts=False,
    ),
    Chosen("File", "output_format", "Format", "output", "format", _FORMATS, forgets=("quality",)),
    Chosen("File", "output_quality", "Quality", "output", "quality", _QUALITIES, shown=_quality),
    Chosen("File", "output_edge", "Size", "output", "longest_edge", _EDGES),
    Chosen("File", "output_profile", "Colour space", "output", "profile", _PROFILES),
)
