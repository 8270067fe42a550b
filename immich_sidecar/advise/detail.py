"""Taking visible noise away, and making fine detail of RAW files clear."""

from immich_sidecar.advise.suggestion import Suggestion, ramp
from immich_sidecar.analysis.analysis import Analysis

#: Deviation in code values that `denoise` calls 100.
_FULL = 25.5
#: Blocks below which a measurement means little.
_FEWEST_BLOCKS = 100
#: How much rougher ordinary blocks may be than the smoothest of their brightness, wholly and at the most. With visible
#: noise that was added to photos they are so by up to 1.1, nineteen in twenty; RAW files, of which less noise is
#: taken, show more of their texture beside it.
_EVEN, _EVEN_IN_RAW = (1.25, 1.1), (1.6, 1.2)
#: Slightly less than measured: too little noise removal is never seen, too much always.
_SHARE = 0.9
#: `sharpen.amount` that gives back what a lens and the filter before a sensor take (a blur of 0.6 to 0.8 pixels),
#: without harm to files that are sharp to the pixel; and the least that is worth a step.
_RAW_AMOUNT, _LEAST_AMOUNT = 14.0, 4.0
#: Megapixels of a picture whose noise is seen as it is measured; larger ones are looked at smaller.
_USUAL_MEGAPIXELS = 6.0


def suggest(analysis: Analysis) -> list[Suggestion]:
    """Noise first, then sharpness."""
    return [step for step in (_denoise(analysis), _sharpen(analysis)) if step is not None]


def _denoise(analysis: Analysis) -> Suggestion | None:
    """From a level that is visible; a little grain is part of a photo, but not of a RAW file."""
    noise, facts = analysis.noise, analysis.facts
    if noise.blocks < _FEWEST_BLOCKS:
        return None
    # Noise is the same everywhere; what ordinary blocks have more of than the smoothest is texture.
    sure = ramp(noise.unevenness, *(_EVEN_IN_RAW if facts.is_raw else _EVEN))
    if facts.is_raw:
        sure *= ramp(noise.luma, 1.1, 2.2)
    else:
        seen = min(1.5, max(0.75, (facts.width * facts.height / 1e6 / _USUAL_MEGAPIXELS) ** 0.25))
        sure *= max(ramp(noise.luma / seen, 2.0, 4.0), ramp(noise.chroma / seen, 2.5, 5.0))
        # A small picture has no pixels to spare, and what looks like noise there is mostly texture.
        sure *= ramp(max(facts.width, facts.height), 400, 900)
    if sure < 0.3:
        return None
    # A sensor's colour noise grows with its brightness noise; what is more than that is colourful texture.
    colour = min(noise.chroma, 1.2 * noise.luma) if facts.is_raw else noise.chroma
    luma, chroma = _SHARE * noise.luma / _FULL * 100, colour / _FULL * 100
    return Suggestion(
        operation="denoise",
        parameters={"luma": round(min(100.0, luma), 1), "chroma": round(min(100.0, chroma), 1)},
        confidence=round(0.95 * sure, 3),
        reason=f"visible noise (about {max(noise.luma, colour):.0f} of 255 steps)",
    )


def _sharpen(analysis: Analysis) -> Suggestion | None:
    """What the sensor's pattern took away from a RAW file; pictures have been sharpened by their camera."""
    noise, sharpness, facts = analysis.noise, analysis.sharpness, analysis.facts
    if sharpness.edge_width is None or noise.blocks < _FEWEST_BLOCKS:
        return None
    threshold = round(min(100.0, max(1.5, noise.luma / _FULL * 100)), 1)
    if facts.is_raw:
        amount = _RAW_AMOUNT * ramp(noise.luma, 7.0, 2.0)
        if amount < _LEAST_AMOUNT:
            return None
        return Suggestion(
            operation="sharpen",
            parameters={"amount": round(amount, 1), "radius": 0.7, "threshold": threshold},
            confidence=0.9,
            reason="RAW sharpened a little, as cameras do",
        )
    # Sharp edges are 2 to 4 pixels wide; out of focus nothing helps.
    soft = ramp(sharpness.edge_width, 4.0, 5.0) * ramp(sharpness.edge_width, 7.0, 5.5) * ramp(noise.luma, 4.0, 2.0)
    if soft < 0.3:
        return None
    return Suggestion(
        operation="sharpen",
        parameters={"amount": 20.0, "radius": 1.2, "threshold": threshold},
        confidence=round(0.45 * soft, 3),
        reason=f"soft edges (about {sharpness.edge_width:.0f} pixels wide)",
    )
