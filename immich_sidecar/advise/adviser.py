"""From an analysis to advice, and from advice to a recipe."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from immich_sidecar.advise import decode, detail, straighten, tone, white_balance
from immich_sidecar.advise.suggestion import APPLY_AT, AUTO_APPROVE_AT, Advice, Suggestion
from immich_sidecar.analysis.analysis import Analysis, Facts
from immich_sidecar.analysis.measure.kind import Kind
from immich_sidecar.analysis.measure.look import LookSource
from immich_sidecar.recipe.recipe import Recipe, new_recipe, with_overrides

__all__ = [
    "APPLY_AT",
    "AUTO_APPROVE_AT",
    "Advice",
    "Suggestion",
    "advise",
    "auto_approvable",
    "develop_anyway",
    "recipe_for",
]

_KIND_REASONS = {
    Kind.SCREENSHOT: "a screenshot: shown as it was",
    Kind.DOCUMENT: "a document or scan: kept as it is",
    Kind.GRAPHIC: "a drawing or graphic, not a photo",
}


def advise(analysis: Analysis, *, apply_at: float = APPLY_AT) -> Advice:
    """Suggestions for a photo, each marked as applied or not.

    RAW files are always developed. Everything else is left alone, with a reason, where no suggestion reaches
    `apply_at`, where the picture is no photo, and where a rendered copy would lose what the file carries beside
    its pixels.
    """
    facts = analysis.facts
    if not facts.is_raw:
        reason = _untouchable(facts) or _KIND_REASONS.get(analysis.kind)
        if reason:
            return Advice(left_alone=reason)
    suggestions = tuple(
        s.model_copy(update={"applied": s.operation == "decode" or s.confidence >= apply_at})
        for s in _suggestions(analysis)
    )
    if any(s.applied for s in suggestions):
        return Advice(suggestions=suggestions)
    return Advice(suggestions=suggestions, left_alone=_nothing_to_gain(analysis, suggestions))


def recipe_for(
    original_hash: str,
    advice: Advice,
    analysis: Analysis,
    *,
    at: datetime,
    overrides: Mapping[str, Mapping[str, Any] | None] | None = None,
    recipe_id: str | None = None,
) -> Recipe:
    """The recipe of an advice.

    Parameters
    ----------
    original_hash
        SHA-256 of the original.
    overrides
        What the person changed earlier; kept.
    """
    from immich_sidecar.develop.engine import ENGINE_VERSION

    return new_recipe(
        original_hash,
        [s.model_dump(mode="json") for s in advice.suggestions],
        overrides or {},
        at=at,
        recipe_id=recipe_id,
        ai_metadata={
            "models": {},
            "engine": ENGINE_VERSION,
            "kind": analysis.kind.value,
            "left_alone": advice.left_alone,
            "size": [analysis.facts.width, analysis.facts.height],
        },
    )


def auto_approvable(recipe: Recipe) -> bool:
    """Whether every applied step is sure enough for approval without a person; `decode` counts as sure."""
    confidence = {
        s["operation"]: 1.0 if s["operation"] == "decode" else float(s["confidence"])
        for s in recipe.ai_metadata.get("suggestions", ())
        if s["applied"]
    }
    steps = [confidence.get(operation.type, 0.0) for operation in recipe.operations]
    return bool(steps) and min(steps) >= AUTO_APPROVE_AT


def develop_anyway(recipe: Recipe, *, at: datetime) -> Recipe:
    """The recipe with every suggestion but `decode` switched off, for a photo that was left alone."""
    names = {str(s["operation"]) for s in recipe.ai_metadata.get("suggestions", ())} - {"decode"}
    return with_overrides(recipe, {**recipe.user_overrides, **dict.fromkeys(sorted(names))}, at=at)


def _suggestions(analysis: Analysis) -> list[Suggestion]:
    """All suggestions, in the order in which they are carried out."""
    light = tone.suggest(analysis)
    if analysis.look is not None and analysis.look.source is LookSource.NEUTRAL:
        # The neutral look has chosen its own brightness.
        light = []
    found = [
        decode.suggest(analysis),
        straighten.suggest(analysis),
        white_balance.suggest(analysis),
        *light,
        detail.suggest(analysis),
    ]
    return [s for s in found if s is not None]


def _untouchable(facts: Facts) -> str | None:
    """Why a rendered copy would be poorer than the file, whatever its pixels are like."""
    if facts.has_gain_map:
        return "carries an HDR gain map, which a developed copy would lose"
    if facts.is_motion_photo:
        return "a motion photo, whose video a developed copy would lose"
    if facts.is_panorama:
        return "a panorama, which has to stay as it was stitched"
    return None


def _nothing_to_gain(analysis: Analysis, suggestions: tuple[Suggestion, ...]) -> str:
    """Why nothing is applied, no more certain than the measurements are."""
    if suggestions:
        best = max(suggestions, key=lambda s: s.confidence)
        return f"nothing is sure enough to be done; closest: {best.reason} ({best.confidence:.0%} sure)"
    if analysis.exposure.darkness > 0.6:
        return "mostly dark against bright parts, as night and low light are meant to be"
    if analysis.tilt.degrees is not None and abs(analysis.tilt.degrees) < 0.5 and analysis.exposure.veil < 40:
        return "well exposed, level and neutral"
    return "well exposed, with no lean or cast to correct"
