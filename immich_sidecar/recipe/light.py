"""The colour of light: temperatures and tints as chromaticities, and what taking one for another does to grey."""

import math

#: The temperature that changes nothing, in kelvin.
NEUTRAL_KELVIN = 6500.0
#: CIE 1960 uv across the Planckian locus for a tint of 1.
TINT_STEP = 1.0 / 3000.0

Triple = tuple[float, float, float]
_Rows = tuple[Triple, Triple, Triple]

#: Linear sRGB to CIE XYZ relative to D65 (IEC 61966-2-1).
SRGB_TO_XYZ: _Rows = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
BRADFORD: _Rows = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))


def planckian_uv(kelvin: float) -> tuple[float, float]:
    """CIE 1960 u, v of a black body (Krystek 1985, good from 1000 to 15000 K)."""
    t = kelvin
    u = (0.860117757 + 1.54118254e-4 * t + 1.28641212e-7 * t * t) / (1.0 + 8.42420235e-4 * t + 7.08145163e-7 * t * t)
    v = (0.317398726 + 4.22806245e-5 * t + 4.20481691e-8 * t * t) / (1.0 - 2.89741816e-5 * t + 1.61456053e-7 * t * t)
    return u, v


def light_xyz(kelvin: float, tint: float) -> Triple:
    """XYZ (Y = 1) of a light; a positive tint lies above the locus (greener light)."""
    u, v = planckian_uv(kelvin)
    warmer, cooler = planckian_uv(kelvin * 0.99), planckian_uv(kelvin * 1.01)
    along = (cooler[0] - warmer[0], cooler[1] - warmer[1])
    length = math.hypot(*along)
    across = (along[1] / length, -along[0] / length)
    if across[1] < 0:
        across = (-across[0], -across[1])
    u, v = u + tint * TINT_STEP * across[0], v + tint * TINT_STEP * across[1]
    x, y = 3 * u / (2 * u - 8 * v + 4), 2 * v / (2 * u - 8 * v + 4)
    return x / y, 1.0, (1 - x - y) / y


def gains_of(kelvin: float, tint: float) -> Triple:
    """Factors of linear sRGB that do to grey what a white balance by temperature and tint does to it."""
    white = _times(SRGB_TO_XYZ, (1.0, 1.0, 1.0))
    before, after = (_times(BRADFORD, light) for light in (light_xyz(kelvin, tint), light_xyz(NEUTRAL_KELVIN, 0.0)))
    cones = _times(BRADFORD, white)
    adapted = (cones[0] * after[0] / before[0], cones[1] * after[1] / before[1], cones[2] * after[2] / before[2])
    red, green, blue = _times(_inverse(SRGB_TO_XYZ), _times(_inverse(BRADFORD), adapted))
    grey = sum(part * weight for part, weight in zip((red, green, blue), SRGB_TO_XYZ[1], strict=True))
    return red / grey, green / grey, blue / grey


def _times(rows: _Rows, vector: Triple) -> Triple:
    first, second, third = (sum(a * b for a, b in zip(row, vector, strict=True)) for row in rows)
    return first, second, third


def _inverse(rows: _Rows) -> _Rows:
    (a, b, c), (d, e, f), (g, h, i) = rows
    whole = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    return (
        ((e * i - f * h) / whole, (c * h - b * i) / whole, (b * f - c * e) / whole),
        ((f * g - d * i) / whole, (a * i - c * g) / whole, (c * d - a * f) / whole),
        ((d * h - e * g) / whole, (b * g - a * h) / whole, (a * e - b * d) / whole),
    )
