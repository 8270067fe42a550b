"""Masks as text come back as they were, and rubbish is refused before it costs anything."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from immich_sidecar.recipe.run_lengths import read, written


@given(st.data())
def test_runs_come_back(data: st.DataObject) -> None:
    width, height = data.draw(st.integers(1, 400)), data.draw(st.integers(1, 400))
    cuts = sorted(data.draw(st.lists(st.integers(0, width * height), max_size=40)))
    edges = [0, *cuts, width * height]
    runs = tuple(b - a for a, b in itertools.pairwise(edges))

    assert read(written(runs), width, height) == runs


def test_the_text_is_that_of_coco() -> None:
    # A 4 x 3 grid whose second column is inside: three outside, three inside, six outside.
    assert written([3, 3, 6]) == "336"
    # 16 needs a second group, for its highest bit would be a sign; the fourth run is told by its difference.
    assert written([16, 40, 16, 40]) == "`0X1`00"


@pytest.mark.parametrize("counts", ["", "3", "33", "3366", "P", "é", " ", "o" * 400, "33\x00", "0" * 100_000, "3O9"])
def test_what_covers_no_grid_is_refused(counts: str) -> None:
    with pytest.raises(ValueError, match="run"):
        read(counts, 4, 3)


@pytest.mark.parametrize("size", [(0, 3), (3, 0), (-1, -3), (5000, 1), (1, 10**9)])
def test_grids_are_bounded(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="grid"):
        read("3", *size)
