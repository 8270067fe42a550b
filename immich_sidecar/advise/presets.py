"""Presets: which of the adviser's suggestions become part of a recipe, and which look is put on top of them.

A preset never says how bright, level or neutral a photo is to be: that is for the photo's own measurements to say.
It chooses among the suggestions, and its look (`recipe.look`) is added to whatever they make of the photo.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from immich_sidecar.recipe.look import USUAL, Look

#: How presets that people made are named: `own-` and the number of their row.
_OWN = re.compile(r"own-([1-9][0-9]{0,17})\Z")


#: What is no advice, and so no step to choose: RAW needs the first, and the second is how the file is written.
NO_ADVICE = frozenset({"decode", "output"})


class Preset(StrEnum):
    """The presets that everybody has."""

    #: Everything that is sure enough.
    NATURAL = "natural"
    #: The camera's own rendering.
    AS_CAMERA = "as_camera"
    #: More contrast and colour.
    VIVID = "vivid"
    #: Soft contrast and a little warmth, for people.
    PORTRAIT = "portrait"
    #: Without colour.
    BLACK_AND_WHITE = "black_and_white"
    #: Faded blacks, soft highlights, calm and warm colours.
    FILM = "film"
    #: Level, and nothing else.
    STRAIGHTEN = "straighten"
    #: Brightness, tone and colour; the frame and the detail stay.
    LIGHT = "light"


@dataclass(frozen=True)
class Meaning:
    """What a preset does."""

    #: What pages call it.
    label: str
    #: What it does, as a sentence.
    words: str
    #: Types of the suggestions that it applies; None: all that are sure enough. A RAW file is developed in any case.
    operations: frozenset[str] | None = None
    #: The same for RAW files, where it is another choice.
    raw_operations: frozenset[str] | None = None
    #: What is put on top, at 100 %.
    look: Look = field(default_factory=dict)

    @property
    def on_photos(self) -> bool:
        """Whether it is one for a single photo that a person looks at: not one that only chooses among suggestions."""
        return self.operations is None


MEANINGS: Mapping[Preset, Meaning] = MappingProxyType(
    {
        Preset.NATURAL: Meaning("Natural", "Applies every step that is sure enough."),
        Preset.AS_CAMERA: Meaning(
            "As camera",
            "Shows a RAW file as its camera does, and nothing more. Other pictures get no more than they need.",
            raw_operations=frozenset({"orientation", "lens", "denoise", "sharpen"}),
        ),
        Preset.VIVID: Meaning(
            "Vivid",
            "Stronger contrast and fuller colours, on top of what the photo needs.",
            look={
                "tone": {"contrast": 18.0, "black": -4.0, "white": 4.0},
                "saturation": {"saturation": 6.0, "vibrance": 32.0},
            },
        ),
        Preset.PORTRAIT: Meaning(
            "Soft portrait",
            "Softer contrast, open shadows and a little warmth, on top of what the photo needs.",
            look={
                "tone": {"contrast": -12.0, "shadows": 14.0, "highlights": -12.0},
                "white_balance": {"temperature": 6700.0, "tint": 1.0},
                "saturation": {"saturation": -4.0, "vibrance": 8.0},
            },
        ),
        Preset.BLACK_AND_WHITE: Meaning(
            "Black and white",
            "Without colour, with more contrast, on top of what the photo needs.",
            look={
                "tone": {"contrast": 14.0},
                "monochrome": {"amount": 100.0, "red": 36.0, "green": 50.0, "blue": 14.0},
            },
        ),
        Preset.FILM: Meaning(
            "Film",
            "Faded blacks, soft highlights and calm, warm colours, on top of what the photo needs.",
            look={
                "tone": {"contrast": 12.0, "black": 32.0, "white": -12.0, "highlights": -12.0},
                "white_balance": {"temperature": 6800.0, "tint": -2.0},
                "saturation": {"saturation": -16.0, "vibrance": 6.0},
            },
        ),
        Preset.STRAIGHTEN: Meaning(
            "Straighten only",
            "Levels what leans. Every other step is offered and not applied.",
            frozenset({"straighten", "crop"}),
        ),
        Preset.LIGHT: Meaning(
            "Light and colour",
            "Corrects brightness, tone and white balance. Leaves the frame and the grain as they are.",
            frozenset({"exposure", "tone", "white_balance", "saturation"}),
        ),
    }
)


@dataclass(frozen=True)
class Chosen:
    """A preset as it is given to a photo: one of everybody's or of a person's own, with a strength."""

    #: The word for it: that of a `Preset`, or `own-` and a number.
    name: str = Preset.NATURAL.value
    label: str = MEANINGS[Preset.NATURAL].label
    #: Of the look, in percent, 0 to 200.
    strength: float = USUAL
    #: At 100 %.
    look: Look = field(default_factory=dict)

    @property
    def meaning(self) -> Meaning:
        """Which suggestions it applies; a person's own applies what `natural` does."""
        return MEANINGS[preset_of(self.name)]

    @property
    def has_look(self) -> bool:
        """Whether anything is put on top."""
        return bool(self.look) and self.strength > 0

    def noted(self) -> dict[str, Any]:
        """What a recipe keeps of it in `ai_metadata`: `preset` and `look`; nothing of the usual one."""
        noted: dict[str, Any] = {} if self.name == Preset.NATURAL else {"preset": self.name}
        if self.look:
            operations = {name: dict(parameters) for name, parameters in self.look.items()}
            noted["look"] = {"name": self.label, "strength": self.strength, "operations": operations}
        return noted


def chosen(name: str | None, strength: float | None = None) -> Chosen:
    """One of everybody's presets by its stored name, with a strength; see `preset_of`.

    Without a look there is nothing to be strong, and the strength counts as 100 %.
    """
    preset = preset_of(name)
    meaning = MEANINGS[preset]
    return Chosen(
        preset.value, meaning.label, USUAL if strength is None or not meaning.look else strength, meaning.look
    )


def preset_of(name: str | None) -> Preset:
    """The preset of a name that was stored; `natural` where there is none, or none that is known any more."""
    try:
        return Preset(name or Preset.NATURAL)
    except ValueError:
        return Preset.NATURAL


def own_number(name: str | None) -> int | None:
    """The number in the name of a preset that a person made; None where it is no such name."""
    found = _OWN.match(name or "")
    return int(found[1]) if found else None


def is_builtin(name: str) -> bool:
    """Whether it is one of everybody's presets."""
    return name in tuple(Preset)


def is_preset_name(name: str) -> bool:
    """Whether the text can name a preset, whether or not there is such a one of a person's own."""
    return is_builtin(name) or own_number(name) is not None


def applies(preset: Preset, operation: str, *, is_raw: bool = False) -> bool:
    """Whether a preset lets a suggestion of that type be applied; what is no advice always is."""
    meaning = MEANINGS[preset]
    wanted = meaning.raw_operations if is_raw and meaning.raw_operations is not None else meaning.operations
    return operation in NO_ADVICE or wanted is None or operation in wanted
