"""Giving a recipe that is there already another preset."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from immich_sidecar.advise.presets import MEANINGS, NO_ADVICE, Chosen, applies, preset_of
from immich_sidecar.advise.suggestion import APPLY_AT
from immich_sidecar.recipe.look import USUAL, Look, beyond
from immich_sidecar.recipe.recipe import Recipe, with_look


def with_preset(recipe: Recipe, preset: Chosen, *, is_raw: bool, at: datetime) -> Recipe:
    """The recipe with the steps that a preset applies and its look on top; what the person changed stays.

    What was measured and proposed is what it was: nothing is looked at anew.
    """
    word = preset_of(preset.name)
    # What its owner mostly switches off stays off.
    disliked = {name for name, part in (recipe.ai_metadata.get("taste") or {}).items() if part == 0.0}
    suggestions = [
        {
            **s,
            "applied": bool(s.get("applied"))
            if s["operation"] in NO_ADVICE
            else s["operation"] not in disliked
            and float(s["confidence"]) >= APPLY_AT
            and applies(word, s["operation"], is_raw=is_raw),
        }
        for s in recipe.ai_metadata.get("suggestions", ())
    ]
    noted = preset.noted()
    return with_look(recipe, suggestions, preset=noted.get("preset"), look=noted.get("look"), at=at)


def preset_in(recipe: Recipe) -> Chosen:
    """The preset that a recipe was made with, as the recipe itself tells: it needs nobody to remember it."""
    return preset_noted(recipe.ai_metadata)


def preset_noted(metadata: Mapping[str, Any]) -> Chosen:
    """The same, from the `ai_metadata` of a recipe."""
    name, look = metadata.get("preset"), metadata.get("look")
    word = name if isinstance(name, str) else preset_of(None).value
    if not isinstance(look, Mapping):
        return Chosen(word, MEANINGS[preset_of(word)].label)
    return Chosen(word, str(look.get("name", word)), float(look.get("strength", USUAL)), look.get("operations") or {})


def look_of(recipe: Recipe) -> Look:
    """What the recipe does beyond what was proposed and applied, as a look for other photos."""
    proposed = {s["operation"]: s["parameters"] for s in recipe.ai_metadata.get("suggestions", ()) if s.get("applied")}
    return beyond({o.type: o.parameters for o in recipe.operations}, proposed)
