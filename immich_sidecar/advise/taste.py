"""More like what its owner approves: how strong a person likes each step, learned from what they decided.

Two small models with strong priors, both held to photos that they were not shown. The first tells from what a photo
measures, and from its embedding, which part of a proposed strength its owner keeps (ridge regression towards "all of
it"). The second asks whether strong changes are rejected more often (logistic regression). Either counts only where it
would have been right about each decision without having seen it, by more than chance; else nothing changes.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from immich_sidecar.recipe.operations import operation_type, validate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Decisions before anything is learned, those of one step, and the newest that are looked at.
FEWEST, FEWEST_OF_A_STEP, MOST = 10, 6, 300
#: Steps whose strength is a matter of taste, with the numbers that say how strong they are, and what each counts.
STRENGTHS: Mapping[str, Mapping[str, float]] = {
    "exposure": {"ev": 1.0},
    "tone": dict.fromkeys(("black", "white", "shadows", "highlights", "contrast"), 0.02),
    "saturation": {"saturation": 0.02, "vibrance": 0.02},
    "denoise": {"luma": 0.05, "chroma": 0.02},
    "sharpen": {"amount": 0.03},
    "subject": {"ev": 1.0, "saturation": 0.02},
    "background": {"ev": 1.0, "saturation": 0.02},
    "sky": {"ev": 1.0, "saturation": 0.02},
    "white_balance": {},
}
#: What is measured of a photo, by its place in the analysis, with a usual value and how far values spread.
_MEASURES = (
    ("exposure", "darkness", 0.2, 0.2),
    ("exposure", "headroom", 0.5, 0.8),
    ("exposure", "warmth", 0.3, 0.3),
    ("exposure", "veil", 25.0, 15.0),
    ("noise", "luma", 1.5, 1.5),
)
#: Prior deviations of the part that is kept: in general, by measurements, by what the photo shows; and of a decision.
_GENERAL, _MEASURED, _SHOWN, _NOISE = 0.5, 0.25, 0.5, 0.25
#: By how much, and by how many standard errors, predictions have to be better than "as proposed".
_LEAST_GAIN, _ERRORS = 0.15, 2.5
#: By how much more a richer model has to gain to be preferred.
_RICHER = 0.05
#: A part of the strength below this is none; and the largest that is ever made of a proposal.
_NOTHING, _LARGEST = 0.15, 1.5
#: Prior deviation of the slope of approval against strength, and the least that is left of any strength by it.
_SLOPE, _LEAST_LEFT = 0.7, 0.5


@dataclass(frozen=True)
class Decision:
    """What somebody decided about one photo."""

    approved: bool
    #: For each step that was proposed and applied: the part of its full strength that was kept, 0 to 2.
    kept: Mapping[str, float]
    #: How much the version that was decided about changed in all; see `STRENGTHS`.
    strength: float
    #: See `measurements`.
    measures: tuple[float, ...]
    #: What the photo shows, of length 1; None where no model has looked at it.
    embedding: "NDArray[np.float32] | None" = field(default=None, compare=False)


class StepTaste(BaseModel):
    """What is known of one step."""

    model_config = ConfigDict(frozen=True)

    #: Decisions about it.
    decisions: int
    #: How much less wrong predictions were than "as proposed", of photos not shown to the model; 0: nothing is known.
    gain: float
    #: The part of a proposal that is kept on average.
    mean: float = 1.0
    #: What is added to a part of 1: in general, for each measurement, and for each number of an embedding.
    general: float = 0.0
    by_measure: tuple[float, ...] = ()
    by_embedding: tuple[float, ...] = ()


class Taste(BaseModel):
    """What was learned of one person."""

    model_config = ConfigDict(frozen=True)

    #: Photos that were decided about.
    decisions: int = 0
    steps: Mapping[str, StepTaste] = Field(default_factory=dict)
    #: Level and slope of the odds of approval by the strength of all changes; None where strength does not tell.
    approval: tuple[float, float] | None = None
    #: How much better approval was told by it, of photos not shown to the model.
    approval_gain: float = 0.0

    @property
    def is_neutral(self) -> bool:
        """Whether nothing was learned that would change a proposal."""
        return self.approval is None and not any(step.gain > 0 for step in self.steps.values())

    def factor(self, name: str, measures: Sequence[float], embedding: Sequence[float] | None = None) -> float:
        """The part of a proposed strength that this person would keep, in steps of 0.05; 1 changes nothing."""
        step = self.steps.get(name)
        if step is None or step.gain <= 0:
            return 1.0
        part = 1.0 + step.general
        part += sum(weight * value for weight, value in zip(step.by_measure, measures, strict=False))
        if embedding is not None and len(embedding) == len(step.by_embedding):
            part += sum(weight * float(value) for weight, value in zip(step.by_embedding, embedding, strict=True))
        return round(min(_LARGEST, max(0.0, part)) * 20) / 20

    def left(self, strength: float) -> float:
        """The part of all strengths at which approval is no less likely than rejection; 1 changes nothing."""
        if self.approval is None or strength <= 0:
            return 1.0
        level, slope = self.approval
        if level + slope * strength >= 0 or slope >= 0:
            return 1.0
        return round(min(1.0, max(_LEAST_LEFT, -level / slope / strength)) * 20) / 20


def measurements(analysis: Mapping[str, Any]) -> tuple[float, ...]:
    """What a photo measures, about -2 to 2 each, as far as its analysis tells; last, whether it shows a face."""
    found = []
    for part, name, usual, spread in _MEASURES:
        value = (analysis.get(part) or {}).get(name)
        found.append(max(-2.0, min(2.0, (float(value) - usual) / spread)) if isinstance(value, int | float) else 0.0)
    faces = (analysis.get("findings") or {}).get("faces") or ()
    return (*found, 1.0 if faces else 0.0)


def strengths(name: str, parameters: Mapping[str, Any] | None) -> tuple[float, ...]:
    """How strong a step is in each direction, on about the same scale for all."""
    if parameters is None:
        return ()
    if name == "white_balance":
        if parameters.get("gains"):
            red, green, blue = (math.log2(float(gain)) for gain in parameters["gains"])
            return (red - green, blue - green)
        mired = 1e6 / 6500 - 1e6 / float(parameters.get("temperature") or 6500)
        return (mired / 100, -mired / 100 - 0.02 * float(parameters.get("tint") or 0))
    return tuple(float(parameters.get(key) or 0) * weight for key, weight in STRENGTHS[name].items())


def kept_part(name: str, final: Mapping[str, Any] | None, proposed: Mapping[str, Any]) -> float | None:
    """The part of a proposal that a final step keeps, 0 to 2; None where there was nothing to keep."""
    wanted, got = strengths(name, proposed), strengths(name, final)
    length = math.fsum(value * value for value in wanted)
    if length < 1e-6:
        return None
    along = math.fsum(a * b for a, b in zip(got, wanted, strict=False)) / length
    return min(2.0, max(0.0, along))


def decision_of(
    recipe: Mapping[str, Any],
    analysis: Mapping[str, Any],
    *,
    approved: bool,
    embedding: "NDArray[np.float32] | None" = None,
) -> Decision:
    """What a recipe as it was decided about says of its owner's taste.

    Parameters
    ----------
    recipe
        `operations`, `ai_metadata` and `user_overrides`, as in its JSON.
    """
    metadata, overrides = recipe.get("ai_metadata") or {}, recipe.get("user_overrides") or {}
    tasted = metadata.get("taste") or {}
    kept, whole = {}, 0.0
    for item in metadata.get("suggestions", ()):
        name = item["operation"]
        if name not in STRENGTHS or not (item.get("applied") or tasted.get(name) == 0.0):
            continue
        # What was proposed had been made weaker already by what was known then.
        factor = float(tasted.get(name, 1.0))
        final = overrides[name] if name in overrides else item["parameters"] if item.get("applied") else None
        part = kept_part(name, final, item["parameters"])
        if part is None:
            continue
        # What is not applied, for it is never kept, still stands in its full strength.
        kept[name] = part * (factor or 1.0)
        whole += part * math.hypot(*strengths(name, item["parameters"]))
    return Decision(approved, kept if approved else {}, whole, measurements(analysis), embedding)


def learn(decisions: Sequence[Decision]) -> Taste:
    """What the newest decisions say; the same decisions always say the same."""
    counted = list(decisions)[-MOST:]
    if len(counted) < FEWEST:
        return Taste(decisions=len(counted))
    steps = {}
    for name in STRENGTHS:
        about = [one for one in counted if name in one.kept]
        if len(about) >= FEWEST_OF_A_STEP:
            steps[name] = _step(about, [one.kept[name] for one in about])
    approval, gain = _approval(counted)
    return Taste(decisions=len(counted), steps=steps, approval=approval, approval_gain=gain)


def scaled(name: str, parameters: Mapping[str, Any], factor: float) -> dict[str, Any] | None:
    """A step at part of its strength; None where nothing is left of it."""
    if factor < _NOTHING:
        return None
    made = operation_type(name).relative.scaled(validate(name, parameters), factor)
    return None if made is None else validate(name, made)


def _step(about: Sequence[Decision], kept: Sequence[float]) -> StepTaste:
    """Ridge regression of what is kept beyond all of it, with leave-one-out errors in closed form."""
    import numpy as np

    y = np.asarray(kept, float) - 1.0
    mean = round(float(1.0 + y.mean()), 3)
    parts = [np.full((len(about), 1), _GENERAL)]
    measured = np.array([one.measures for one in about], float)
    parts.append(_MEASURED * measured / math.sqrt(measured.shape[1]))
    shown = [one.embedding for one in about]
    if all(vector is not None for vector in shown) and len({len(v) for v in shown if v is not None}) == 1:
        parts.append(_SHOWN * np.stack([np.asarray(vector, float) for vector in shown]))
    best, chosen, features = 0.0, 0, parts[0]
    for count in range(1, len(parts) + 1):
        tried = np.concatenate(parts[:count], axis=1)
        gain = _gain(y, tried)
        if gain > best + (_RICHER if chosen else 0.0):
            best, chosen, features = gain, count, tried
    if not chosen:
        return StepTaste(decisions=len(about), gain=0.0, mean=mean)
    alpha = np.linalg.solve(features @ features.T + _NOISE**2 * np.eye(len(y)), y)
    weights = features.T @ alpha
    width = measured.shape[1]
    by_measure = weights[1 : 1 + width] * _MEASURED / math.sqrt(width) if chosen > 1 else ()
    by_embedding = weights[1 + width :] * _SHOWN if chosen > 2 else ()
    return StepTaste(
        decisions=len(about),
        gain=round(best, 3),
        mean=mean,
        general=round(float(weights[0]) * _GENERAL, 5),
        by_measure=tuple(round(float(value), 5) for value in by_measure),
        by_embedding=tuple(round(float(value), 5) for value in by_embedding),
    )


def _gain(y: "NDArray[np.float64]", features: "NDArray[np.float64]") -> float:
    """How much of the squared error of "as proposed" goes, of decisions not shown; 0 where that may be chance."""
    import numpy as np

    inverse = np.linalg.inv(features @ features.T + _NOISE**2 * np.eye(len(y)))
    errors = (inverse @ y) / np.diag(inverse)
    return _beyond_chance(y**2, errors**2)


def _beyond_chance(before: "NDArray[np.float64]", after: "NDArray[np.float64]") -> float:
    if before.mean() <= 1e-6:
        return 0.0
    better = before - after
    gain = float(better.mean() / before.mean())
    error = float(better.std(ddof=1)) / math.sqrt(len(better))
    return gain if gain >= _LEAST_GAIN and better.mean() >= _ERRORS * error else 0.0


def _approval(decisions: Sequence[Decision]) -> tuple[tuple[float, float] | None, float]:
    """Whether stronger changes are rejected: level and slope, and the held-out gain."""
    import numpy as np

    strength = np.array([one.strength for one in decisions], float)
    approved = np.array([one.approved for one in decisions], float)
    if min(approved.sum(), len(approved) - approved.sum()) < 3:
        return None, 0.0
    alone = np.ones((len(decisions), 1))
    both = np.column_stack([alone, strength])
    before, after = (_left_out(features, approved) for features in (alone, both))
    gain = _beyond_chance(before, after)
    level, slope = _logistic(both, approved)
    return ((round(level, 4), round(slope, 4)), round(gain, 3)) if gain > 0 and slope < 0 else (None, 0.0)


def _left_out(features: "NDArray[np.float64]", y: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Log loss of each decision by a model that was not shown it."""
    import numpy as np

    losses = np.empty(len(y))
    for i in range(len(y)):
        others = np.arange(len(y)) != i
        odds = float(features[i] @ np.asarray(_logistic(features[others], y[others])))
        losses[i] = np.logaddexp(0.0, -odds if y[i] else odds)
    return losses


def _logistic(features: "NDArray[np.float64]", y: "NDArray[np.float64]") -> tuple[float, ...]:
    """Weights by Newton's method, with a normal prior on the slope."""
    import numpy as np

    prior = np.diag([0.05, *([1 / _SLOPE**2] * (features.shape[1] - 1))])
    weights = np.zeros(features.shape[1])
    for _ in range(12):
        chance = 1 / (1 + np.exp(-np.clip(features @ weights, -30, 30)))
        slope = features.T @ (y - chance) - prior @ weights
        curve = (features * (chance * (1 - chance))[:, None]).T @ features + prior
        weights = weights + np.linalg.solve(curve, slope)
    return tuple(float(value) for value in weights)


def total(steps: Iterable[tuple[str, Mapping[str, Any]]]) -> float:
    """How much steps change in all."""
    return math.fsum(math.hypot(*strengths(name, parameters)) for name, parameters in steps if name in STRENGTHS)
