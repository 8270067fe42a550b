"""Stars follow the votes, are proposed only, and nobody's without votes."""

import pytest

from immich_sidecar.advise.rating import propose
from immich_sidecar.analysis.findings import Findings, Quality


def votes(mean: float, spread: float = 1.3) -> Quality:
    """A bell of votes about a mean."""
    shares = [2.718281828 ** (-(((vote - mean) / spread) ** 2) / 2) for vote in range(1, 11)]
    whole = sum(shares)
    return Quality(votes=tuple(share / whole for share in shares))


@pytest.mark.parametrize(("mean", "stars"), [(3.5, 1), (4.6, 2), (5.2, 3), (5.8, 4), (6.8, 5)])
def test_stars_follow_the_mean(mean: float, stars: int) -> None:
    rating = propose(Findings(aesthetic=votes(mean)))
    assert rating is not None
    assert rating.stars == stars
    assert f"{votes(mean).mean:.1f} of 10" in rating.reason


def test_what_is_badly_made_loses_stars_and_none_is_left_without_one() -> None:
    good = propose(Findings(aesthetic=votes(6.5), technical=votes(5.5)))
    soft = propose(Findings(aesthetic=votes(6.5), technical=votes(4.1)))
    bad = propose(Findings(aesthetic=votes(6.5), technical=votes(3.0)))
    worst = propose(Findings(aesthetic=votes(3.0), technical=votes(2.0)))
    assert good is not None
    assert soft is not None
    assert bad is not None
    assert worst is not None
    assert [one.stars for one in (good, soft, bad, worst)] == [5, 4, 3, 1]
    assert "how it is made" in soft.reason


def test_divided_votes_are_less_sure() -> None:
    agreed, divided = (propose(Findings(aesthetic=votes(5.2, spread))) for spread in (1.0, 2.4))
    assert agreed is not None
    assert divided is not None
    assert agreed.confidence > divided.confidence


def test_without_votes_nothing_is_proposed() -> None:
    assert propose(None) is None
    assert propose(Findings()) is None
    assert propose(Findings(technical=votes(5.0))) is None
