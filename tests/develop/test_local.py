"""Parts of the picture: what is in the mask changes, what is not stays, wherever geometry takes both."""

import json
import time
from pathlib import Path

import numpy as np
import pytest

from immich_sidecar.develop.engine import develop, render
from immich_sidecar.develop.preview import PreviewSource
from immich_sidecar.errors import InvalidParameterError
from immich_sidecar.recipe.operations import plan, read, validate
from immich_sidecar.recipe.recipe import Recipe, change, merge, new_recipe
from immich_sidecar.recipe.run_lengths import written
from tests.develop.conftest import AT
from tests.photos import make

HASH = "ab" * 32
#: Whom the picture shows: a lighter disc on a darker, slightly structured ground.
SIZE, CENTRE, RADIUS = (480, 320), (300, 140), 70


def picture(size: tuple[int, int] = SIZE) -> np.ndarray:
    scale = size[0] / SIZE[0]
    y, x = np.mgrid[: size[1], : size[0]] / scale
    ground = 60 + 12 * np.sin(x / 9) + 8 * np.cos(y / 7)
    disc = np.hypot(x - CENTRE[0], y - CENTRE[1]) < RADIUS
    grey = np.where(disc, 130 + 10 * np.sin(x / 5), ground)
    return np.stack([grey * 1.1, grey, grey * 0.8], axis=-1).clip(0, 255).astype(np.uint8)


def mask_of(columns: int = 48, rows: int = 32, *, loose: float = 1.0) -> dict:
    """The disc on a coarse grid; `loose` is by how much its radius is wrong."""
    y, x = (np.mgrid[:rows, :columns] + 0.5) * [[[SIZE[1] / rows]], [[SIZE[0] / columns]]]
    inside = np.hypot(x - CENTRE[0], y - CENTRE[1]) < RADIUS * loose
    down = inside.T.ravel()
    cuts = np.flatnonzero(np.diff(down)) + 1
    return {"width": columns, "height": rows, "counts": written([int(n) for n in np.diff([0, *cuts, down.size])])}


def disc_of(shape: tuple[int, ...], reach: float) -> np.ndarray:
    scale = shape[1] / SIZE[0]
    y, x = np.mgrid[: shape[0], : shape[1]] / scale
    return np.hypot(x - CENTRE[0], y - CENTRE[1]) < RADIUS * reach


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("local") / "disc.png"
    make.write_png(path, picture())
    return path


def made(path: Path, operations: dict, **more: int) -> np.ndarray:
    return render(path, merge([], operations, at=AT), **more).image.astype(float)


def test_the_subject_is_lifted_and_the_rest_stays(photo: Path) -> None:
    plain = made(photo, {})
    lifted = made(photo, {"subject": {"mask": mask_of(), "ev": 1.0, "feather": 5}})

    inside, outside = disc_of(plain.shape, 0.85), ~disc_of(plain.shape, 1.25)
    assert (lifted - plain)[inside].mean() > 25
    assert abs((lifted - plain)[outside]).mean() < 0.6


def test_the_background_is_everything_else(photo: Path) -> None:
    plain = made(photo, {})
    calm = made(photo, {"background": {"mask": mask_of(), "ev": -0.7, "saturation": -60, "feather": 5}})

    inside, outside = disc_of(plain.shape, 0.85), ~disc_of(plain.shape, 1.25)
    assert abs((calm - plain)[inside]).mean() < 0.8
    assert (plain - calm)[outside].mean() > 5
    spread = (calm.max(axis=-1) - calm.min(axis=-1))[outside].mean()
    assert spread < 0.6 * (plain.max(axis=-1) - plain.min(axis=-1))[outside].mean()


@pytest.mark.parametrize("loose", [0.96, 1.0, 1.05])
def test_a_coarse_mask_is_drawn_to_the_edges_of_the_picture(photo: Path, loose: float) -> None:
    plain = made(photo, {})
    lifted = made(photo, {"subject": {"mask": mask_of(48, 32, loose=loose), "ev": 1.0, "feather": 8}})
    change_of = (lifted - plain).mean(axis=-1)
    # Two pixels within the disc's edge against two pixels without it.
    within = disc_of(plain.shape, 0.96) & ~disc_of(plain.shape, 0.92)
    without = disc_of(plain.shape, 1.08) & ~disc_of(plain.shape, 1.04)
    full = change_of[disc_of(plain.shape, 0.7)].mean()
    assert change_of[within].mean() > 0.7 * full
    assert change_of[without].mean() < 0.35 * full


def test_white_stays_white_and_nothing_is_cut(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 255, 256).astype(np.uint8)[None, :, None], (64, 1, 3))
    path = tmp_path / "ramp.png"
    make.write_png(path, ramp)
    everything = {"width": 1, "height": 1, "counts": written([0, 1])}
    for ev in (2.0, -2.0):
        row = made(path, {"sky": {"mask": everything, "ev": ev, "feather": 0}})[32, :, 1]
        assert row[0] == 0
        assert row[255] == 255
        assert (np.diff(row) >= 0).all()
        assert (row[128] > 180) if ev > 0 else (row[128] < 90)


@pytest.mark.parametrize(
    "geometry",
    [
        {"straighten": {"degrees": 7}},
        {"crop": {"x": 0.3, "y": 0.1, "width": 0.6, "height": 0.7}},
        {"orientation": {"quarter_turns": 1, "mirror": True}},
        {"upright": {"vertical": 8}, "straighten": {"degrees": -3}},
        {"lens": {"profile": {"source": "lensfun", "warp": {"radius": 1.0, "radial": [1.08, 0, -0.08]}}}},
    ],
)
def test_the_mask_goes_where_the_pixels_go(photo: Path, geometry: dict) -> None:
    plain = made(photo, geometry)
    lifted = made(photo, {**geometry, "subject": {"mask": mask_of(), "ev": 1.0, "feather": 5}})
    is_disc = plain.mean(axis=-1) > 100
    import cv2

    core = cv2.erode(is_disc.astype(np.uint8), np.ones((15, 15), np.uint8)).astype(bool)
    far = ~cv2.dilate(is_disc.astype(np.uint8), np.ones((31, 31), np.uint8)).astype(bool)
    assert core.sum() > 500
    assert (lifted - plain)[core].mean() > 25
    assert abs((lifted - plain)[far]).mean() < 0.8


def test_preview_and_full_size_agree(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    make.write_png(path, picture((1920, 1280)))
    steps = {"subject": {"mask": mask_of(), "ev": 0.8}, "straighten": {"degrees": 2}}
    full = made(path, steps)
    small = made(path, steps, max_edge=480)
    import cv2

    shrunk = cv2.resize(full, small.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert abs(shrunk - small).mean() < 1.2
    source = PreviewSource.of(path, max_edge=480)
    jpeg = source.jpeg(merge([], steps, at=AT), quality=95)
    shown = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[..., ::-1].astype(float)
    assert abs(cv2.resize(shown, small.shape[1::-1]) - small).mean() < 2.5


def test_a_raw_file_and_sixteen_bits_go_the_same_way(tmp_path: Path) -> None:
    path = tmp_path / "disc.dng"
    make.write_dng(path, picture())
    subject = {"subject": {"mask": mask_of(), "ev": 1.0, "feather": 5}}
    plain, lifted = made(path, {"decode": {}}), made(path, {"decode": {}, **subject})
    core = disc_of(plain.shape, 0.8)
    assert (lifted - plain)[core].mean() > 20
    recipe = new_recipe(HASH, [], {**subject, "decode": {}, "output": {"format": "tiff16"}}, at=AT)
    develop(path, recipe, tmp_path / "deep.tif")
    import tifffile

    deep = tifffile.imread(tmp_path / "deep.tif")
    assert deep.dtype == np.uint16
    assert abs(deep / 257.0 - lifted).mean() < 1.0


def test_the_same_recipe_gives_the_same_bytes_from_its_json(photo: Path, tmp_path: Path) -> None:
    recipe = new_recipe(HASH, [], {"subject": {"mask": mask_of(), "ev": 0.6}, "tone": {"shadows": 20}}, at=AT)
    again = Recipe.from_json(recipe.to_json())
    assert again == recipe
    first, second = (develop(photo, each, tmp_path / f"{n}.jpg") for n, each in enumerate((recipe, again)))
    assert first.sha256 == second.sha256


def test_several_parts_are_one_step_each_and_ask_for_nothing_at_zero() -> None:
    steps = {name: {"mask": mask_of(), "ev": 0.5} for name in ("subject", "sky", "background")}
    assert [part.is_outside for part in plan(merge([], steps, at=AT)).local] == [True, False, False]
    assert plan(merge([], {"subject": {"mask": mask_of()}}, at=AT)).local == ()


@pytest.mark.parametrize(
    "mask",
    [
        {"width": 4, "height": 3, "counts": "3366"},
        {"width": 4, "height": 3, "counts": "o" * 30},
        {"width": 4, "height": 3, "counts": ""},
        {"width": 2000, "height": 3, "counts": written([6000])},
        {"width": 0, "height": 3, "counts": ""},
        {"width": 4, "height": 3, "counts": "3" * 30_000},
        {"width": 4, "height": 3},
        {"counts": "336"},
        "336",
    ],
)
def test_malicious_masks_are_refused_at_once(mask: object) -> None:
    began = time.process_time()
    with pytest.raises(InvalidParameterError, match="subject"):
        validate("subject", {"mask": mask, "ev": 1.0})
    assert time.process_time() - began < 0.5


def test_what_a_mask_may_cost_is_bounded() -> None:
    rng = np.random.default_rng(3)
    down = rng.random(150 * 100) < 0.5
    cuts = np.flatnonzero(np.diff(down)) + 1
    runs = [int(n) for n in np.diff([0, *cuts, down.size])]
    counts = written(runs if not down[0] else [0, *runs])
    kept = validate("subject", {"mask": {"width": 150, "height": 100, "counts": counts}, "ev": 1.0})
    assert len(json.dumps(kept)) < 25_000
    read("subject", kept)


def test_a_person_needs_not_send_the_mask_that_is_known() -> None:
    known = {"masks": {"subject": mask_of()}}
    recipe = new_recipe(HASH, [], at=AT, ai_metadata=known)
    changed = change(recipe, {"subject": {"ev": 0.4}}, at=AT)
    assert changed.user_overrides["subject"] is not None
    assert changed.user_overrides["subject"]["mask"] == mask_of()
    with pytest.raises(InvalidParameterError, match="mask"):
        change(new_recipe(HASH, [], at=AT), {"subject": {"ev": 0.4}}, at=AT)
