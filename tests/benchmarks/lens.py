"""How truly a lens is undone, and how long it takes.

``python -m tests.benchmarks.lens [--few]`` prints two tables. For the first, charts of dots of 24 megapixels are drawn
where lensfun says that a lens puts them (each channel apart), and walls of even light are darkened as lensfun says; all
are saved with the EXIF of that camera and lens, looked at, rendered by the recipe that comes of it, and the dots looked
for. The frame being filled is no error, so one factor of size is free. For the second, the maps are timed in one thread
beside OpenCV's plain affine warp of the same picture and the way of lensfun's own maps, in turns. `--few` draws one
lens.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import lensfunpy
import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from immich_sidecar.analysis.measure.lens import measure_lens
from immich_sidecar.develop.engine import render
from immich_sidecar.develop.geometry import placed
from immich_sidecar.develop.lens import LensMap
from immich_sidecar.develop.probe import probe
from immich_sidecar.recipe.operations import plan
from immich_sidecar.recipe.plan import GeometryPlan, UprightPlan
from immich_sidecar.recipe.recipe import merge
from tests.develop.conftest import AT
from tests.photos.make import display_from_linear, linear_from_display, scene, write_jpeg

#: Pixels of charts, and of walls.
SIZE, WALL = (6000, 4000), (1500, 1000)
#: Dots a side, their radius (standard deviation) and half the side of the square in which one is looked for, in pixels.
DOTS, RADIUS, AROUND = (19, 13), 4.0, 40
#: Mean error allowed, in pixels.
LIMIT = 1.0
#: Turns of each way to be timed; the fastest counts.
TURNS = 3


class Case(NamedTuple):
    """A lens, as a camera names it, at a focal length and an aperture."""

    make: str
    model: str
    lens: str
    focal: float
    aperture: float


CASES = (
    Case("Canon", "Canon EOS 5D Mark III", "EF24-70mm f/2.8L USM", 24, 2.8),
    Case("Canon", "Canon EOS 30D", "EF-S18-55mm f/3.5-5.6", 18, 5.6),
    Case("SONY", "ILCE-7M3", "FE 24-70mm F2.8 GM", 24, 4.0),
    Case("NIKON CORPORATION", "NIKON D750", "Nikkor AF-S 24-120mm f/4G ED VR", 24, 4.0),
    Case("Panasonic", "DMC-LX7", "", 4.7, 1.4),
)


def exif_of(case: Case) -> bytes:
    """What that camera would write."""
    exif = Image.Exif()
    exif[271], exif[272] = case.make, case.model
    inner = exif.get_ifd(0x8769)
    inner[37386], inner[33437] = case.focal, case.aperture
    if case.lens:
        inner[42036] = case.lens
    exif[0x8769] = inner
    return exif.tobytes()


def modifier_for(case: Case, size: tuple[int, int]) -> Any:
    """Lensfun's own modifier for the lens that we find, or the one of that name."""
    database = lensfunpy.Database()
    aspect = size[0] / size[1]

    def apart(camera: Any) -> float:
        across, _, down = (camera.variant or "").partition(":")
        return abs(float(across) / float(down) - aspect) if across and down else 1.0

    camera = min(database.find_cameras(case.make, case.model), key=apart)
    lens = database.find_lenses(camera, None, case.lens)[0] if case.lens else database.find_lenses(camera)[0]
    modifier = lensfunpy.Modifier(lens, camera.crop_factor, *size)
    flags = lensfunpy.ModifyFlags.DISTORTION | lensfunpy.ModifyFlags.TCA | lensfunpy.ModifyFlags.VIGNETTING
    modifier.initialize(case.focal, case.aperture, 1000.0, scale=1.0, pixel_format=np.float32, flags=flags)
    return modifier


def sources(modifier: Any, x: int, y: int) -> np.ndarray:
    """Where lensfun says that the three colours of a corrected pixel lie, (3, 2)."""
    found = modifier.apply_subpixel_geometry_distortion(x, y, 1, 1)
    if found is None:
        found = np.repeat(modifier.apply_geometry_distortion(x, y, 1, 1)[:, :, None], 3, axis=2)
    return found[0, 0].astype(np.float64)


def chart(modifier: Any) -> tuple[np.ndarray, np.ndarray]:
    """A picture of dots as the lens shows them, and where they ought to lie, (n, 2)."""
    picture = np.full((SIZE[1], SIZE[0], 3), 16, np.uint8)
    places = []
    for y in np.linspace(150, SIZE[1] - 150, DOTS[1]).round().astype(int):
        for x in np.linspace(150, SIZE[0] - 150, DOTS[0]).round().astype(int):
            lies = sources(modifier, int(x), int(y))
            low = np.floor(lies.min(axis=0)).astype(int) - 24
            high = low + 50
            if low.min() < 0 or high[0] >= SIZE[0] or high[1] >= SIZE[1]:
                continue
            rows, columns = np.mgrid[low[1] : high[1], low[0] : high[0]]
            for channel in range(3):
                squared = (columns - lies[channel, 0]) ** 2 + (rows - lies[channel, 1]) ** 2
                dot = 16 + 220 * np.exp(-squared / (2 * RADIUS**2))
                picture[low[1] : high[1], low[0] : high[0], channel] = np.round(dot)
            places.append((x, y))
    return picture, np.array(places, np.float64)


def found_dots(picture: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Where dots lie near these places, for each channel (n, 3, 2); NaN where there is none whole."""
    found = np.full((len(places), 3, 2), np.nan)
    for i, (x, y) in enumerate(places):
        left, top = round(x) - AROUND, round(y) - AROUND
        window = picture[max(top, 0) : top + 2 * AROUND, max(left, 0) : left + 2 * AROUND].astype(np.float64) - 16
        window = np.where(window > 12, window, 0.0)
        if window.shape[:2] != (2 * AROUND, 2 * AROUND) or window.max() < 150:
            continue
        edge = max(window[0].max(), window[-1].max(), window[:, 0].max(), window[:, -1].max())
        if edge > 0:
            continue
        rows, columns = np.mgrid[0 : 2 * AROUND, 0 : 2 * AROUND]
        light = window.sum(axis=(0, 1))
        found[i, :, 0] = (window * columns[..., None]).sum(axis=(0, 1)) / light + left
        found[i, :, 1] = (window * rows[..., None]).sum(axis=(0, 1)) / light + top
    return found


def apart(found: np.ndarray) -> float:
    """The mean distance of red and blue from green."""
    return float(np.nanmean(np.linalg.norm(found[:, ::2] - found[:, 1:2], axis=2)))


def stops(picture: np.ndarray) -> tuple[float, float]:
    """How much darker the corners are than the middle, in stops, and the deviation over the picture, in percent."""
    light = linear_from_display(picture)[..., 1].astype(np.float64)
    height, width = light.shape
    middle = light[height // 2 - 20 : height // 2 + 20, width // 2 - 20 : width // 2 + 20].mean()
    corners = [light[y, x].mean() for y in (slice(0, 15), slice(-15, None)) for x in (slice(0, 15), slice(-15, None))]
    return float(np.log2(middle / np.mean(corners))), float(100 * light.std() / light.mean())


def truth(cases: tuple[Case, ...], folder: Path, console: Console) -> list[GeometryPlan]:
    """Print how truly lenses are undone; give the geometry of each."""
    table = Table(
        title=f"Asked back at {SIZE[0] * SIZE[1] / 1e6:.0f} MP, in pixels (limit: a mean error of {LIMIT:.0f})"
    )
    for name in ("lens", "bend", "error", "largest", "fringes", "corners, stops", "uneven %"):
        table.add_column(name, justify="left" if name == "lens" else "right")
    geometries = []
    for case in cases:
        modifier = modifier_for(case, SIZE)
        picture, places = chart(modifier)
        path = write_jpeg(folder / "chart.jpg", picture, quality=98, exif=exif_of(case))
        lens = measure_lens(path, probe(path))
        if lens is None:
            table.add_row(f"{case.model}, {case.lens}", "not found")
            continue
        steps = merge([], {"lens": {"profile": lens.profile.model_dump(mode="json")}}, at=AT)
        geometries.append(plan(steps).geometry)
        middle = (np.array(SIZE) - 1) / 2
        taken = np.array([sources(modifier, int(x), int(y)) for x, y in places])
        bend = np.linalg.norm(taken[:, 1] - places, axis=1).mean()
        image = render(path, steps).image
        # One factor is free: look where the filled frame puts them, and fit what is left of it.
        warp = geometries[-1].warp
        scale = LensMap(warp, SIZE).scale if warp else 1.0
        dots = found_dots(image, middle + (places - middle) / scale)
        green, ideal = dots[:, 1] - middle, places - middle
        there = ~np.isnan(green[:, 0])
        factor = (green[there] * ideal[there]).sum() / (ideal[there] ** 2).sum()
        errors = np.linalg.norm(green[there] / factor - ideal[there], axis=1)
        before = float(np.linalg.norm(taken[:, ::2] - taken[:, 1:2], axis=2).mean())

        small = modifier_for(case, WALL)
        light = np.ones((WALL[1], WALL[0], 3), np.float32)
        is_dark = small.apply_color_modification(light)
        wall = display_from_linear(0.5 / light)
        dark, _ = stops(wall)
        path = write_jpeg(folder / "wall.jpg", wall, quality=98, exif=exif_of(case))
        only = {"distortion": 0, "chromatic_aberration": 0, "profile": lens.profile.model_dump(mode="json")}
        left, uneven = stops(render(path, merge([], {"lens": only}, at=AT)).image)
        table.add_row(
            f"{lens.profile.name} at {case.focal:g} mm ({there.sum()} dots)",
            f"{bend:.1f}",
            f"{errors.mean():.3f}",
            f"{errors.max():.3f}",
            f"{before:.2f} to {apart(dots):.3f}",
            f"{dark:.2f} to {left:.2f}" if is_dark else "not measured",
            f"{uneven:.2f}" if is_dark else "",
        )
    console.print(table)
    return geometries


def fastest(ways: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Seconds of processor time of each, taken in turns."""
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(TURNS):
        for name, way in ways.items():
            started = time.process_time()
            way()
            best[name] = min(best[name], time.process_time() - started)
    return best


def speed(geometry: GeometryPlan, console: Console) -> None:
    """Print how long maps take."""
    cv2.setNumThreads(1)
    picture = cv2.resize(scene(1500, 1000), SIZE, interpolation=cv2.INTER_CUBIC)
    turn = cv2.getRotationMatrix2D((SIZE[0] / 2, SIZE[1] / 2), 2, 1)
    assert geometry.warp is not None
    bare = replace(geometry.warp, red=(1.0,), blue=(1.0,))
    fringed = replace(geometry.warp, red=(1.0002,), blue=(0.9998,))

    def peer() -> None:
        modifier = modifier_for(CASES[2], SIZE)
        maps = modifier.apply_subpixel_geometry_distortion()
        for channel in range(3):
            own = np.ascontiguousarray(maps[:, :, channel])
            cv2.remap(np.ascontiguousarray(picture[..., channel]), own, None, cv2.INTER_CUBIC)

    def ours(wanted: GeometryPlan) -> Callable[[], Any]:
        return lambda: placed(picture, 1, wanted)

    base = "cv2.warpAffine, bicubic"
    ways = {
        base: lambda: cv2.warpAffine(picture, turn, SIZE, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP),
        "quarter turn and crop": ours(GeometryPlan(quarter_turns=1, crop=(0.1, 0.1, 0.8, 0.8))),
        "straighten": ours(GeometryPlan(degrees=2)),
        "perspective": ours(GeometryPlan(upright=UprightPlan(6, 2, 28))),
        "distortion": ours(GeometryPlan(warp=bare)),
        "distortion, perspective, straighten": ours(GeometryPlan(warp=bare, upright=UprightPlan(6, 2, 28), degrees=2)),
        "distortion and fringes": ours(GeometryPlan(warp=fringed)),
        "lensfun's maps, cv2.remap": peer,
    }
    seconds = fastest(ways)
    table = Table(title=f"Processor time at {SIZE[0] * SIZE[1] / 1e6:.0f} MP, one thread, best of {TURNS}")
    for name in ("way", "ms", "times the affine warp"):
        table.add_column(name, justify="left" if name == "way" else "right")
    for name, taken in seconds.items():
        table.add_row(name, f"{1000 * taken:.0f}", f"{taken / seconds[base]:.2f}")
    console.print(table)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--few", action="store_true", help="one lens only")
    few = parser.parse_args().few
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        geometries = truth(CASES[2:3] if few else CASES, Path(folder), console)
    speed(geometries[0], console)


if __name__ == "__main__":
    main()
