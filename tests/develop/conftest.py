"""Recipes by keyword, and measures of difference."""

from datetime import UTC, datetime

import numpy as np
import pytest

from immich_sidecar.recipe.recipe import new_recipe

AT = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


@pytest.fixture
def recipe():
    """A function that makes a recipe of operations given by keyword."""

    def make(**operations):
        return new_recipe("a" * 64, [], operations, at=AT, recipe_id="00000000-0000-4000-8000-000000000000")

    return make


@pytest.fixture
def steps(recipe):
    """A function that makes operations given by keyword."""
    return lambda **operations: recipe(**operations).operations


def mean_difference(a, b) -> float:
    """Mean absolute difference in code values."""
    assert a.shape == b.shape
    return float(np.abs(a.astype(float) - b.astype(float)).mean())
