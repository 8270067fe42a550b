"""Colour tables in `.cube` files: read, brought into one normal form, named by its digest, and found again.

The format is Adobe's "Cube LUT Specification 1.0" (2013), with the input ranges that DaVinci Resolve writes. Whatever
a file holds (one curve for each channel or a cube, any domain) becomes a cube over 0..1. Its normal form is text
again, so a table of ours can be used anywhere:

    LUT_3D_SIZE 33
    0.000000 0.000000 0.000000
    ...                             red moves fastest, six decimals
"""

import functools
import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.errors import RecipeError, UnsupportedError
from immich_sidecar.recipe.plan import LutPlan, NamedLut, Plan

#: Points along an edge of a cube, and of a curve.
MOST_POINTS, MOST_CURVE_POINTS = 65, 65536
#: Bytes of a file.
MOST_BYTES = 16 << 20
#: Points along an edge of a cube that is made from curves or from another domain.
_MADE_POINTS = 65
#: Larger numbers are no colours.
_MOST_VALUE = 64.0
#: Letters of a title.
_MOST_TITLE = 100

Table = NDArray[np.float32]

_KEYWORD = re.compile(r"[A-Z][A-Z0-9_]*\Z")
_LINE_END = re.compile(r"\r\n?|\n")
_OURS = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, eq=False)
class Cube:
    """A table that was read."""

    #: What the file calls itself; empty where it does not.
    title: str
    #: `float32` (n, n, n, 3) by blue, green, red, as in a file: display red, green, blue to the same, over 0..1.
    table: Table
    #: Whether the file held curves rather than a cube.
    is_curves: bool
    #: The table as text, which `sha256` is about.
    normal_form: bytes

    @property
    def size(self) -> int:
        """Points along an edge."""
        return int(self.table.shape[0])

    @property
    def sha256(self) -> str:
        """Digest of the normal form: the name of the table."""
        return hashlib.sha256(self.normal_form).hexdigest()


def read_cube(data: bytes) -> Cube:
    """Read a `.cube` file.

    Raises
    ------
    UnsupportedError
        If it is none, or one that is not supported; the message names the line.
    """
    title, values, is_curves = _parsed(data)
    values = np.round(values, 6) + 0.0  # without -0
    return Cube(title, values.astype(np.float32), is_curves, _text(values))


def cube_of(table: Table, title: str = "") -> Cube:
    """A table of numbers, (n, n, n, 3) by blue, green, red over 0..1, as if it had been read from a file.

    Raises
    ------
    UnsupportedError
        If its shape or its values are none of a table.
    """
    points = table.shape[0]
    if table.shape != (points, points, points, 3) or not 2 <= points <= MOST_POINTS:
        raise UnsupportedError(f"A table has the shape n × n × n × 3, with n from 2 to {MOST_POINTS}.")
    if not (np.abs(table) <= _MOST_VALUE).all():  # also false for NaN
        raise UnsupportedError("The table has numbers that are no colours.")
    values: NDArray[np.float64] = np.round(table.astype(np.float64), 6) + np.float64(0)  # without -0
    return Cube(title, values.astype(np.float32), False, _text(values))


def with_lut(plan: Plan, folders: Sequence[Path]) -> Plan:
    """The plan with the table that it names looked up in the first of some folders that has it.

    It lies there as `{sha256}.cube`, or as any other `.cube` file with the same content.

    Raises
    ------
    RecipeError
        If none has it, or what has its name is something else.
    """
    if plan.lut is None:
        return plan
    size, values = _found(plan.lut, folders)
    lut = LutPlan(size, values, plan.lut.strength)
    return replace(plan, lut=None, colour=replace(plan.colour, lut=lut))


def _found(lut: NamedLut, folders: Sequence[Path]) -> tuple[int, bytes]:
    for folder in folders:
        path = folder / f"{lut.sha256}.cube"
        if path.is_file():
            return _checked(str(path), lut.sha256)
    for folder in folders:
        for path in sorted(folder.glob("*.cube")) if folder.is_dir() else ():
            if not _OURS.match(path.stem) and _digest_of(path) == lut.sha256:
                return _as_bytes(read_cube(path.read_bytes()).table)
    called = f"“{lut.name}” " if lut.name else ""
    places = " or ".join(str(folder) for folder in folders) or "any folder: none was named"
    raise RecipeError(
        f"The recipe asks for the LUT {called}with the SHA-256 {lut.sha256}, which is not in {places}. Import its "
        ".cube file again, or name the folder that holds it (--luts)."
    )


@functools.lru_cache(maxsize=4)
def _checked(path: str, sha256: str) -> tuple[int, bytes]:
    data = Path(path).read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise RecipeError(f"{path} is damaged: its content has another digest than its name. Import the LUT again.")
    return _as_bytes(_parsed(data)[1].astype(np.float32))


def _as_bytes(table: Table) -> tuple[int, bytes]:
    return table.shape[0], table.astype("<f4").tobytes()


def _digest_of(path: Path) -> str | None:
    try:
        return None if path.stat().st_size > MOST_BYTES else read_cube(path.read_bytes()).sha256
    except (OSError, UnsupportedError):
        return None


class _Reading:
    """The head of a file, line by line."""

    def __init__(self) -> None:
        self.title = ""
        self.curve_points = 0
        self.cube_points = 0
        self.low = np.zeros(3)
        self.high = np.ones(3)

    def keyword(self, line: str, number: int) -> None:
        """Take note of one line that begins with a word."""
        word, _, rest = line.partition(" ")
        match word:
            case "TITLE":
                self.title = "".join(c for c in rest.strip().strip('"') if c.isprintable()).strip()[:_MOST_TITLE]
            case "LUT_1D_SIZE":
                self.curve_points = _size(rest, MOST_CURVE_POINTS, number)
            case "LUT_3D_SIZE":
                self.cube_points = _size(rest, MOST_POINTS, number)
            case "DOMAIN_MIN":
                self.low = np.array(_numbers(rest, 3, number))
            case "DOMAIN_MAX":
                self.high = np.array(_numbers(rest, 3, number))
            case "LUT_1D_INPUT_RANGE" | "LUT_3D_INPUT_RANGE":
                low, high = _numbers(rest, 2, number)
                self.low, self.high = np.full(3, low), np.full(3, high)
            case "LUT_IN_VIDEO_RANGE" | "LUT_OUT_VIDEO_RANGE":
                raise UnsupportedError(f"Line {number}: a LUT for video levels (16 to 235) is not made for photos.")
            case _ if not _KEYWORD.match(word):
                raise UnsupportedError(f"Line {number} is no part of a .cube file: {line[:60]!r}.")


def _parsed(data: bytes) -> tuple[str, NDArray[np.float64], bool]:
    """Title, table (n, n, n, 3) by blue, green, red over 0..1, and whether the file held curves."""
    if len(data) > MOST_BYTES:
        raise UnsupportedError(f"A LUT may have {MOST_BYTES >> 20} MiB at most.")
    if b"\0" in data:
        raise UnsupportedError("This is no .cube file: it is not text.")
    head, rows, places = _Reading(), [], []
    for number, raw in enumerate(_LINE_END.split(data.decode("utf-8-sig", "replace")), start=1):
        line = raw.replace("\t", " ").strip()
        if not line or line.startswith("#"):
            continue
        if line[0] in "0123456789+-.":
            rows.append(line)
            places.append(number)
        elif rows:
            raise UnsupportedError(f"Line {number}: {line[:60]!r} stands among the numbers.")
        else:
            head.keyword(line, number)
    if bool(head.curve_points) == bool(head.cube_points):
        raise UnsupportedError(
            "The file has a curve and a cube (LUT_1D_SIZE and LUT_3D_SIZE); only files with one of them can be used."
            if head.curve_points
            else "This is no .cube file: it says neither LUT_3D_SIZE nor LUT_1D_SIZE."
        )
    if not (head.low < head.high).all():
        raise UnsupportedError("DOMAIN_MIN has to be less than DOMAIN_MAX.")
    points = head.cube_points or head.curve_points
    wanted = head.cube_points**3 or head.curve_points
    if len(rows) != wanted:
        shape = f"{points} × {points} × {points}" if head.cube_points else str(points)
        raise UnsupportedError(f"The file promises {shape} = {wanted} rows of numbers and has {len(rows)}.")
    values = _values(rows, places)
    if head.cube_points:
        cube = values.reshape(points, points, points, 3)
        same = (head.low == 0).all() and (head.high == 1).all()
        return head.title, cube if same else _resampled(cube, head), False
    return head.title, _from_curves(values, head), True


def _values(rows: list[str], places: list[int]) -> NDArray[np.float64]:
    try:
        values = np.loadtxt(rows, np.float64, comments=None, ndmin=2)
    except ValueError:
        values = np.empty((0, 0))
    if values.shape != (len(rows), 3):
        for number, row in zip(places, rows, strict=True):
            _numbers(row, 3, number)
        raise UnsupportedError("Every row of the table has to have three numbers.")
    if not (np.abs(values) <= _MOST_VALUE).all():  # also false for NaN
        raise UnsupportedError(
            f"The table has numbers that are no colours; they lie between -{_MOST_VALUE:.0f} and 64."
        )
    return values


def _resampled(cube: NDArray[np.float64], head: _Reading) -> NDArray[np.float64]:
    """A cube of another domain over 0..1; linear between its points, and level beyond its ends."""
    for axis in range(3):
        cube = _along(cube, axis, head.low[2 - axis], head.high[2 - axis])
    return cube


def _along(cube: NDArray[np.float64], axis: int, low: float, high: float) -> NDArray[np.float64]:
    points = cube.shape[axis]
    place = (np.linspace(0.0, 1.0, _MADE_POINTS) - low) / (high - low) * (points - 1)
    place = np.clip(place, 0, points - 1)
    before = np.minimum(place.astype(np.intp), points - 2)
    part = (place - before).reshape([-1 if n == axis else 1 for n in range(4)])
    made: NDArray[np.float64] = np.take(cube, before, axis) * (1 - part) + np.take(cube, before + 1, axis) * part
    return made


def _from_curves(values: NDArray[np.float64], head: _Reading) -> NDArray[np.float64]:
    even = np.linspace(0.0, 1.0, _MADE_POINTS)
    curves = [
        np.interp(even, np.linspace(head.low[channel], head.high[channel], len(values)), values[:, channel])
        for channel in range(3)
    ]
    return np.stack(np.meshgrid(*reversed(curves), indexing="ij")[::-1], axis=-1)


def _text(values: NDArray[np.float64]) -> bytes:
    numbers = values.reshape(-1).tolist()
    # All at once: a large cube has almost a million numbers.
    body = ("%.6f %.6f %.6f\n" * (len(numbers) // 3)) % tuple(numbers)
    return f"LUT_3D_SIZE {values.shape[0]}\n{body}".encode()


def _size(text: str, most: int, number: int) -> int:
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 2 <= int(text) <= most):
        raise UnsupportedError(f"Line {number}: a size is a whole number from 2 to {most}, not {text[:20]!r}.")
    return int(text)


def _numbers(text: str, count: int, number: int) -> list[float]:
    try:
        values = [float(part) for part in text.split()]
    except ValueError:
        values = []
    if len(values) != count or not all(math.isfinite(value) for value in values):
        raise UnsupportedError(f"Line {number}: {count} numbers are wanted here, not {text[:60]!r}.")
    return values
