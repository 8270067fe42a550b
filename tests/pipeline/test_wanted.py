"""What Immich should hold: the whole table of mode, review and version."""

import itertools
from dataclasses import replace

import pytest

from immich_sidecar.library.tables import Review, Source
from immich_sidecar.pipeline.wanted import NOTHING, Primary, Wanted, original_wanted, wanted
from immich_sidecar.settings import Mode

ON_TOP = Wanted(upload=True, stack=True, primary=Primary.OURS, mark=True, mark_original=True)
BENEATH = Wanted(upload=True, stack=True, primary=Primary.KEEP, mark=True, mark_original=True)
BACK = Wanted(upload=True, stack=True, primary=Primary.RESTORE, mark=True, mark_original=True)
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
    # Where the current version was rejected, an earlier one does not stay on top either.
    expected = replace(SUPERSEDED, primary=Primary.RESTORE) if review is Review.REJECTED else SUPERSEDED
    assert wanted(mode, review, current=False, first=first, kept=True, uploaded=True) == expected
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


def test_originals() -> None:
    assert original_wanted(Source.HOT_FOLDER, connected=True)
    assert original_wanted(Source.UPLOAD, connected=True)
    assert not original_wanted(Source.IMMICH, connected=True)
    assert not original_wanted(Source.HOT_FOLDER, connected=False)
