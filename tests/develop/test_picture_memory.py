"""Memory of pictures is used again, but never while somebody looks at it."""

import numpy as np
import pytest

from immich_sidecar.develop import picture_memory
from immich_sidecar.develop.engine import develop
from immich_sidecar.develop.picture_memory import picture, release, rest
from tests.photos import make

SHAPE = (2000, 1500, 3)


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    monkeypatch.setattr(picture_memory, "_kept", [])


def address(array) -> int:
    return array.__array_interface__["data"][0]


def test_what_nobody_refers_to_is_used_again() -> None:
    first = picture(SHAPE, np.uint8)
    first[:] = 7
    at = address(first)
    del first
    rest()
    again = picture((SHAPE[1], SHAPE[0], 3), np.uint8)
    assert address(again) == at
    again[:] = 3
    assert (again == 3).all()


@pytest.mark.parametrize(
    "hold", [lambda a: a, lambda a: a[10:20, ::2], lambda a: a.T, memoryview, lambda a: a.reshape(-1)]
)
def test_what_somebody_looks_at_is_left_alone(hold) -> None:
    first = picture(SHAPE, np.uint8)
    first[:] = 7
    held = hold(first)
    del first
    others = [picture(SHAPE, np.uint8) for _ in range(4)]
    rest()
    for other in others:
        other[:] = 1
    assert (np.asarray(held) == 7).all()
    assert len({address(other) for other in others}) == 4


def test_memory_that_is_too_small_gives_way() -> None:
    small = picture((2000, 1400, 3), np.uint8)
    del small
    larger = picture(SHAPE, np.uint16)
    assert larger.nbytes == 2 * np.prod(SHAPE)
    assert len(picture_memory._kept) == 1


def test_small_and_huge_pictures_are_not_kept() -> None:
    picture((10, 10, 3), np.uint8)
    picture((picture_memory.MOST, 2), np.uint8)
    assert picture_memory._kept == []


def test_one_photo_leaves_nothing_in_the_next(tmp_path, recipe) -> None:
    files = [make.write_jpeg(tmp_path / f"{n}.jpg", make.scene(2400 - 40 * n, 1600 + n)) for n in range(3)]
    wanted = recipe(exposure={"ev": 0.4}, straighten={"degrees": 1.2}, denoise={"luma": 10}, sharpen={"amount": 30})
    out = tmp_path / "out.jpg"
    each_first = []
    for file in files:
        picture_memory._kept.clear()
        each_first.append(develop(file, wanted, out).sha256)
    assert [develop(file, wanted, out).sha256 for file in (*files, *files)] == each_first * 2
    assert 1 <= len(picture_memory._kept) <= 2


def test_what_is_given_back_is_not_kept_but_what_is_used_is() -> None:
    used = picture(SHAPE, np.uint8)
    used[:] = 7
    picture(SHAPE, np.uint8)
    assert len(picture_memory._kept) == 2
    release()
    assert len(picture_memory._kept) == 1
    assert (used == 7).all()
