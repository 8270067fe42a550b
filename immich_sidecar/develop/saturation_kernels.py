"""Compiled loops for saturation and vibrance."""

from typing import Any

import numpy as np

from immich_sidecar.develop.compiled import compiled_loop
from immich_sidecar.develop.table_kernels import (
    BLUE,
    FACTOR,
    GREEN,
    HALF,
    HIGH,
    ONE,
    PIECE,
    RED,
    W0,
    W1,
    W2,
    W3,
    ZERO,
    padded,
)

# ruff: noqa: PLR0917 -- compiled code takes no keywords

#: OKLab chroma from which on vibrance leaves a colour alone.
VIVID = 0.3
#: The hue of skin of all complexions lies about 48 degrees in OKLab: its direction, the cosines between which a hue
#: counts as skin wholly and not at all (25 and 50 degrees away), and how much of vibrance skin is spared.
SKIN_A, SKIN_B, SKIN_NEAR, SKIN_FAR, SKIN_KEPT = 0.669, 0.743, 0.906, 0.643, 0.7


@compiled_loop
def saturate(work: Any, to_cones: Any, back: Any, saturation: Any, vibrance: Any, places: Any, n: int) -> None:
    """Saturation and vibrance: OKLab chroma times a factor, hue and lightness kept, held inside the space.

    With the lightness kept, a factor t of chroma moves the cube root of each cone response away from the lightness
    by t, and each channel is a polynomial of degree 3 in t. Where that would leave 0..1 the factor is bent so that
    it ends at the border of the space and no two different colours become one.

    What is found lies in W0 to W2 (how far each cone response is from the lightness), W3 (that) and FACTOR.
    """
    c00, c01, c02 = to_cones[0]
    c10, c11, c12 = to_cones[1]
    c20, c21, c22 = to_cones[2]
    for i in range(padded(n)):
        r, g, b = work[i + RED], work[i + GREEN], work[i + BLUE]
        long = cube_root(max(c00 * r + c01 * g + c02 * b, np.float32(1e-9)))
        middle = cube_root(max(c10 * r + c11 * g + c12 * b, np.float32(1e-9)))
        short = cube_root(max(c20 * r + c21 * g + c22 * b, np.float32(1e-9)))
        light = np.float32(0.2104542553) * long + np.float32(0.7936177850) * middle + np.float32(-0.0040720403) * short
        a = np.float32(1.9779984951) * long - np.float32(2.4285922050) * middle + np.float32(0.4505937099) * short
        b = np.float32(0.0259040371) * long + np.float32(0.7827717662) * middle - np.float32(0.8086758033) * short
        chroma = np.sqrt(a * a + b * b) + np.float32(1e-9)
        # Vibrance: none for what is vivid already, little for the hues of skin.
        muted = max(ONE - chroma * np.float32(1.0 / VIVID), ZERO)
        skin = (a * np.float32(SKIN_A) + b * np.float32(SKIN_B)) / chroma
        skin = min(max((skin - np.float32(SKIN_FAR)) * np.float32(1.0 / (SKIN_NEAR - SKIN_FAR)), ZERO), ONE)
        skin = skin * skin * (np.float32(3.0) - np.float32(2.0) * skin)
        work[i + W0], work[i + W1], work[i + W2] = long - light, middle - light, short - light
        work[i + W3] = light
        work[i + FACTOR] = saturation * (ONE + vibrance * muted * muted * (ONE - np.float32(SKIN_KEPT) * skin))
    grow(work, back, places, n)


@compiled_loop
def grow(work: Any, back: Any, places: Any, n: int) -> None:
    """Multiply chroma by its factor; where that would leave the space, by the one that `bend` finds.

    The numbers of the latter pixels are laid together for that, in the five planes from HIGH on.
    """
    leaving = np.int32(0)
    for i in range(padded(n)):
        light, factor = work[i + W3], work[i + FACTOR]
        red, green, blue = cubics(work[i + W0], work[i + W1], work[i + W2], light, back)
        # As far as twice what is asked chroma must be able to grow, or its growth is bent.
        t = ONE + np.float32(2.0) * max(factor - ONE, np.float32(1e-6))
        r, g, b = valued(red, t), valued(green, t), valued(blue, t)
        fits = factor <= ONE or (min(r, g, b) >= np.float32(-1e-4) and max(r, g, b) <= np.float32(1.0001))
        places[i] = np.int32(0) if fits else np.int32(1)
        work[i + RED] = valued(red, factor)
        work[i + GREEN] = valued(green, factor)
        work[i + BLUE] = valued(blue, factor)
    for i in range(n):
        leaving += places[i]
    if leaving == 0:
        return
    count = 0
    for i in range(n):
        if places[i] == 1:
            places[count] = i
            for k in range(5):
                work[count + HIGH + k * PIECE] = work[i + W0 + k * PIECE]
            count += 1
    bend(work, back, count)
    for i in range(count):
        at = np.uint32(places[i])
        for k in range(3):
            work[at + np.uint32(k * PIECE)] = work[i + HIGH + k * PIECE]


@compiled_loop
def bend(work: Any, back: Any, n: int) -> None:
    """Light of pixels whose numbers lie in the five planes from HIGH on; it is written over the first three."""
    for i in range(padded(n)):
        light, factor = work[i + HIGH + 3 * PIECE], work[i + HIGH + 4 * PIECE]
        p, q, s = work[i + HIGH], work[i + HIGH + PIECE], work[i + HIGH + 2 * PIECE]
        red, green, blue = cubics(p, q, s, light, back)
        # How far chroma may grow, between none and twice of what is asked.
        wanted = max(factor - ONE, np.float32(1e-6))
        room, step = ZERO, np.float32(2.0) * wanted
        for _ in range(9):
            t = ONE + room + step
            r, g, b = valued(red, t), valued(green, t), valued(blue, t)
            fits = min(r, g, b) >= np.float32(-1e-4) and max(r, g, b) <= np.float32(1.0001)
            room = room + step if fits else room
            step *= HALF
        room = min(room, np.float32(2.0) * wanted)
        t = ONE + room * (ONE - room / (np.float32(4.0) * wanted))
        work[i + HIGH] = valued(red, t)
        work[i + HIGH + PIECE] = valued(green, t)
        work[i + HIGH + 2 * PIECE] = valued(blue, t)


@compiled_loop
def cubics(p: Any, q: Any, s: Any, light: Any, back: Any) -> Any:
    """Each channel as a polynomial of the factor of chroma: its coefficients from that of degree 0 on."""
    l3, l2, l1 = light * light * light, np.float32(3.0) * light * light, np.float32(3.0) * light
    p2, q2, s2 = p * p, q * q, s * s
    p3, q3, s3 = p2 * p, q2 * q, s2 * s
    red = (
        l3,
        l2 * (back[0, 0] * p + back[0, 1] * q + back[0, 2] * s),
        l1 * (back[0, 0] * p2 + back[0, 1] * q2 + back[0, 2] * s2),
        back[0, 0] * p3 + back[0, 1] * q3 + back[0, 2] * s3,
    )
    green = (
        l3,
        l2 * (back[1, 0] * p + back[1, 1] * q + back[1, 2] * s),
        l1 * (back[1, 0] * p2 + back[1, 1] * q2 + back[1, 2] * s2),
        back[1, 0] * p3 + back[1, 1] * q3 + back[1, 2] * s3,
    )
    blue = (
        l3,
        l2 * (back[2, 0] * p + back[2, 1] * q + back[2, 2] * s),
        l1 * (back[2, 0] * p2 + back[2, 1] * q2 + back[2, 2] * s2),
        back[2, 0] * p3 + back[2, 1] * q3 + back[2, 2] * s3,
    )
    return red, green, blue


@compiled_loop
def valued(cubic: Any, t: Any) -> Any:
    """A polynomial of degree 3 at t."""
    return cubic[0] + t * (cubic[1] + t * (cubic[2] + t * cubic[3]))


@compiled_loop
def cube_root(x: Any) -> Any:
    """The cube root of a positive number: a third of the exponent as a first guess, then twice Halley's method."""
    y = np.int32(np.float32(x).view(np.int32) // np.int32(3) + np.int32(709921077)).view(np.float32)
    for _ in range(2):
        cube = y * y * y
        y = y * (cube + np.float32(2.0) * x) / (np.float32(2.0) * cube + x)
    return y
