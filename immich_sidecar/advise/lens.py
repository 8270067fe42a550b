"""Undoing what the lens did, where it is known which lens it was."""

from immich_sidecar.advise.suggestion import Suggestion
from immich_sidecar.analysis.analysis import Analysis
from immich_sidecar.analysis.measure.lens import Lens
from immich_sidecar.recipe.operations.lens import undoable

#: Cameras correct their own JPEGs as they think best, above all those whose lens is built in; no file says whether.
_IN_PICTURE, _IN_PICTURE_BUILT_IN = 0.35, 0.2
#: Bends and stops that are too little to be worth words.
_LEAST_BEND, _LEAST_STOPS = 0.002, 0.1


def suggest(analysis: Analysis) -> Suggestion | None:
    """The lens's profile: as sure as the lens is for RAW files, and never sure enough for finished pictures."""
    lens = analysis.lens
    if lens is None:
        return None
    confidence = lens.certainty
    reason = _reason(lens)
    if not analysis.facts.is_raw:
        confidence *= _IN_PICTURE_BUILT_IN if lens.built_in else _IN_PICTURE
        reason += "; the camera may have corrected that itself"
    return Suggestion(
        operation="lens",
        parameters={"profile": lens.profile.model_dump(mode="json", exclude_none=True)},
        confidence=round(confidence, 3),
        reason=reason,
    )


def _reason(lens: Lens) -> str:
    profile = lens.profile
    at = f" at {lens.focal_length:g} mm" if lens.focal_length else ""
    found = []
    if abs(lens.bend) >= _LEAST_BEND:
        found.append(f"bends lines {'outwards' if lens.bend > 0 else 'inwards'} by {abs(lens.bend):.1%}")
    if lens.dark_corners >= _LEAST_STOPS:
        found.append(f"darkens corners by {lens.dark_corners:.1f} stops")
    if "chromatic_aberration" in undoable(profile.model_dump(mode="json")):
        found.append("leaves colour fringes")
    name = "the maker's own correction in the file" if profile.source == "maker" else profile.name
    if profile.source == "maker":
        return f"{name}: the lens{at} {_listed(found)}" if found else name
    return f"{name}{at} {_listed(found)}" if found else f"{name}{at}, which hardly bends or darkens anything"


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
