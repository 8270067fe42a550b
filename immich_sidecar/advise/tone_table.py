"""Offering the colour table that a model made for a photo."""

from collections.abc import Iterable

from immich_sidecar.advise.suggestion import APPLY_AT, Suggestion
from immich_sidecar.analysis.analysis import Analysis
from immich_sidecar.analysis.findings import TABLE_NAME

#: Always below what is applied unasked: its taste is one retoucher's, and it changes good photos as much as dull
#: ones (mean distance 5 to 9 in CIELAB on the photos it was looked at with).
CONFIDENCE = 0.5
#: Mean distance of colours, in CIELAB, below which nobody sees what it does.
_VISIBLE = 1.5
#: Mean changes from which it is called brighter or darker, and fuller or calmer.
_LIGHTER, _FULLER = 2.0, 2.0
#: It was made for the photo as it is; on top of these it would do the same thing twice.
_SAME_THING = frozenset({"exposure", "tone", "white_balance", "subject"})


def suggest(analysis: Analysis, others: Iterable[Suggestion]) -> Suggestion | None:
    """The table as a step that a person can switch on; None where there is none, or light and colour are corrected.

    Parameters
    ----------
    others
        What else is suggested for the photo.
    """
    made = analysis.findings.tone if analysis.findings is not None else None
    if made is None or made.distance < _VISIBLE:
        return None
    if any(one.operation in _SAME_THING and one.confidence >= APPLY_AT for one in others):
        return None
    does = [
        *(["brighter"] if made.lightness >= _LIGHTER else ["darker"] if made.lightness <= -_LIGHTER else []),
        *(["with fuller colours"] if made.chroma >= _FULLER else []),
        *(["with calmer colours"] if made.chroma <= -_FULLER else []),
    ]
    return Suggestion(
        operation="lut",
        parameters={"sha256": made.sha256, "name": TABLE_NAME, "strength": 100.0},
        confidence=CONFIDENCE,
        reason=f"a retouch learned from photos: {' and '.join(does) or 'other contrast and colours'}",
    )
