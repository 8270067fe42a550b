"""Taking visible noise away."""

from immich_sidecar.advise.suggestion import Suggestion, ramp
from immich_sidecar.analysis.analysis import Analysis

#: Deviation in code values that `denoise` calls 100.
_FULL = 25.5
#: Blocks below which a measurement means little.
_FEWEST_BLOCKS = 24


def suggest(analysis: Analysis) -> Suggestion | None:
    """Denoise, from a level that is visible at full size; a little grain is part of a photo."""
    noise = analysis.noise
    if noise.blocks < _FEWEST_BLOCKS:
        return None
    sure = max(ramp(noise.luma, 4.0, 8.0), ramp(noise.chroma, 3.5, 6.5))
    # A small picture has no pixels to spare, and what looks like noise there is mostly texture.
    sure *= ramp(max(analysis.facts.width, analysis.facts.height), 500, 1200)
    if noise.chroma < 0.4 * noise.luma:
        # Sensors make noise in colour too; without it, it may be sand, fur or film grain.
        sure *= 0.85
    if sure < 0.3:
        return None
    # Slightly less than measured: too little noise removal is never seen, too much always.
    luma, chroma = 0.8 * noise.luma / _FULL * 100, noise.chroma / _FULL * 100
    return Suggestion(
        operation="denoise",
        parameters={"luma": round(min(100.0, luma), 1), "chroma": round(min(100.0, chroma), 1)},
        confidence=round(0.9 * sure, 3),
        reason=f"visible noise (about {max(noise.luma, noise.chroma):.0f} of 255 steps)",
    )
