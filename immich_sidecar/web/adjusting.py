"""The form of the photo page: sliders, lists and crop, and what they mean for the recipe."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from aiohttp import web

from immich_sidecar.recipe.operations.lens import undoable
from immich_sidecar.recipe.operations.output import USUAL_QUALITY
from immich_sidecar.recipe.orientation import Orientation, turned

#: Reciprocal megakelvin of light that changes nothing (6500 K), and of one step of the slider.
_NEUTRAL_MIRED, _STEP_MIRED = 1e6 / 6500, 0.87
#: By how much one step changes red to blue of grey in linear sRGB; measured between -50 and 50.
_RATIO = 1.0086

Operations = Sequence[Mapping[str, Any]]
#: Digest and name of each LUT.
Luts = Sequence[tuple[str, str]]
#: Parameters of what was proposed, by operation.
Proposed = Mapping[str, Mapping[str, Any]]
_NOTHING: Proposed = MappingProxyType({})


@dataclass(frozen=True)
class Slider:
    """One slider as the page shows it."""

    name: str
    label: str
    low: float
    high: float
    step: float
    value: float
    unit: str
    #: Words for the two ends.
    ends: tuple[str, str]


@dataclass(frozen=True)
class Choice:
    """One list to choose from, as the page shows it."""

    name: str
    label: str
    #: Values and their words; the value "" stands for "not part of the recipe".
    options: tuple[tuple[str, str], ...]
    value: str


@dataclass(frozen=True)
class Group:
    """What stands together on the page."""

    name: str
    #: Whether it is unfolded from the start.
    is_open: bool
    controls: tuple[Slider | Choice, ...]


@dataclass(frozen=True)
class _Numbered:
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
class _Chosen:
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
_GROUPS = {
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

#: Everything that the page offers beside the crop, which is drawn on the picture, and the warmth of the light, which
#: is no single number. Another operation gets its controls by lines here.
_CONTROLS: tuple[_Numbered | _Chosen, ...] = (
    _Numbered("Light", "exposure", "Exposure", "exposure", "ev", -3, 3, 0.05, ("darker", "brighter"), "EV", 2),
    _Numbered("Light", "highlights", "Highlights", "tone", "highlights", -100, 100, 1, ("recover", "lift")),
    _Numbered("Light", "shadows", "Shadows", "tone", "shadows", -100, 100, 1, ("deepen", "open")),
    _Numbered("Light", "contrast", "Contrast", "tone", "contrast", -100, 100, 1, ("softer", "stronger")),
    _Numbered("Light", "white", "White point", "tone", "white", -100, 100, 1, ("duller", "brighter")),
    _Numbered("Light", "black", "Black point", "tone", "black", -100, 100, 1, ("deeper", "lifted")),
    _Numbered("Colour", "saturation", "Saturation", "saturation", "saturation", -100, 100, 1, ("grey", "vivid")),
    _Numbered("Colour", "vibrance", "Vibrance", "saturation", "vibrance", -100, 100, 1, ("muted", "livelier")),
    _Numbered("Black and white", "monochrome", "Strength", "monochrome", "amount", 0, 100, 1, ("colour", "grey")),
    *(
        _Numbered(
            *("Black and white", f"mixer_{channel}", f"{channel.capitalize()} in grey", "monochrome", channel),
            *(-100, 200, 1, ("darker", "brighter"), "%"),
            neutral=neutral,
            counts=False,
        )
        for channel, neutral in (("red", 21.0), ("green", 72.0), ("blue", 7.0))
    ),
    _Numbered(
        "Black and white", "toning", "Toning", "monochrome", "toning", 0, 100, 1, ("none", "strong"), counts=False
    ),
    _Numbered(
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
    _Numbered(
        *("Geometry", "straighten", "Straighten", "straighten", "degrees", -15, 15, 0.1),
        *(("anticlockwise", "clockwise"), "°", 2),
    ),
    _Numbered(
        *("Geometry", "upright_vertical", "Vertical perspective", "upright", "vertical", -20, 20, 0.1),
        *(("widen the bottom", "widen the top"), "°", 2),
    ),
    _Numbered(
        *("Geometry", "upright_horizontal", "Horizontal perspective", "upright", "horizontal", -20, 20, 0.1),
        *(("widen the left", "widen the right"), "°", 2),
    ),
    *(
        control
        for part, label in (("subject", "Subject"), ("background", "Background"), ("sky", "Sky"))
        for control in (
            _Numbered(
                *("Parts of the picture", f"{part}_ev", f"{label}: light", part, "ev", -2, 2, 0.05),
                *(("darker", "brighter"), "EV", 2),
                is_masked=True,
            ),
            _Numbered(
                *("Parts of the picture", f"{part}_saturation", f"{label}: colour", part, "saturation", -100, 100, 1),
                ("grey", "vivid"),
                is_masked=True,
            ),
        )
    ),
    _Chosen(
        *("Light", "highlight", "Blown highlights", "decode", "highlight"),
        (("clip", "White"), ("blend", "Keep their brightness"), ("reconstruct", "Rebuild their colour")),
        is_given=True,
    ),
    _Chosen(
        *("Detail", "demosaic", "RAW detail", "decode", "demosaic"),
        (("best", "Best"), ("fast", "Fast")),
        is_given=True,
    ),
    *(
        _Numbered(
            *("Lens", f"lens_{name}", label, "lens", parameter, 0, 100, 1, ("as taken", "undone"), "%"),
            is_of_lens=True,
        )
        for name, label, parameter in (
            ("distortion", "Distortion", "distortion"),
            ("fringes", "Colour fringes", "chromatic_aberration"),
            ("vignetting", "Dark corners", "vignetting"),
        )
    ),
    _Numbered("Detail", "denoise_luma", "Grain removal", "denoise", "luma", 0, 100, 1, ("none", "strong")),
    _Numbered("Detail", "denoise_chroma", "Colour noise removal", "denoise", "chroma", 0, 100, 1, ("none", "strong")),
    _Numbered("Detail", "sharpen", "Sharpness", "sharpen", "amount", 0, 100, 1, ("none", "strong")),
    _Numbered(
        *("Detail", "sharpen_radius", "Radius of sharpening", "sharpen", "radius", 0.3, 3, 0.1, ("fine", "coarse")),
        *("px", 1),
        neutral=1.0,
        counts=False,
    ),
    _Numbered(
        *("Detail", "sharpen_threshold", "Noise not to sharpen", "sharpen", "threshold", 0, 40, 1, ("none", "much")),
        neutral=4.0,
        counts=False,
    ),
    _Chosen("File", "output_format", "Format", "output", "format", _FORMATS, forgets=("quality",)),
    _Chosen("File", "output_quality", "Quality", "output", "quality", _QUALITIES, shown=_quality),
    _Chosen("File", "output_edge", "Size", "output", "longest_edge", _EDGES),
    _Chosen("File", "output_profile", "Colour space", "output", "profile", _PROFILES),
)


def warmth_to_kelvin(warmth: float) -> float:
    """Colour temperature of a slider position: -100 (cooler) to 100 (warmer), even in mired, 0 is 6500 K."""
    return round(1e6 / (_NEUTRAL_MIRED - _STEP_MIRED * warmth))


def kelvin_to_warmth(kelvin: float) -> float:
    """Slider position of a colour temperature, held to the slider's ends."""
    return max(-100.0, min(100.0, round((_NEUTRAL_MIRED - 1e6 / kelvin) / _STEP_MIRED, 1)))


def gains_to_warmth(gains: Sequence[float]) -> float:
    """The slider position that shifts red against blue as the gains do, held to the slider's ends."""
    warmth = math.log(float(gains[0]) / float(gains[2])) / math.log(_RATIO)
    return float(max(-100, min(100, round(warmth))))


def parameters_of(operations: Operations, name: str) -> dict[str, Any]:
    """Parameters of one operation, or nothing where the recipe has none."""
    return next((dict(item["parameters"]) for item in operations if item["type"] == name), {})


def warmth_of(operations: Operations) -> float:
    """Slider position of the recipe's white balance."""
    values = parameters_of(operations, "white_balance")
    if values.get("gains"):
        return gains_to_warmth(values["gains"])
    return kelvin_to_warmth(float(values["temperature"])) if values.get("temperature") else 0.0


def groups(operations: Operations, luts: Luts = (), proposed: Proposed = _NOTHING) -> list[Group]:
    """All controls, standing where the recipe stands; `luts` are those that can be chosen."""
    found: dict[str, list[Slider | Choice]] = {name: [] for name in _GROUPS}
    found["Colour"].append(
        Slider("temperature", "Temperature", -100, 100, 1, round(warmth_of(operations)), "", ("cooler", "warmer"))
    )
    lens = undoable((parameters_of(operations, "lens") or proposed.get("lens", {})).get("profile", {}))
    for one in _CONTROLS:
        is_lens = isinstance(one, _Numbered) and one.is_of_lens
        is_given = not _is_given(one) or bool(parameters_of(operations, one.operation))
        if isinstance(one, _Numbered) and one.is_masked:
            is_given = "mask" in (parameters_of(operations, one.operation) or proposed.get(one.operation, {}))
        if is_given and (not is_lens or one.parameter in lens):
            found[one.group].append(_shown(one, operations))
    found["Colour"] += _lut_controls(operations, luts)
    return [Group(name, _GROUPS[name], tuple(controls)) for name, controls in found.items() if controls]


def sliders(operations: Operations, luts: Luts = (), proposed: Proposed = _NOTHING) -> list[Slider]:
    """The sliders of all groups."""
    return [one for group in groups(operations, luts, proposed) for one in group.controls if isinstance(one, Slider)]


def choices(operations: Operations, luts: Luts = ()) -> list[Choice]:
    """The lists of all groups."""
    return [one for group in groups(operations, luts) for one in group.controls if isinstance(one, Choice)]


def _shown(one: _Numbered | _Chosen, operations: Operations) -> Slider | Choice:
    now = parameters_of(operations, one.operation)
    if isinstance(one, _Chosen):
        chosen = one.standing(now)
        # A recipe may say what the list does not offer.
        options = one.options if chosen in dict(one.options) else (*one.options, (chosen, chosen))
        return Choice(one.name, one.label, options, chosen)
    value = round(_standing(one, now), one.digits)
    return Slider(one.name, one.label, one.low, one.high, one.step, value, one.unit, one.ends)


def crop_of(operations: Operations) -> dict[str, float]:
    """The recipe's crop; the whole frame where there is none."""
    return parameters_of(operations, "crop") or {"x": 0.0, "y": 0.0, "width": 1.0, "height": 1.0}


def orientation_of(operations: Operations) -> Orientation:
    """How the recipe lays the picture."""
    return Orientation.of(parameters_of(operations, "orientation"))


def patch_of_form(
    form: Mapping[str, Any], operations: Operations, luts: Luts = (), proposed: Proposed = _NOTHING
) -> dict[str, Any]:
    """The overrides that the form asks for, compared with the recipe it was made from.

    What was not moved changes nothing; an operation whose every number is moved to its middle is switched off.
    Where the picture is turned or mirrored, everything in the form speaks of it as it lies then.

    Raises
    ------
    web.HTTPBadRequest
        If a value is no number, or none of those that can be chosen.
    """
    patch: dict[str, Any] = _orientation_patch(form, operations)
    if patch:
        way = orientation_of(operations).to(Orientation.of(patch["orientation"]))
        operations = [
            {"type": item["type"], "parameters": turned(item["type"], item["parameters"], way)} for item in operations
        ]
    moved = _moved(form, operations, luts, proposed)
    for name in dict.fromkeys(one.operation for one in _CONTROLS if one.name in moved):
        own = [one for one in _CONTROLS if one.operation == name]
        values = parameters_of(operations, name) or _begun(own, proposed)
        for one in own:
            if isinstance(one, _Chosen) and one.name in moved:
                values = {key: value for key, value in values.items() if key not in one.forgets}
        values |= {one.parameter: moved[one.name] for one in own if one.name in moved}
        values = {key: value for key, value in values.items() if value != ""}
        patch[name] = values if any(_asks(one, values) or _is_given(one) for one in own) else None
    if "temperature" in moved:
        patch["white_balance"] = _white_balance(moved["temperature"], operations)
    if "lut" in moved or "lut_strength" in moved:
        patch["lut"] = _lut(moved, operations, luts)
    patch |= _crop_patch(form, operations)
    return patch


def _begun(own: Sequence[_Numbered | _Chosen], proposed: Proposed) -> dict[str, Any]:
    """What an operation starts from that the recipe does not have: what was proposed, asking for nothing yet."""
    numbers = [one for one in own if isinstance(one, _Numbered) and (one.is_of_lens or one.is_masked)]
    begun = dict(proposed.get(own[0].operation, {})) if numbers else {}
    return begun | {one.parameter: one.neutral for one in numbers}


def _moved(form: Mapping[str, Any], operations: Operations, luts: Luts, proposed: Proposed) -> dict[str, Any]:
    """What stands elsewhere than in the recipe, by the names of the form."""
    moved: dict[str, Any] = {}
    for slider in sliders(operations, luts, proposed):
        if form.get(slider.name) not in (None, ""):
            value = _number(form, slider.name)
            if abs(value - slider.value) > 1e-6:
                moved[slider.name] = value
    for choice in choices(operations, luts):
        wanted = form.get(choice.name)
        if wanted is None or wanted == choice.value:
            continue
        if wanted not in dict(choice.options):
            raise web.HTTPBadRequest(text=f"{choice.name}: one of {', '.join(dict(choice.options))}")
        moved[choice.name] = wanted
    return moved


def _asks(one: _Numbered | _Chosen, values: Mapping[str, Any]) -> bool:
    """Whether a parameter asks for anything."""
    if isinstance(one, _Chosen):
        return one.standing(values) != one.options[0][0]
    return one.counts and bool(_standing(one, values) != one.neutral)


def _is_given(one: _Numbered | _Chosen) -> bool:
    return isinstance(one, _Chosen) and one.is_given


def _standing(one: _Numbered, values: Mapping[str, Any]) -> float:
    """Where a number stands; 0 is a number too."""
    value = values.get(one.parameter)
    return one.neutral if value is None else float(value)


def _lut_controls(operations: Operations, luts: Luts) -> list[Slider | Choice]:
    """The LUT of the recipe and its strength; nothing where there is none to choose from."""
    now = parameters_of(operations, "lut")
    options = dict(luts)
    if now:
        options.setdefault(now["sha256"], now["name"] or "LUT")
    if not options:
        return []
    strength = float(now.get("strength", 100.0))
    return [
        Choice("lut", "LUT", (("", "None"), *options.items()), now.get("sha256", "")),
        Slider("lut_strength", "Strength of the LUT", 0, 100, 1, round(strength), "%", ("none", "full")),
    ]


def _lut(moved: Mapping[str, Any], operations: Operations, luts: Luts) -> dict[str, Any] | None:
    now = parameters_of(operations, "lut")
    sha256 = moved.get("lut", now.get("sha256"))
    strength = moved.get("lut_strength", now.get("strength", 100.0))
    if not sha256 or not strength:
        return None
    name = dict(luts).get(sha256) or now.get("name", "")
    return {"sha256": sha256, "name": name, "strength": strength}


def _white_balance(warmth: float, operations: Operations) -> dict[str, Any] | None:
    before = parameters_of(operations, "white_balance")
    if before.get("gains"):
        # Gains stay gains: what they do to green is not in the slider's hands.
        half = _RATIO ** ((warmth - gains_to_warmth(before["gains"])) / 2)
        red, green, blue = (float(gain) for gain in before["gains"])
        changed = [round(max(0.25, min(4.0, gain)), 4) for gain in (red * half, green, blue / half)]
        return {**before, "gains": changed}
    tint = before.get("tint") or 0.0
    if not warmth and not tint:
        return None
    return {"temperature": warmth_to_kelvin(warmth), "tint": tint}


def _orientation_patch(form: Mapping[str, Any], operations: Operations) -> dict[str, Any]:
    if form.get("quarter_turns") in (None, ""):
        return {}
    lies = Orientation(round(_number(form, "quarter_turns")) % 4, form.get("mirror") == "1")
    if lies == orientation_of(operations):
        return {}
    return {"orientation": None if lies == Orientation() else lies._asdict()}


def _crop_patch(form: Mapping[str, Any], operations: Operations) -> dict[str, Any]:
    if form.get("frame") == "whole":
        return {"crop": None}
    if form.get("crop_x") in (None, ""):
        return {}
    crop = {name: round(_number(form, f"crop_{name}"), 5) for name in ("x", "y", "width", "height")}
    crop["width"] = min(crop["width"], round(1 - crop["x"], 5))
    crop["height"] = min(crop["height"], round(1 - crop["y"], 5))
    before = crop_of(operations)
    if all(abs(crop[name] - before[name]) < 1e-4 for name in crop):
        return {}
    return {"crop": None if crop["width"] > 0.9999 and crop["height"] > 0.9999 else crop}


def _number(form: Mapping[str, Any], name: str) -> float:
    try:
        value = float(str(form[name]))
    except (KeyError, ValueError):
        raise web.HTTPBadRequest(text=f"{name}: a number") from None
    if not abs(value) < 1e6:  # also false for NaN
        raise web.HTTPBadRequest(text=f"{name}: a number")
    return value
