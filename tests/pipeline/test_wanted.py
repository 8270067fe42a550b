"""What Immich should hold: the whole table of mode, review and version."""

import itertools
from dataclasses import replace

import pytest

from immich_sidecar.library.tables import Review, Source
from immich_sidecar.pipeline.wanted import NOTHING, Primary, Wanted, original_wanted, wanted
from immich_sidecar.settings import Mode

ON_TOP = Wanted(upload=True, stack=True, primary=Primary.OURS, mark=True, mark_original=True, bring_back=True)
BENEATH = Wanted(upload=True, stack=True, primary=Primary.KEEP, mark=True, mark_original=True)
BACK = Wanted(upload=True, stack=True, primary=Primary.RESTORE, mark=True, mark_original=True, bring_back=True)
SUPERSEDED = Wanted(upload=True, stack=True, primary=Primary.KEEP, mark=True)

#: (review, version 1?, in Immich?) of the current version -> what is wanted in review, stack and auto.
TABLE = {
    (Review.NONE, True, False): (NOTHING, NOTHING, NOTHING),
    (Review.NONE, True, True): (BACK, BACK, BACK),
    (Review.NONE, False, False): (NOTHING, NOTHING, NOTHING),
    (Review.NONE, False, True): (BACK, BACK, BACK),
    (Review.PENDING, True, False): (NOTHING, BENEATH, BENEATH),
    (Review.PENDING, True, True): (BACK, BACK, BACK),
    (Review.PENDING, False, False): (NOTHING, NOTHING, NOTHING),
    (Review.PENDING, False, True): (BACK, BACK, BACK),
    (Review.APPROVED, True, False): (ON_TOP, ON_TOP, ON_TOP),
    (Review.APPROVED, True, True): (ON_TOP, ON_TOP, ON_TOP),
    (Review.APPROVED, False, False): (ON_TOP, ON_TOP, ON_TOP),
    (Review.APPROVED, False, True): (ON_TOP, ON_TOP, ON_TOP),
    (Review.REJECTED, True, False): (NOTHING, NOTHING, NOTHING),
    (Review.REJECTED, True, True): (BACK, BACK, BACK),
    (Review.REJECTED, False, False): (NOTHING, NOTHING, NOTHING),
    (Review.REJECTED, False, True): (BACK, BACK, BACK),
}
MODES = (Mode.REVIEW, Mode.STACK, Mode.AUTO)


def test_the_table_is_whole() -> None:
    assert set(TABLE) == set(itertools.product(Review, (True, False), (True, False)))
    assert set(MODES) == set(Mode)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("review", "first", "uploaded"), TABLE)
def test_the_current_version(mode: Mode, review: Review, first: bool, uploaded: bool) -> None:
    result = wanted(mode, review, current=True, first=first, kept=True, uploaded=uploaded)
    assert result == TABLE[review, first, uploaded][MODES.index(mode)]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("review", Review)
@pytest.mark.parametrize("first", [True, False])
def test_superseded_versions_stay_where_they_are(mode: Mode, review: Review, first: bool) -> None:
    # Where nothing is approved, an earlier one does not stay on top either.
    expected = SUPERSEDED if review is Review.APPROVED else replace(SUPERSEDED, primary=Primary.RESTORE)
    expected = replace(expected, bring_back=review in (Review.NONE, Review.PENDING))
    assert wanted(mode, review, current=False, first=first, kept=True, uploaded=True) == expected
    if review is Review.PENDING:
        # But one that was approved, while its owner has not decided about a change of it.
        expected = replace(expected, primary=Primary.KEEP)
        assert wanted(mode, review, current=False, first=first, kept=True, uploaded=True, standing=True) == expected
    assert wanted(mode, review, current=False, first=first, kept=True, uploaded=False) == NOTHING


@pytest.mark.parametrize(
    ("review", "current", "first", "kept", "uploaded"),
    list(itertools.product(Review, *[(True, False)] * 4)),
)
def test_without_a_connection_or_a_file_nothing_is_wanted(
    review: Review, current: bool, first: bool, kept: bool, uploaded: bool
) -> None:
    assert wanted(None, review, current=current, first=first, kept=kept, uploaded=uploaded).nothing
    for mode in MODES:
        assert wanted(mode, review, current=current, first=first, kept=False, uploaded=uploaded).nothing


@pytest.mark.parametrize("review", Review)
def test_only_approval_puts_ours_on_top(review: Review) -> None:
    for mode, current, first, uploaded in itertools.product(MODES, *[(True, False)] * 3):
        found = wanted(mode, review, current=current, first=first, kept=True, uploaded=uploaded)
        assert (found.primary is Primary.OURS) == (review is Review.APPROVED and current)


CASES = list(itertools.product(MODES, Review, *[(True, False)] * 6))


@pytest.mark.parametrize("retired_now", [True, False])
def test_what_is_retired(retired_now: bool) -> None:
    for mode, review, current, first, uploaded, replaced, trashes, kept in CASES:
        found = wanted(
            mode,
            review,
            current=current,
            first=first,
            kept=kept,
            uploaded=uploaded,
            replaced=replaced,
            trashes=trashes,
            retired_now=retired_now,
        )
        rejected = review is Review.REJECTED and trashes
        took_its_place = review is Review.APPROVED and replaced and not current
        assert found.retire == (kept and uploaded and (rejected or took_its_place))
        # Never the version that its owner approved, and never one that would be brought back in the same breath.
        assert not (found.retire and current and review is Review.APPROVED)
        assert not (found.retire and found.bring_back)
        # Only a current one that was rejected, or an earlier one that is replaced, is to leave the top of the stack.
        assert not (found.retire and found.primary is Primary.OURS)


def test_what_comes_back() -> None:
    def earlier(review: Review, *, retired_now: bool) -> bool:
        return wanted(
            Mode.STACK,
            review,
            current=False,
            first=True,
            kept=True,
            uploaded=True,
            trashes=True,
            retired_now=retired_now,
        ).bring_back

    # It went with a rejection, or an approval, of the version that is still the current one, and that was undone.
    assert earlier(Review.PENDING, retired_now=True)
    # It was rejected itself, and then the photo was changed.
    assert not earlier(Review.PENDING, retired_now=False)
    # While it is not known whether the current version is in its place, nothing is moved about.
    assert not earlier(Review.APPROVED, retired_now=True)
    assert not earlier(Review.REJECTED, retired_now=True)


def test_originals() -> None:
    assert original_wanted(Source.HOT_FOLDER, connected=True)
    assert original_wanted(Source.UPLOAD, connected=True)
    assert not original_wanted(Source.IMMICH, connected=True)
    assert not original_wanted(Source.HOT_FOLDER, connected=False)
