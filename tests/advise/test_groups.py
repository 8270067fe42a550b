"""Photos that belong together are found on scenes of known kinds, and others are left apart."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from immich_sidecar.advise.groups import Group, GroupKind, Like, exposure_value, find_groups
from immich_sidecar.analysis.measure import shapes
from tests.photos.make import scene

NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)
Grey = NDArray[np.uint8]


def grey(seed: int, *, lighter: float = 1.0, shift: int = 0, noise: int = 0) -> Grey:
    """A scene in grey, 96 x 64; `shift` moves the camera on to the right."""
    random = np.random.default_rng(seed)
    wide = np.zeros((64, 320), np.float32)
    for cells, weight in ((4, 60), (10, 45), (32, 15)):
        coarse = random.uniform(-1, 1, (cells, 5 * cells)).astype(np.float32)
        wide += weight * cv2.resize(coarse, (320, 64), interpolation=cv2.INTER_CUBIC)
    made = (110 + wide[:, shift : shift + 96]) * lighter
    made = made + np.random.default_rng(seed + 1000 * noise).normal(size=made.shape) * noise
    return np.clip(made, 0, 255).astype(np.uint8)


class Shots:
    """Photos and their pictures."""

    def __init__(self) -> None:
        self.pictures: dict[str, Grey] = {}
        self.photos: list[Like] = []

    def take(self, name: str, picture: Grey, at: float | None, **more: object) -> None:
        self.pictures[name] = picture
        taken = None if at is None else NOON + timedelta(seconds=at)
        self.photos.append(Like(name, shapes.shapes_of(picture), taken, camera="Maker One", **more))  # type: ignore[arg-type]  # fields of it

    def groups(self) -> dict[GroupKind, list[Group]]:
        found = find_groups(
            reversed(self.photos),
            cosine=lambda a, b: None,
            same=lambda a, b: shapes.difference(self.pictures[a.photo], self.pictures[b.photo]) < 0.12,
            moved_on=lambda a, b: shapes.moved_on(self.pictures[a.photo], self.pictures[b.photo]),
        )
        kinds: dict[GroupKind, list[Group]] = {}
        for group in found:
            kinds.setdefault(group.kind, []).append(group)
        return kinds


def test_a_burst_is_ranked_by_its_merit() -> None:
    shots = Shots()
    for n, merit in enumerate((0.2, 0.9, 0.5, 0.4)):
        shots.take(f"b{n}", grey(3, noise=n + 1), n * 0.4, merit=merit, exposure_value=12.0)
    shots.take("later", grey(3, noise=9), 60, exposure_value=12.0)
    shots.take("other", grey(11), 1.7, exposure_value=12.0)
    found = shots.groups()
    (burst,) = found[GroupKind.BURST]
    assert burst.members == ("b1", "b2", "b3", "b0")
    assert burst.has_best
    assert "within 1.2 s" in burst.reason
    assert GroupKind.BRACKET not in found
    assert GroupKind.PANORAMA not in found


def test_a_bracket_is_kept_whole_and_in_order() -> None:
    shots = Shots()
    for start, mark in ((0, "a"), (5, "b")):
        for n, stops in enumerate((0.0, -2.0, 2.0)):
            picture = grey(5, lighter=2.0 ** (-stops / 2.2))
            shots.take(f"{mark}{n}", picture, start + n * 0.5, exposure_value=12 + stops, bracketed=True)
    # Two only, but the camera says so.
    for n, stops in enumerate((0.0, 1.0)):
        shots.take(f"c{n}", grey(7, lighter=1 - 0.3 * n), 100 + n, exposure_value=10 + stops, bracketed=True)
    groups = shots.groups()
    assert sorted(group.members for group in groups[GroupKind.BRACKET]) == [
        ("a0", "a1", "a2"),
        ("b0", "b1", "b2"),
        ("c0", "c1"),
    ]
    assert not any(group.has_best for group in groups[GroupKind.BRACKET])
    assert GroupKind.BURST not in groups


def test_frames_of_a_panorama_go_on_one_from_the_other() -> None:
    shots = Shots()
    for n in range(4):
        shots.take(f"p{n}", grey(21, shift=35 * n), 4.0 * n, exposure_value=11.0 + 0.05 * n)
    (panorama,) = shots.groups()[GroupKind.PANORAMA]
    assert panorama.members == ("p0", "p1", "p2", "p3")
    assert shapes.moved_on(grey(21), grey(21, shift=35)) == "right"
    assert shapes.moved_on(grey(21, shift=35), grey(21)) == "left"
    turned = [np.ascontiguousarray(picture.T) for picture in (grey(21), grey(21, shift=35))]
    assert shapes.moved_on(*turned) == "down"
    assert shapes.moved_on(grey(21), grey(21, noise=2)) is None
    assert shapes.moved_on(grey(21), grey(4)) is None
    # A horizon goes on anywhere, and so proves nothing.
    level = [scene(960, 640, seed=seed).mean(axis=2).astype(np.uint8)[::10, ::10] for seed in (1, 2)]
    assert shapes.moved_on(*level) is None


def test_near_duplicates_of_any_time() -> None:
    shots = Shots()
    shots.take("first", grey(31), 0)
    shots.take("again", grey(31, noise=2), 86400)
    shots.take("scan", grey(31, lighter=0.9), None)
    for seed in range(40, 60):
        shots.take(f"other{seed}", grey(seed), 1000.0 * seed)
    (duplicates,) = shots.groups()[GroupKind.DUPLICATES]
    assert set(duplicates.members) == {"first", "again", "scan"}


def test_dark_pictures_are_no_duplicates_of_each_other() -> None:
    shots = Shots()
    for n in range(80):
        shots.take(f"dark{n}", np.random.default_rng(n).integers(0, 4, (64, 96), np.uint8), 1000.0 * n)
    assert shots.groups() == {}


@pytest.mark.parametrize("second", [None, 0.95, 0.5])
def test_vectors_have_a_say(second: float | None) -> None:
    shots = Shots()
    for n in range(3):
        shots.take(f"v{n}", grey(60 + n), n * 1.0)
    found = find_groups(shots.photos, cosine=lambda a, b: second, same=lambda a, b: True, moved_on=lambda a, b: None)
    assert [group.kind for group in found] == ([GroupKind.BURST] if second == 0.95 else [])


def test_exposure_is_told_in_stops() -> None:
    assert exposure_value(1 / 125, 8.0, 100) == pytest.approx(12.97, abs=0.01)
    assert exposure_value(1 / 125, 8.0, 400) == pytest.approx(10.97, abs=0.01)
    for unknown in ((None, 8.0, 100), (0.01, 8.0, None), (0.0, 8.0, 100)):
        assert exposure_value(*unknown) is None


def test_a_picture_that_is_none_has_no_shapes(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(b"nothing")
    assert shapes.small_grey(tmp_path / "x.jpg") is None
    assert shapes.small_grey(tmp_path / "y.jpg") is None
    assert shapes.shapes_of(grey(1)) != -1
