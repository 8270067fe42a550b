"""Compiled loops for saturation and vibrance."""

from typing import Any

import numpy as np

from immich_sidecar.develop.compiled import compiled
from immich_sidecar.develop.table_kernels import HALF, ONE, ZERO

# ruff: noqa: PLR0917 -- compiled code takes no keywords

#: OKLab chroma from which on vibrance leaves a colour alone.
VIVID = 0.3
#: The hue of skin of all complexions lies about 48 degrees in OKLab: its direction, the cosines between which a hue
#: counts as skin wholly and not at all (25 and 50 degrees away), and how much of vibrance skin is spared.
SKIN_A, SKIN_B, SKIN_NEAR, SKIN_FAR, SKIN_KEPT = 0.669, 0.743, 0.906, 0.643, 0.7


@compiled
def saturate(
    red: Any, green: Any, blue: Any, to_cones: Any, back: Any, saturation: Any, vibrance: Any, work: Any
) -> None:
    """Saturation and vibrance: OKLab chroma times a factor, hue and lightness kept, held inside the space.

    With the lightness kept, a factor t of chroma moves the cube root of each cone response away from the lightness
    by t, and each channel is a polynomial of degree 3 in t. Where that would leave 0..1 the factor is bent so that
    it ends at the border of the space and no two different colours become one.
    """
    n = red.shape[0]
    for i in range(n):
        r, g, b = red[i], green[i], blue[i]
        for k in range(3):
            work[k, i] = max(to_cones[k, 0] * r + to_cones[k, 1] * g + to_cones[k, 2] * b, np.float32(1e-9))
    for k in range(3):
        cube_roots(work[k, :n])
    for i in range(n):
        long, middle, short = work[0, i], work[1, i], work[2, i]
        light = np.float32(0.2104542553) * long + np.float32(0.7936177850) * middle + np.float32(-0.0040720403) * short
        a = np.float32(1.9779984951) * long - np.float32(2.4285922050) * middle + np.float32(0.4505937099) * short
        b = np.float32(0.0259040371) * long + np.float32(0.7827717662) * middle - np.float32(0.8086758033) * short
        chroma = np.sqrt(a * a + b * b) + np.float32(1e-9)
        # Vibrance: none for what is vivid already, little for the hues of skin.
        muted = max(ONE - chroma * np.float32(1.0 / VIVID), ZERO)
        skin = (a * np.float32(SKIN_A) + b * np.float32(SKIN_B)) / chroma
        skin = min(max((skin - np.float32(SKIN_FAR)) * np.float32(1.0 / (SKIN_NEAR - SKIN_FAR)), ZERO), ONE)
        skin = skin * skin * (np.float32(3.0) - np.float32(2.0) * skin)
        factor = saturation * (ONE + vibrance * muted * muted * (ONE - np.float32(SKIN_KEPT) * skin))
        work[0, i], work[1, i], work[2, i] = long - light, middle - light, short - light
        work[3, i], work[4, i] = light, factor
    for i in range(n):
        light, factor = work[3, i], work[4, i]
        p, q, s = work[0, i], work[1, i], work[2, i]
        l3, l2, l1 = light * light * light, np.float32(3.0) * light * light, np.float32(3.0) * light
        r1 = l2 * (back[0, 0] * p + back[0, 1] * q + back[0, 2] * s)
        g1 = l2 * (back[1, 0] * p + back[1, 1] * q + back[1, 2] * s)
        b1 = l2 * (back[2, 0] * p + back[2, 1] * q + back[2, 2] * s)
        p2, q2, s2 = p * p, q * q, s * s
        r2 = l1 * (back[0, 0] * p2 + back[0, 1] * q2 + back[0, 2] * s2)
        g2 = l1 * (back[1, 0] * p2 + back[1, 1] * q2 + back[1, 2] * s2)
        b2 = l1 * (back[2, 0] * p2 + back[2, 1] * q2 + back[2, 2] * s2)
        p2, q2, s2 = p2 * p, q2 * q, s2 * s
        r3 = back[0, 0] * p2 + back[0, 1] * q2 + back[0, 2] * s2
        g3 = back[1, 0] * p2 + back[1, 1] * q2 + back[1, 2] * s2
        b3 = back[2, 0] * p2 + back[2, 1] * q2 + back[2, 2] * s2
        # How far chroma may grow, between none and twice of what is asked.
        wanted = max(factor - ONE, np.float32(1e-6))
        room, step = ZERO, np.float32(2.0) * wanted
        for _ in range(9):
            t = ONE + room + step
            r = l3 + t * (r1 + t * (r2 + t * r3))
            g = l3 + t * (g1 + t * (g2 + t * g3))
            b = l3 + t * (b1 + t * (b2 + t * b3))
            fits = min(r, g, b) >= np.float32(-1e-4) and max(r, g, b) <= np.float32(1.0001)
            room = room + step if fits else room
            step *= HALF
        room = min(room, np.float32(2.0) * wanted)
        t = ONE + room * (ONE - room / (np.float32(4.0) * wanted)) if factor > ONE else factor
        red[i] = l3 + t * (r1 + t * (r2 + t * r3))
        green[i] = l3 + t * (g1 + t * (g2 + t * g3))
        blue[i] = l3 + t * (b1 + t * (b2 + t * b3))


@compiled
def cube_roots(values: Any) -> None:
    """Cube roots in place: a third of the exponent as a first guess, then twice Halley's method."""
    bits = values.view(np.int32)
    for i in range(values.shape[0]):
        bits_of_guess = bits[i] // np.int32(3) + np.int32(709921077)
        x = values[i]
        bits[i] = bits_of_guess
        y = values[i]
        for _ in range(2):
            cube = y * y * y
            y = y * (cube + np.float32(2.0) * x) / (np.float32(2.0) * cube + x)
        values[i] = y
