"""Colour spaces: reading of matrix/curve ICC profiles (ICC.1:2022), and writing of the few that we embed.

A `ColourSpace` has what the fused colour pass needs: curves from code values to linear light, and a matrix
to linear sRGB. Profiles of other kinds (CMYK, grey, tables) are turned into sRGB by LittleCMS when a file is
decoded.
"""

import struct
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Curve = NDArray[np.float64]

#: XYZ of the profile connection space's white, D50 (ICC.1:2022, 7.2.16).
_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_D65_XY = (0.3127, 0.3290)
#: Chromaticities of red, green, blue (IEC 61966-2-1; SMPTE EG 432-1; Adobe RGB (1998); BT.2020).
_PRIMARIES = {
    "sRGB": ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    "Display P3": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    "Adobe RGB (1998)": ((0.640, 0.330), (0.210, 0.710), (0.150, 0.060)),
    "Rec. 2020": ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
}
#: Spaces by the number of their primaries in ITU-T H.273.
H273_PRIMARIES = {1: "sRGB", 9: "Rec. 2020", 12: "Display P3"}
#: Parameters g, a, b, c, d of a `para` curve of type 3.
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_ADOBE_GAMMA = 2.19921875
_SAMPLES = 65536
#: What a profile's white has of each linear sRGB channel at the least.
_LEAST_WHITE = 0.05


@dataclass(frozen=True, eq=False)
class ColourSpace:
    """An RGB colour space with curves and a matrix."""

    #: Name for people, from the profile.
    name: str
    #: The profile to embed.
    profile: bytes
    #: Linear RGB to XYZ relative to D50, rows first.
    to_xyz: NDArray[np.float64]
    #: Linear light 0..1 of 65536 evenly spaced code values, for red, green and blue.
    curves: tuple[Curve, Curve, Curve]

    @cached_property
    def to_srgb(self) -> NDArray[np.float64]:
        """Linear RGB of this space to linear sRGB."""
        matrix: NDArray[np.float64] = np.linalg.inv(rgb_to_xyz("sRGB")) @ self.to_xyz
        rows: NDArray[np.float64] = matrix.sum(axis=1, keepdims=True)
        return np.asarray(matrix / rows)

    @cached_property
    def is_srgb(self) -> bool:
        """Whether code values mean the same as in sRGB, to half a code value."""
        plain = _evaluate(3, _SRGB_CURVE, np.linspace(0.0, 1.0, _SAMPLES))
        same = all(float(np.abs(curve - plain).max()) < 2e-3 for curve in self.curves)
        return same and bool(np.allclose(self.to_srgb, np.eye(3), atol=4e-3))

    @property
    def luminance(self) -> NDArray[np.float64]:
        """How much linear red, green and blue add to luminance; the sum is 1."""
        return np.asarray(self.to_xyz[1] / self.to_xyz[1].sum())

    def decoding(self, levels: int) -> NDArray[np.float32]:
        """Linear light of `levels` (256 or 65536) code values: shape (3, levels)."""
        step = (_SAMPLES - 1) // (levels - 1)
        return np.stack([curve[::step] for curve in self.curves]).astype(np.float32)

    @cached_property
    def encoding(self) -> NDArray[np.uint8]:
        """Code value of linear light i / 65535: shape (3, 65536)."""
        linear, codes = np.linspace(0.0, 1.0, _SAMPLES), np.linspace(0.0, 255.0, _SAMPLES)
        return np.stack([np.round(np.interp(linear, curve, codes)).astype(np.uint8) for curve in self.curves])

    @cached_property
    def encoding_16(self) -> NDArray[np.uint16]:
        """As `encoding`, in code values of 16 bits."""
        linear, codes = np.linspace(0.0, 1.0, _SAMPLES), np.linspace(0.0, 65535.0, _SAMPLES)
        return np.stack([np.round(np.interp(linear, curve, codes)).astype(np.uint16) for curve in self.curves])


def rgb_to_xyz(name: str) -> NDArray[np.float64]:
    """Linear RGB of a named space (white D65) to XYZ adapted to D50 by Bradford's method."""
    primaries = np.array([[x / y, 1.0, (1 - x - y) / y] for x, y in _PRIMARIES[name]]).T
    x, y = _D65_XY
    white = np.array([x / y, 1.0, (1 - x - y) / y])
    native = primaries * np.linalg.solve(primaries, white)
    cones = np.diag((_BRADFORD @ _D50) / (_BRADFORD @ white))
    adapted: NDArray[np.float64] = np.linalg.inv(_BRADFORD) @ cones @ _BRADFORD @ native
    return adapted


def matrix_profile(name: str) -> bytes:
    """A small version 4 display profile of a named space; always the same bytes."""
    to_xyz = rgb_to_xyz(name)
    is_adobe = name == "Adobe RGB (1998)"
    curve = _parametric(0, (_ADOBE_GAMMA,)) if is_adobe else _parametric(3, _SRGB_CURVE)
    cones = _BRADFORD
    x, y = _D65_XY
    white = np.array([x / y, 1.0, (1 - x - y) / y])
    adaptation = np.linalg.inv(cones) @ np.diag((cones @ _D50) / (cones @ white)) @ cones
    tags = {
        b"desc": _text(name),
        b"cprt": _text("No copyright, use freely"),
        b"wtpt": b"XYZ " + bytes(4) + _fixed(_D50),
        b"chad": b"sf32" + bytes(4) + _fixed(adaptation.ravel()),
        b"rXYZ": b"XYZ " + bytes(4) + _fixed(to_xyz[:, 0]),
        b"gXYZ": b"XYZ " + bytes(4) + _fixed(to_xyz[:, 1]),
        b"bXYZ": b"XYZ " + bytes(4) + _fixed(to_xyz[:, 2]),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    table, body = b"", b""
    places: dict[bytes, int] = {}
    start = 128 + 4 + 12 * len(tags)
    for signature, content in tags.items():
        if content not in places:
            places[content] = start + len(body)
            body += content + bytes(-len(content) % 4)
        table += signature + struct.pack(">II", places[content], len(content))
    size = start + len(body)
    head = struct.pack(">I4sI4s4s4s", size, bytes(4), 0x04400000, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _fixed(_D50) + bytes(48)
    return head + struct.pack(">I", len(tags)) + table + body


def named_space(name: str) -> ColourSpace:
    """One of sRGB, Display P3, Adobe RGB (1998), Rec. 2020 (with the sRGB curve but for Adobe's)."""
    profile = matrix_profile(name)
    codes = np.linspace(0.0, 1.0, _SAMPLES)
    curve = codes**_ADOBE_GAMMA if name.startswith("Adobe") else _evaluate(3, _SRGB_CURVE, codes)
    return ColourSpace(name, profile, rgb_to_xyz(name), (curve, curve, curve))


def read_profile(profile: bytes) -> ColourSpace | None:
    """The colour space of an ICC profile made of curves and a matrix; None for any other kind.

    Raises
    ------
    ValueError
        If the bytes are no ICC profile.
    """
    if len(profile) < 132 or profile[36:40] != b"acsp":
        raise ValueError("no ICC profile")
    tags = _tags(profile)
    if profile[16:20] != b"RGB " or profile[20:24] != b"XYZ " or b"A2B0" in tags:
        return None
    if not all(n in tags for n in (b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC")):
        return None
    try:
        columns = [_read_fixed(tags[n][8:20]) for n in (b"rXYZ", b"gXYZ", b"bXYZ")]
        curves = [_read_curve(tags[n]) for n in (b"rTRC", b"gTRC", b"bTRC")]
    except (struct.error, IndexError, ZeroDivisionError):
        raise ValueError("a damaged ICC profile") from None
    to_xyz = np.array(columns).T
    if any(c is None for c in curves) or abs(np.linalg.det(to_xyz)) < 1e-6:
        return None
    # White that lacks a channel in sRGB is no white.
    if min((np.linalg.inv(rgb_to_xyz("sRGB")) @ to_xyz).sum(axis=1)) < _LEAST_WHITE:
        return None
    red, green, blue = (c for c in curves if c is not None)
    return ColourSpace(profile_name(profile), profile, to_xyz, (red, green, blue))


def read_grey_profile(profile: bytes) -> Curve | None:
    """Light of the 65536 levels of grey, by an ICC profile of greys with a curve; None for any other kind."""
    if len(profile) < 132 or profile[36:40] != b"acsp" or profile[16:20] != b"GRAY" or profile[20:24] != b"XYZ ":
        return None
    try:
        return _read_curve(_tags(profile)[b"kTRC"])
    except (struct.error, IndexError, KeyError, ZeroDivisionError):
        return None


def profile_name(profile: bytes) -> str:
    """The description of an ICC profile, for people; "unnamed" where there is none."""
    content = _tags(profile).get(b"desc", b"")
    try:
        if content[:4] == b"mluc":
            length, offset = struct.unpack_from(">II", content, 20)
            return content[offset : offset + length].decode("utf-16-be", "replace").strip("\0 ") or "unnamed"
        if content[:4] == b"desc":
            length = struct.unpack_from(">I", content, 8)[0]
            return content[12 : 12 + length].decode("latin-1").strip("\0 ") or "unnamed"
    except struct.error:
        pass
    return "unnamed"


def _tags(profile: bytes) -> dict[bytes, bytes]:
    if len(profile) < 132:
        return {}
    found = {}
    count = min(struct.unpack_from(">I", profile, 128)[0], 100)
    for i in range(count):
        if 144 + 12 * i > len(profile):
            break
        signature, offset, size = struct.unpack_from(">4sII", profile, 132 + 12 * i)
        found[signature] = profile[offset : offset + size]
    return found


def _read_fixed(data: bytes) -> NDArray[np.float64]:
    return np.array(struct.unpack(f">{len(data) // 4}i", data)) / 65536.0


def _read_curve(content: bytes) -> Curve | None:
    """Sample a `curv` or `para` element; None where it does not rise (no inverse)."""
    codes = np.linspace(0.0, 1.0, _SAMPLES)
    if content[:4] == b"curv":
        count = struct.unpack_from(">I", content, 8)[0]
        values = np.array(struct.unpack_from(f">{min(count, 1 << 16)}H", content, 12), np.float64)
        if count == 0:
            curve = codes
        elif count == 1:
            curve = codes ** (values[0] / 256.0)
        else:
            curve = np.interp(codes, np.linspace(0.0, 1.0, count), values / 65535.0)
    elif content[:4] == b"para":
        kind = struct.unpack_from(">H", content, 8)[0]
        length = {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}.get(kind, 0)
        if not length:
            return None
        curve = _evaluate(kind, tuple(_read_fixed(content[12 : 12 + 4 * length])), codes)
    else:
        return None
    curve = np.clip(curve, 0.0, 1.0)
    rises = bool(np.all(np.diff(curve) >= 0) and curve[-1] > 0.5 > curve[0])
    return curve if rises else None


def _evaluate(kind: int, parameters: tuple[float, ...], x: Curve) -> Curve:
    """A `para` curve (ICC.1:2022, table 68)."""
    g, a, b, c, d, e, f = (*parameters, *(0.0,) * (7 - len(parameters)))
    if kind == 0:
        return np.asarray(x**g)
    power = np.maximum(a * x + b, 0.0) ** g
    if kind == 1:
        return np.where(x >= -b / a, power, 0.0)
    if kind == 2:
        return np.where(x >= -b / a, power + c, c)
    return np.where(x >= d, power + e, c * x + f)


def _parametric(kind: int, parameters: tuple[float, ...]) -> bytes:
    return b"para" + bytes(4) + struct.pack(">HH", kind, 0) + _fixed(np.array(parameters))


def _fixed(values: NDArray[np.float64]) -> bytes:
    numbers = [round(float(v) * 65536.0) for v in values]
    return struct.pack(f">{len(numbers)}i", *numbers)


def _text(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(encoded), 28) + encoded
