"""Masks become COCO's run lengths and come back, and are measured where they lie."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from immich_sidecar.analysis import masks
from immich_sidecar.analysis.findings import Box, Mask

grids = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40))


def slowly(inside: NDArray[np.bool_]) -> str:
    """COCO's text, cell by cell and bit by bit."""
    runs, value, length = [], False, 0
    for column in range(inside.shape[1]):
        for row in range(inside.shape[0]):
            if bool(inside[row, column]) == value:
                length += 1
            else:
                runs.append(length)
                value, length = not value, 1
    runs.append(length)
    text = ""
    for place, run in enumerate(runs):
        number = run - runs[place - 2] if place > 2 else run
        while True:
            group = number & 31
            number >>= 5
            last = number == -1 if group & 16 else number == 0
            text += chr(48 + group + (0 if last else 32))
            if last:
                break
    return text


@given(inside=grids)
def test_run_lengths_are_cocos_and_come_back(inside: NDArray[np.bool_]) -> None:
    mask = masks.encode(inside)
    assert mask.counts == slowly(inside)
    assert (masks.decode(mask) == inside).all()
    assert Mask.model_validate_json(mask.model_dump_json()) == mask


@given(
    width=st.integers(1, 300),
    height=st.integers(1, 300),
    corners=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=2),
)
def test_large_runs_are_cocos_and_measured(width: int, height: int, corners: list[tuple[float, float]]) -> None:
    left, right = sorted(round(x * width) for x, _ in corners)
    top, bottom = sorted(round(y * height) for _, y in corners)
    inside = np.zeros((height, width), np.bool_)
    inside[top:bottom, left:right] = True
    mask = masks.encode(inside)
    assert mask.counts == slowly(inside)
    assert masks.area(mask) == pytest.approx((bottom - top) * (right - left) / (width * height))
    box = masks.bounding_box(mask)
    if not inside.any():
        assert box is None
        return
    assert box is not None
    assert (box.x * width, box.y * height) == pytest.approx((left, top))
    assert (box.width * width, box.height * height) == pytest.approx((right - left, bottom - top))
    assert masks.covers(mask, box) == pytest.approx(1)
    whole = Box(x=0, y=0, width=1, height=1)
    assert masks.covers(mask, whole) == pytest.approx(masks.area(mask))


# Written by pycocotools 2.0.11 for these very masks.
KNOWN = {
    "ellipse": (
        "T81[18K2M4M2N2O0O2O0O2N2O000O2O00000O2O0000000000000O20N100000000000001N1000001N10001N2N101N101N2N3L3N5H`;"
    ),
    "ring": (
        "T81[18K2M4M2N2O0O2OCZO0e0O_O0?0C0<OF0:OH071I06OL040L04ON011O0000000000O20N020N020N020N020M"
        "130MO30N020N020N020N020N100000000001OO021L040L041J07OI081F0:1D0=0A0a01[O0f0=1N101N2N3L3N5H"
        "`;"
    ),
    "full": "0PP3",
    "empty": "PP3",
    "corner": "01;",
}


def shapes() -> dict[str, NDArray[np.bool_]]:
    rows, columns = np.mgrid[0:48, 0:64]
    distance = ((rows - 20) / 15.0) ** 2 + ((columns - 30) / 25.0) ** 2
    corner = np.zeros((3, 4), np.bool_)
    corner[0, 0] = True
    return {
        "ellipse": distance <= 1,
        "ring": (distance <= 1) & (distance > 0.5),
        "full": np.ones((48, 64), np.bool_),
        "empty": np.zeros((48, 64), np.bool_),
        "corner": corner,
    }


@pytest.mark.parametrize("shape", list(KNOWN))
def test_run_lengths_are_those_that_coco_writes(shape: str) -> None:
    inside = shapes()[shape]
    assert masks.encode(inside).counts == KNOWN[shape]
    assert (masks.decode(Mask(width=inside.shape[1], height=inside.shape[0], counts=KNOWN[shape])) == inside).all()


@pytest.mark.parametrize("counts", ["", "0", "P", "~4", "4é", "PPPPPPP1", "<D", "="])
def test_text_that_is_no_mask_is_refused(counts: str) -> None:
    with pytest.raises(ValueError, match="run"):
        masks.decode(Mask(width=4, height=3, counts=counts))


@given(text=st.text(max_size=30), width=st.integers(1, 50), height=st.integers(1, 50))
def test_rubbish_is_refused_or_is_a_mask(text: str, width: int, height: int) -> None:
    try:
        inside = masks.decode(Mask(width=width, height=height, counts=text))
    except ValueError:
        return
    assert inside.shape == (height, width)


def test_a_mask_keeps_its_place_on_another_grid() -> None:
    mask = masks.encode(shapes()["ellipse"])
    for width, height in ((32, 24), (200, 150), (64, 20), (7, 90)):
        other = masks.resized(mask, width, height)
        assert (other.width, other.height) == (width, height)
        assert masks.area(other) == pytest.approx(masks.area(mask), abs=0.03)
        box, expected = masks.bounding_box(other), masks.bounding_box(mask)
        assert box is not None
        assert expected is not None
        assert box.x == pytest.approx(expected.x, abs=1 / width + 1 / 64)
        assert box.y + box.height == pytest.approx(expected.y + expected.height, abs=1 / height + 1 / 48)
    assert masks.resized(mask, 64, 48) is mask
    halved = masks.coverage(mask, 32, 24)
    assert halved.mean() == pytest.approx(masks.area(mask), abs=1e-4)
    assert set(np.unique(np.round(halved * 4) / 4)) <= {0, 0.25, 0.5, 0.75, 1}
    full = masks.encode(shapes()["full"])
    assert masks.area(masks.resized(full, 13, 11)) == 1


def test_a_box_is_covered_by_the_part_inside() -> None:
    inside = np.zeros((10, 10), np.bool_)
    inside[:, :5] = True
    mask = masks.encode(inside)
    assert masks.covers(mask, Box(x=0, y=0, width=0.5, height=1)) == pytest.approx(1)
    assert masks.covers(mask, Box(x=0.25, y=0.1, width=0.5, height=0.33)) == pytest.approx(0.5)
    assert masks.covers(mask, Box(x=0.47, y=0.1, width=0.06, height=0.02)) == pytest.approx(0.5)
    assert masks.covers(mask, Box(x=0.6, y=0, width=0.4, height=1)) == 0
    assert masks.covers(mask, Box(x=0.2, y=0.2, width=0, height=0.5)) == 0


def test_only_grids_become_masks() -> None:
    with pytest.raises(ValueError, match="bool"):
        masks.encode(np.zeros((3, 4), np.uint8))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="shape"):
        masks.encode(np.zeros((3, 4, 1), np.bool_))
