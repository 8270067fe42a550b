"""From an analysis to advice, and from advice to a recipe."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from immich_sidecar.advise import (
    crop,
    decode,
    detail,
    lens,
    parts,
    raw_white,
    straighten,
    tone,
    tone_table,
    upright,
    white_balance,
)
from immich_sidecar.advise.presets import NO_ADVICE, Chosen, Preset, applies, chosen, preset_of
from immich_sidecar.advise.suggestion import APPLY_AT, AUTO_APPROVE_AT, Advice, Suggestion
from immich_sidecar.advise.taste import STRENGTHS, Taste, measurements, scaled, total
from immich_sidecar.analysis.analysis import Analysis, Facts
from immich_sidecar.analysis.measure.kind import Kind
from immich_sidecar.analysis.measure.look import LookSource
from immich_sidecar.recipe.operations import operation_types, plan, validate
from immich_sidecar.recipe.recipe import Recipe, Source, new_recipe, with_overrides

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
    Kind.BLANK: "there is nothing to be seen in it",
}

#: Steps that are offered for photos to which nothing is wrong.
_OF_TASTE = frozenset({"lens", "sharpen", "upright", "crop", "background", "sky", "lut"})


def advise(
    analysis: Analysis,
    *,
    apply_at: float = APPLY_AT,
    preset: Preset | Chosen = Preset.NATURAL,
    allowed: Collection[str] = (),
    taste: Taste | None = None,
    embedding: Sequence[float] | None = None,
) -> Advice:
    """Suggestions for a photo, each marked as applied or not.

    RAW files are always developed. Everything else is left alone, with a reason, where no suggestion reaches
    `apply_at` and the preset has no look, where the picture is no photo, and where a rendered copy would lose what
    the file carries beside its pixels.

    Parameters
    ----------
    preset
        Which suggestions may be applied, the others being offered; and whether a look comes on top of them.
    allowed
        Kinds that its owner wants developed all the same: `screenshots`, `live_photos`, `panoramas`.
    taste
        What its owner likes; None: nothing is known.
    embedding
        What the photo shows, for the taste.
    """
    facts = analysis.facts
    if not facts.is_raw:
        kind = None if "screenshots" in allowed and analysis.kind is Kind.SCREENSHOT else analysis.kind
        reason = _untouchable(facts, allowed) or (_KIND_REASONS.get(kind) if kind else None)
        if reason:
            return Advice(left_alone=reason)
    wanted = preset if isinstance(preset, Chosen) else chosen(preset)
    word = preset_of(wanted.name)

    def marked(s: Suggestion) -> Suggestion:
        wanted = s.confidence >= apply_at and applies(word, s.operation, is_raw=facts.is_raw)
        if facts.is_bracketed and s.operation in _OF_LIGHT:
            # Lighter or darker than the others on purpose: corrected, a bracket would be three times the same.
            wanted = False
        return s.model_copy(update={"applied": s.operation == "decode" or wanted})

    liked, tasted = _as_liked([marked(s) for s in _suggestions(analysis)], analysis, taste, embedding)
    suggestions = _with_crop(analysis, liked, marked)
    if any(s.applied for s in suggestions) or wanted.has_look:
        return Advice(suggestions=suggestions, taste=tasted)
    if any(s.confidence >= apply_at for s in suggestions):
        reason = f"nothing that the preset “{wanted.label}” does is needed; other steps are offered"
        return Advice(suggestions=suggestions, left_alone=reason, taste=tasted)
    return Advice(suggestions=suggestions, left_alone=_nothing_to_gain(analysis, suggestions), taste=tasted)


def recipe_for(
    original_hash: str,
    advice: Advice,
    analysis: Analysis,
    *,
    at: datetime,
    overrides: Mapping[str, Mapping[str, Any] | None] | None = None,
    recipe_id: str | None = None,
    preset: Preset | Chosen = Preset.NATURAL,
    output: str | None = None,
) -> Recipe:
    """The recipe of an advice.

    Parameters
    ----------
    original_hash
        SHA-256 of the original.
    overrides
        What the person changed earlier; kept.
    preset
        What the advice was made with; noted where it is not the usual one, and its look is put on top.
    output
        Format of the file that all versions get; None: JPEG, which no step asks for.
    """
    from immich_sidecar.develop.engine import ENGINE_VERSION

    if analysis.facts.has_gain_map and output != "small":
        # Only a JPEG keeps it.
        output = None
    suggestions = [s.model_dump(mode="json") for s in (*advice.suggestions, *_output(output))]
    return new_recipe(
        original_hash,
        suggestions,
        overrides or {},
        at=at,
        recipe_id=recipe_id,
        ai_metadata={
            "models": {},
            "engine": ENGINE_VERSION,
            "kind": analysis.kind.value,
            "left_alone": advice.left_alone,
            "size": [analysis.facts.width, analysis.facts.height],
            **({"taste": dict(advice.taste)} if advice.taste else {}),
            **({"masks": known} if (known := parts.masks(analysis.findings, analysis.sky)) else {}),
            **({"focal_length_35mm": analysis.focal_length_35mm} if analysis.focal_length_35mm else {}),
            **(preset if isinstance(preset, Chosen) else chosen(preset)).noted(),
        },
    )


def auto_approvable(recipe: Recipe) -> bool:
    """Whether every applied step is sure enough for approval without a person.

    `decode` and `output` count as sure, and so does what a look adds: that was asked for.
    """
    confidence = {
        s["operation"]: 1.0 if s["operation"] in NO_ADVICE else float(s["confidence"])
        for s in recipe.ai_metadata.get("suggestions", ())
        if s["applied"]
    }
    steps = [
        confidence.get(operation.type, 1.0 if operation.source is Source.PRESET else 0.0)
        for operation in recipe.operations
        if operation.type != "output"
    ]
    return bool(steps) and min(steps) >= AUTO_APPROVE_AT


def develop_anyway(recipe: Recipe, *, at: datetime) -> Recipe:
    """The recipe with every suggestion but `decode` and `output` switched off, for a photo that was left alone."""
    names = {str(s["operation"]) for s in recipe.ai_metadata.get("suggestions", ())} - NO_ADVICE
    return with_overrides(recipe, {**recipe.user_overrides, **dict.fromkeys(sorted(names))}, at=at)


def _output(format_name: str | None) -> tuple[Suggestion, ...]:
    """The step that makes another file than the usual JPEG."""
    if format_name is None:
        return ()
    parameters = validate("output", {"format": format_name})
    reason = "the format that was set for all versions"
    return (Suggestion(operation="output", parameters=parameters, confidence=1.0, reason=reason, applied=True),)


def _suggestions(analysis: Analysis) -> list[Suggestion]:
    """All suggestions, in the order in which they are carried out."""
    light = tone.suggest(analysis)
    if analysis.look is not None and analysis.look.source is LookSource.NEUTRAL:
        # The neutral look has chosen its own brightness.
        light = []
    elif analysis.look is not None:
        light = [decode.beside_the_camera(s) if s.operation == "exposure" else s for s in light]
    # Where a camera's colours are known, they are better evidence than the finished picture.
    of_camera = analysis.look is not None and analysis.look.colour_matrix is not None
    masked = parts.suggest(analysis, parts.masks(analysis.findings, analysis.sky))
    if any(s.operation == "subject" for s in masked):
        # What lies in the shade is lifted where it is, not with all other shadows.
        light = [s for s in light if s.operation != "tone" or not s.parameters.get("shadows")]
    found = [
        decode.suggest(analysis),
        lens.suggest(analysis),
        upright.suggest(analysis),
        straighten.suggest(analysis),
        (raw_white if of_camera else white_balance).suggest(analysis),
        *light,
        *masked,
    ]
    corrections = [s for s in found if s is not None]
    table = tone_table.suggest(analysis, corrections)
    return [*corrections, *([table] if table is not None else []), *detail.suggest(analysis)]


def _as_liked(
    suggestions: list[Suggestion], analysis: Analysis, taste: Taste | None, embedding: Sequence[float] | None
) -> tuple[list[Suggestion], dict[str, float]]:
    """The suggestions as strong as the photo's owner likes them, and the part that is left of each that changed."""
    if taste is None or taste.is_neutral:
        return suggestions, {}
    measures = measurements(analysis.model_dump(mode="json", include={"exposure", "noise", "findings"}))
    left = taste.left(total((s.operation, s.parameters) for s in suggestions if s.applied))
    made, changed = [], {}
    for s in suggestions:
        part = 1.0
        if s.applied and s.operation in STRENGTHS:
            part = taste.factor(s.operation, measures, embedding)
            part = min(left, part) if left < 1.0 else part
        if part == 1.0:
            made.append(s)
            continue
        weaker = scaled(s.operation, s.parameters, part)
        changed[s.operation] = part if weaker is not None else 0.0
        update: dict[str, Any] = {"applied": False, "reason": f"{s.reason}; you mostly switch this off"}
        if weaker is not None:
            update = {"parameters": weaker, "reason": f"{s.reason}; {part:.0%} of it, as you like it"}
        made.append(s.model_copy(update=update))
    return made, changed


def _with_crop(
    analysis: Analysis, suggestions: list[Suggestion], marked: Callable[[Suggestion], Suggestion]
) -> tuple[Suggestion, ...]:
    """The suggestions with a crop of the frame that those of them leave which are applied."""
    size = (analysis.facts.width, analysis.facts.height)
    before = ("orientation", "upright", "straighten")
    way = plan(_Step(s.operation, s.parameters) for s in suggestions if s.applied and s.operation in before).geometry
    found = crop.suggest(analysis.findings, analysis.glance, size, way)
    if found is None:
        return tuple(suggestions)
    order = list(operation_types())
    return tuple(sorted([*suggestions, marked(found)], key=lambda s: order.index(s.operation)))


class _Step(NamedTuple):
    """What a plan is made of."""

    type: str
    parameters: Mapping[str, Any]


#: What would make the photos of a bracket alike.
_OF_LIGHT = frozenset({"exposure", "tone"})


def _untouchable(facts: Facts, allowed: Collection[str]) -> str | None:
    """Why a rendered copy would be poorer than the file, whatever its pixels are like."""
    if facts.has_gain_map and not facts.keeps_gain_map:
        words = f"an HDR gain map {facts.gain_map_problem}".strip()
        return f"carries {words}, which a developed copy would lose"
    if facts.is_motion_photo and "live_photos" not in allowed:
        return "a motion photo, whose video a developed copy would lose"
    if facts.is_panorama and "panoramas" not in allowed:
        return "a panorama, which has to stay as it was stitched"
    if facts.is_bracketed:
        return "one of an exposure bracket, lighter or darker on purpose; the others belong to it"
    return None


def _nothing_to_gain(analysis: Analysis, suggestions: tuple[Suggestion, ...]) -> str:
    """Why nothing is applied, no more certain than the measurements are."""
    # A lens is offered for every photo whose lens is known, and some steps are a matter of taste: that says nothing
    # of the photo.
    suggestions = tuple(s for s in suggestions if s.operation not in _OF_TASTE)
    if suggestions:
        best = max(suggestions, key=lambda s: s.confidence)
        return f"nothing is sure enough to be done; closest: {best.reason} ({best.confidence:.0%} sure)"
    if analysis.exposure.darkness > 0.6:
        return "mostly dark against bright parts, as night and low light are meant to be"
    tilt = analysis.tilt
    is_level = tilt.degrees is not None and abs(tilt.degrees) < 0.5 and tilt.confidence > 0.5
    if is_level and analysis.exposure.veil < 40:
        return "well exposed, level and neutral"
    return "well exposed, with no lean or cast to correct"
