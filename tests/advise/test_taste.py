"""What simulated people like is learned, and chance is not."""

import math
from typing import Any

import numpy as np
import pytest

from immich_sidecar.advise.adviser import advise, recipe_for
from immich_sidecar.advise.looks import with_preset
from immich_sidecar.advise.presets import chosen
from immich_sidecar.advise.taste import (
    FEWEST,
    Decision,
    Taste,
    decision_of,
    kept_part,
    learn,
    measurements,
    scaled,
)
from immich_sidecar.analysis.analysis import Analysis, analyse
from tests.advise.test_adviser import AT, HASH
from tests.photos.make import degraded, full_exif, sample_photo, write_jpeg

MEASURES = 6


def decisions(count: int, likes: Any, *, seed: int = 1, embedded: bool = False) -> list[Decision]:
    """Approved photos of which `likes(measures, embedding, rng)` of the exposure was kept."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        measures = tuple(rng.normal(size=MEASURES))
        vector = rng.normal(size=16).astype(np.float32)
        vector /= np.linalg.norm(vector)
        part = float(np.clip(likes(measures, vector, rng), 0, 2))
        made.append(Decision(True, {"exposure": part}, 1.0, measures, vector if embedded else None))
    return made


def test_who_likes_half_gets_half() -> None:
    taste = learn(decisions(12, lambda m, e, rng: 0.5 + rng.normal(0, 0.08)))

    assert taste.factor("exposure", (0.0,) * MEASURES) == pytest.approx(0.5, abs=0.1)
    assert taste.steps["exposure"].gain > 0.5
    assert taste.factor("tone", (0.0,) * MEASURES) == 1.0
    assert not taste.is_neutral


def test_nine_decisions_are_too_few() -> None:
    assert learn(decisions(FEWEST - 1, lambda m, e, rng: 0.5)).is_neutral
    assert not learn(decisions(FEWEST, lambda m, e, rng: 0.5)).is_neutral


@pytest.mark.parametrize("count", [10, 25, 80])
def test_who_decides_at_random_gets_nothing_changed(count: int) -> None:
    changed = 0
    for seed in range(60):
        taste = learn(decisions(count, lambda m, e, rng: 1 + rng.normal(0, 0.4), seed=seed, embedded=True))
        changed += not taste.is_neutral
    # A chance of about one in a hundred, for each of three models.
    assert changed <= 4


def test_who_approves_everything_as_it_is_gets_nothing_changed() -> None:
    assert learn(decisions(50, lambda m, e, rng: 1.0)).is_neutral


def test_what_depends_on_the_photo_is_learned_with_the_photo() -> None:
    taste = learn(decisions(80, lambda m, e, rng: 1 - 0.4 * (m[0] > 0) + rng.normal(0, 0.05), seed=3))

    assert taste.factor("exposure", (1.5, *(0.0,) * 5)) < taste.factor("exposure", (-1.5, *(0.0,) * 5)) - 0.2


def test_what_depends_on_what_is_shown_is_learned_from_embeddings() -> None:
    direction = np.eye(16)[0]
    made = decisions(120, lambda m, e, rng: 0.75 + 0.9 * float(e @ direction), seed=4, embedded=True)
    taste = learn(made)

    flat = (0.0,) * MEASURES
    assert taste.factor("exposure", flat, list(direction)) > taste.factor("exposure", flat, list(-direction)) + 0.4
    assert taste.factor("exposure", flat) == pytest.approx(0.75, abs=0.12)


def judged(count: int, chance: Any, seed: int = 1) -> list[Decision]:
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        strength = float(rng.uniform(0.2, 4.0))
        approved = bool(rng.random() < chance(strength))
        made.append(Decision(approved, {"exposure": 1.0} if approved else {}, strength, (0.0,) * MEASURES))
    return made


def test_who_rejects_what_is_strong_gets_less() -> None:
    taste = learn(judged(80, lambda s: 1 / (1 + math.exp(3 * (s - 2)))))

    assert taste.approval is not None
    assert taste.approval_gain > 0.15
    assert taste.left(1.0) == 1.0
    assert 0.5 <= taste.left(3.5) < 0.8


def test_who_rejects_at_random_gets_nothing_changed() -> None:
    assert sum(not learn(judged(40, lambda s: 0.6, seed=seed)).is_neutral for seed in range(40)) <= 2


def test_learning_is_deterministic_and_goes_to_json_and_back() -> None:
    made = decisions(40, lambda m, e, rng: 0.6 + 0.1 * m[1] + rng.normal(0, 0.1), embedded=True)
    assert learn(made) == learn(made)
    assert Taste.model_validate_json(learn(made).model_dump_json()) == learn(made)


@pytest.mark.parametrize(
    ("name", "final", "proposed", "part"),
    [
        ("exposure", {"ev": 0.5}, {"ev": 1.0}, 0.5),
        ("exposure", None, {"ev": 1.0}, 0.0),
        ("exposure", {"ev": -1.0}, {"ev": 1.0}, 0.0),
        ("exposure", {"ev": 5.0}, {"ev": 1.0}, 2.0),
        ("exposure", {"ev": 1.0}, {"ev": 0.0}, None),
        ("tone", {"shadows": 20, "black": -5}, {"shadows": 40, "black": -10}, 0.5),
        ("white_balance", {"gains": [2**0.5, 1, 2**-0.5]}, {"gains": [2, 1, 0.5]}, 0.5),
        ("white_balance", {"temperature": 6500, "tint": 0}, {"temperature": 8000, "tint": 0}, 0.0),
        ("subject", {"ev": 0.3, "mask": {}}, {"ev": 0.6, "mask": {}}, 0.5),
    ],
)
def test_the_part_that_is_kept(name: str, final: Any, proposed: Any, part: float | None) -> None:
    found = kept_part(name, final, proposed)
    assert found == (None if part is None else pytest.approx(part, abs=0.01))


def test_what_was_weakened_already_counts_as_weaker() -> None:
    suggestion = {"operation": "exposure", "parameters": {"ev": 0.5}, "applied": True}
    recipe = {"ai_metadata": {"suggestions": [suggestion], "taste": {"exposure": 0.5}}, "user_overrides": {}}
    assert decision_of(recipe, {}, approved=True).kept == {"exposure": 0.5}
    recipe["user_overrides"] = {"exposure": {"ev": 1.0}}
    assert decision_of(recipe, {}, approved=True).kept == {"exposure": 1.0}
    off = {"ai_metadata": {"suggestions": [{**suggestion, "applied": False}], "taste": {"exposure": 0.0}}}
    assert decision_of(off, {}, approved=True).kept == {"exposure": 0.0}
    taken_anyway = {**off, "user_overrides": {"exposure": {"ev": 0.5}}}
    assert decision_of(taken_anyway, {}, approved=True).kept == {"exposure": 1.0}
    assert decision_of(recipe, {}, approved=False).kept == {}


def test_measurements_of_anything() -> None:
    assert measurements({}) == (0.0,) * MEASURES
    assert measurements({"exposure": None, "noise": {"luma": 1e9}, "findings": {"faces": [{}]}})[-2:] == (2.0, 1.0)


def test_masked_steps_are_weakened_with_their_mask() -> None:
    mask = {"width": 1, "height": 1, "counts": "01"}
    weaker = scaled("subject", {"mask": mask, "ev": 1.0}, 0.5)
    assert weaker is not None
    assert (weaker["mask"], weaker["ev"]) == (mask, 0.5)
    assert scaled("subject", {"mask": mask, "ev": 1.0}, 0.1) is None


@pytest.fixture(scope="module")
def dark(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    picture = degraded(sample_photo("coffee", shrink=1), ev=-2.0)
    return analyse(write_jpeg(tmp_path_factory.mktemp("taste") / "a.jpg", picture, exif=full_exif()))


def test_advice_is_shifted_says_so_and_remembers(dark: Analysis) -> None:
    plain = {s.operation: s for s in advise(dark).suggestions}
    taste = learn(decisions(20, lambda m, e, rng: 0.5))
    advice = advise(dark, taste=taste)
    step = {s.operation: s for s in advice.suggestions}["exposure"]

    part = taste.factor("exposure", measurements(dark.model_dump(mode="json")))
    assert step.parameters["ev"] == pytest.approx(part * plain["exposure"].parameters["ev"], abs=0.02)
    assert "as you like it" in step.reason
    assert recipe_for(HASH, advice, dark, at=AT).ai_metadata["taste"] == {"exposure": part}
    assert advise(dark, taste=Taste()) == advise(dark)
    assert "taste" not in recipe_for(HASH, advise(dark), dark, at=AT).ai_metadata


def test_what_is_always_switched_off_is_offered_only(dark: Analysis) -> None:
    advice = advise(dark, taste=learn(decisions(20, lambda m, e, rng: 0.0)))
    step = {s.operation: s for s in advice.suggestions}["exposure"]

    assert not step.applied
    assert step.parameters == {s.operation: s for s in advise(dark).suggestions}["exposure"].parameters
    recipe = recipe_for(HASH, advice, dark, at=AT)
    assert recipe.ai_metadata["taste"] == {"exposure": 0.0}
    again = with_preset(recipe, chosen("vivid"), is_raw=False, at=AT)
    assert not any(s["applied"] for s in again.ai_metadata["suggestions"] if s["operation"] == "exposure")
