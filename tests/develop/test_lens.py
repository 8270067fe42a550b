"""The lens: what it bent, dispersed and darkened comes back as it was, in every frame."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from immich_sidecar.develop.decode import Decoded, display_space
from immich_sidecar.develop.engine import finish, render
from immich_sidecar.develop.falloff import falloff_after, falloff_before
from immich_sidecar.develop.geometry import crop_box, frame_size, output_size, placed
from immich_sidecar.develop.lens import LensMap, gain
from immich_sidecar.recipe.frame import frame_of, levelled, moved
from immich_sidecar.recipe.operations import plan
from immich_sidecar.recipe.plan import FalloffPlan, GeometryPlan, Plan, UprightPlan, WarpPlan
from tests.develop.test_geometry import centre, dotted
from tests.photos import make

SIZE = (360, 240)
#: A barrel of 3 % with fringes of a thousandth; a pincushion; a lens that is not centred.
BARREL = WarpPlan((0.5, 0.5), 0.6, (1.03, 0.0, -0.03), red=(1.001,), blue=(0.9985, 0.0, 0.0005))
PINCUSHION = WarpPlan((0.5, 0.5), 1.0, (1.0, 0.0, 0.04, 0.0, 0.01))
DECENTRED = WarpPlan((0.47, 0.52), 1.0, (1.0, 0.0, -0.05), tangential=(0.002, -0.003))
WARPS = {"barrel": BARREL, "pincushion": PINCUSHION, "decentred": DECENTRED}


def corrected(lens: LensMap, place: tuple[float, float]) -> tuple[float, float]:
    """Where a place of the picture as taken lies once it is corrected, by Newton's way with a numeric slope."""
    found = np.array(place)
    for _ in range(30):
        found = found - (lens.source(found) - place)
    assert math.dist(lens.source(found), place) < 1e-6
    return float(found[0]), float(found[1])


def followed(place, geometry: GeometryPlan) -> tuple[float, float]:
    x, y = corrected(LensMap(geometry.warp, SIZE), place)
    width, height = SIZE
    if geometry.mirror:
        x = width - x
    for _ in range(geometry.quarter_turns):
        x, y, width, height = height - y, x, height, width
    x, y = moved(levelled(SIZE, geometry), (x - width / 2, y - height / 2))
    frame, whole = frame_of(SIZE, geometry), frame_size(*SIZE, geometry)
    left, top, _, _ = crop_box(whole, geometry.crop)
    return x - frame.x + whole[0] / 2 - left, y - frame.y + whole[1] / 2 - top


geometries = st.builds(
    GeometryPlan,
    warp=st.sampled_from([BARREL, PINCUSHION, DECENTRED]),
    quarter_turns=st.integers(0, 3),
    mirror=st.booleans(),
    upright=st.one_of(st.none(), st.builds(UprightPlan, st.floats(-8, 8), st.floats(-8, 8), st.floats(28, 80))),
    degrees=st.one_of(st.just(0.0), st.floats(-8, 8)),
    crop=st.sampled_from([(0.0, 0.0, 1.0, 1.0), (0.15, 0.1, 0.8, 0.85)]),
)


@settings(max_examples=120)
@given(geometries, st.integers(1, 8), st.floats(0.15, 0.85), st.floats(0.15, 0.85))
def test_a_dot_is_found_where_the_map_says(geometry, orientation, x, y) -> None:
    place = (x * SIZE[0], y * SIZE[1])
    result = placed(make.oriented(dotted(*place), orientation), orientation, geometry)
    assert (result.shape[1], result.shape[0]) == output_size(*SIZE, geometry)
    expected = followed(place, geometry)
    if min(*expected, result.shape[1] - expected[0], result.shape[0] - expected[1]) < 14:
        return
    assert math.dist(centre(result), expected) < 0.5


@pytest.mark.parametrize("name", WARPS)
def test_nothing_empty_shows_and_nothing_more_is_lost_than_has_to_be(name) -> None:
    lens = LensMap(WARPS[name], (6000, 4000))
    x, y = np.linspace(0, 6000, 200), np.linspace(0, 4000, 200)
    border = np.concatenate(
        [np.stack([x, x * 0 + at], -1) for at in (0, 4000)] + [np.stack([y * 0 + at, y], -1) for at in (0, 6000)]
    )
    source = lens.source(border)
    beyond = max(-source.min(), (source - [6000, 4000]).max())
    assert -1.0 < beyond < 0.5


def test_fringes_come_together_and_the_map_between_nodes_is_exact() -> None:
    """A picture whose channels are drawn where the lens puts them is found with all three on one spot."""
    size = (700, 500)
    lens = LensMap(BARREL, size)
    rows, columns = np.mgrid[0 : size[1], 0 : size[0]] + 0.5
    for place in ((60.0, 50.0), (350.0, 30.0), (640.0, 460.0), (401.3, 210.9)):
        sources = lens.sources(np.array(place))
        taken = np.stack(
            [np.round(250 * np.exp(-((columns - s[0]) ** 2 + (rows - s[1]) ** 2) / 18.0)) for s in sources], axis=-1
        ).astype(np.uint8)
        result = placed(taken, 1, GeometryPlan(warp=BARREL))
        for channel in range(3):
            found = centre(np.repeat(result[..., channel : channel + 1], 3, axis=2))
            assert math.dist(found, place) < 0.05
        spread = math.dist(sources[0], sources[2])
        assert spread > 0.05 or place == (401.3, 210.9)


def test_a_picture_without_colour_goes_the_way_of_green() -> None:
    picture = make.scene(120, 80)
    geometry = GeometryPlan(warp=BARREL, degrees=2.0)
    whole, grey = placed(picture, 6, geometry), placed(np.ascontiguousarray(picture[..., 1:2]), 6, geometry)
    assert grey.shape == (*whole.shape[:2], 1)
    assert np.array_equal(grey[..., 0], whole[..., 1])


@settings(max_examples=40)
@given(geometries, st.integers(1, 8), st.sampled_from([1.0, 0.5]))
def test_light_is_even_again_in_every_frame(geometry, orientation, smaller) -> None:
    """A grey wall whose corners a lens darkened by half comes out even, whatever geometry and size."""
    falloff = FalloffPlan((0.5, 0.5), 1.0, (-0.5, 0.1), "share")
    geometry = GeometryPlan(**{**vars(geometry), "warp": BARREL})
    rows, columns = np.mgrid[0 : SIZE[1], 0 : SIZE[0]] + 0.5
    squared = ((columns - SIZE[0] / 2) ** 2 + (rows - SIZE[1] / 2) ** 2) / (math.hypot(*SIZE) / 2) ** 2
    wall = np.round(20000 * (1 - 0.5 * squared + 0.1 * squared**2)).astype(np.uint16)
    stored = make.oriented(np.repeat(wall[..., None], 3, axis=2), orientation)
    decoded = Decoded(stored, display_space(), orientation, (stored.shape[1], stored.shape[0]), is_linear=True)
    edge = round(max(output_size(*SIZE, geometry)) * smaller)
    before = finish(decoded, Plan(geometry=geometry), max_edge=edge)
    after = finish(decoded, Plan(geometry=geometry, falloff=falloff), max_edge=edge)
    assert after.std() < 0.7
    if geometry.crop == (0.0, 0.0, 1.0, 1.0) and geometry.upright is None:
        assert before.std() > 4


@pytest.mark.parametrize("orientation", [1, 6, 7])
def test_light_is_even_again_in_a_mosaic_that_is_coloured_first(tmp_path, steps, orientation) -> None:
    squared = ((np.mgrid[0:160, 0:240] + 0.5 - np.array([80, 120])[:, None, None]) ** 2).sum(axis=0) / 120**2
    arrives = 1 - 0.3 * squared
    shown = make.display_from_linear((0.3 * arrives)[..., None].repeat(3, axis=2))
    path = make.write_dng(tmp_path / "a.dng", shown, orientation=orientation)
    profile = {"source": "lensfun", "falloff": {"radius": 120 / math.hypot(120, 80), "terms": [-0.3]}}
    profile["warp"] = {"radius": 0.8, "radial": [1.0, 0.0, -0.03]}
    decoded = {"baseline_ev": 0.0, "tone_curve": [[0, 0], [1, 1]]}
    before = render(path, steps(decode=decoded)).image
    after = render(path, steps(decode=decoded, lens={"profile": profile})).image
    inner = after[4:-4, 4:-4].astype(float)
    assert before.std() > 5
    assert inner.std(axis=(0, 1)).max() < 1.0


def test_half_the_strength_is_half_in_stops_and_a_gain_is_no_share() -> None:
    share = FalloffPlan((0.5, 0.5), 1.0, (-0.5,), "share", 0.5)
    assert gain(share, np.array([1.0])) == pytest.approx(math.sqrt(2.0))
    assert gain(FalloffPlan((0.5, 0.5), 1.0, (-0.5,), "gain"), np.array([1.0])) == pytest.approx(0.5)
    assert falloff_after(None, GeometryPlan(), SIZE, SIZE) is None
    assert falloff_before(None, 1, SIZE) is None


def test_strengths_of_the_operation(steps) -> None:
    profile = {
        "source": "lensfun",
        "warp": {"radius": 0.6, "radial": [1.03, 0, -0.03], "red": [1.001]},
        "falloff": {"radius": 1.0, "terms": [-0.5]},
    }
    whole = plan(steps(lens={"profile": profile}))
    assert whole.geometry.warp == WarpPlan((0.5, 0.5), 0.6, (1.03, 0.0, -0.03), red=(1.001,))
    assert whole.falloff == FalloffPlan((0.5, 0.5), 1.0, (-0.5,), "share", 1.0)
    half = plan(steps(lens={"profile": profile, "distortion": 50, "chromatic_aberration": 0, "vignetting": 20}))
    assert half.geometry.warp.radial == pytest.approx((1.015, 0.0, -0.015))
    assert not half.geometry.warp.has_fringes
    assert half.falloff.strength == 0.2
    off = {"distortion": 0, "chromatic_aberration": 0, "vignetting": 0}
    assert plan(steps(lens={"profile": profile, **off})) == Plan()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 3), (5, 4), (17, 300), (2100, 40)])
def test_the_smallest_pictures_and_the_wildest_numbers_come_to_an_end(size) -> None:
    wild = WarpPlan((-0.5, 1.5), 0.01, (1000.0, -1000.0, 1000.0), tangential=(1.0, 1.0))
    for warp in (None, BARREL, wild):
        for upright in (None, UprightPlan(15.0, -21.0, 28.0)):
            geometry = GeometryPlan(
                warp=warp, quarter_turns=1, upright=upright, degrees=-44.0, crop=(0.9, 0.9, 0.1, 0.1)
            )
            result = placed(np.full((size[1], size[0], 3), 77, np.uint8), 1, geometry)
            assert (result.shape[1], result.shape[0]) == output_size(*size, geometry)
            assert (result == 77).all()
