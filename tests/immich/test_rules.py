"""Rules: what they say of a photo, in which order, and how it is said."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from immich_py_client.models import Asset

from immich_sidecar.advise.presets import Preset
from immich_sidecar.develop.probe import FileFacts
from immich_sidecar.immich.rules import Named, Rule, Rules, Skip, judge, may_change, never_taken, reason_to_skip
from immich_sidecar.immich.traits import Special, Traits, traits_of, with_facts
from immich_sidecar.settings import Mode

LIBRARY = "af9ba5d5-7c49-4ec5-8c2e-9b6c1e1c4b7a"


def asset(name: str = "IMG_1.jpg", **fields: Any) -> Asset:
    exif = {"make": "Canon", "model": "Canon EOS R5", "dateTimeOriginal": "2024-05-06T07:08:09.000Z"}
    exif |= fields.pop("exif", {})
    base = {"id": "a", "type": "IMAGE", "originalFileName": name, "visibility": "timeline", "thumbhash": "x"}
    return Asset.from_dict(base | {"width": 6000, "height": 4000, "exifInfo": exif} | fields)


def said(found: Asset, *rules: Rule, otherwise: Rule | None = None, **known: Any) -> str:
    """`take`, `look`, or the reason."""
    verdict = judge(traits_of(found, **known), Rules(rules=rules, otherwise=otherwise or Rule()))
    return {True: "take", None: "look"}.get(verdict.take, verdict.reason or "")


NOTHING = Rule(takes=False)


def test_without_rules_photos_are_taken_and_special_ones_are_not() -> None:
    assert said(asset()) == "take"
    assert said(asset(visibility="archive")) == "take"
    assert said(asset(visibility="hidden")) == Skip.HIDDEN
    assert said(asset(libraryId=LIBRARY)) == Skip.EXTERNAL_LIBRARY
    assert said(asset(livePhotoVideoId=LIBRARY)) == Skip.LIVE_PHOTO
    assert said(asset(isEdited=True)) == Skip.EDITED
    assert said(asset(exif={"projectionType": "EQUIRECTANGULAR"})) == Skip.PANORAMA
    assert said(asset("Screenshot_2024.jpg")) == Skip.SCREENSHOT


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"type": "VIDEO"}, Skip.VIDEO),
        ({"visibility": "locked"}, Skip.LOCKED),
        ({"isTrashed": True}, Skip.TRASHED),
        ({"isOffline": True}, Skip.OFFLINE),
        ({"name": "moving.gif"}, "animated pictures are not developed (.gif)"),
    ],
)
def test_no_rule_makes_these_possible(fields: dict[str, Any], reason: str) -> None:
    assert never_taken(asset(**fields)) == reason


@pytest.mark.parametrize("special", list(Special))
def test_a_rule_may_be_about_any_special_kind(special: Special) -> None:
    fields: dict[Special, Asset] = {
        Special.SCREENSHOT: asset("Bildschirmfoto 2024-05-06.png"),
        Special.EDITED: asset(isEdited=True),
        Special.EXTERNAL: asset(libraryId=LIBRARY),
        Special.LIVE_PHOTO: asset(livePhotoVideoId=LIBRARY),
        Special.PANORAMA: asset(exif={"projectionType": "EQUIRECTANGULAR"}),
        Special.ARCHIVED: asset(visibility="archive"),
        Special.HIDDEN: asset(visibility="hidden"),
    }
    found = fields[special]
    assert said(found, otherwise=Rule(also=frozenset())) not in ("take", "look")
    assert said(found, Rule(also=frozenset({special})), otherwise=Rule(also=frozenset())) == "take"
    verdict = judge(traits_of(found), Rules(otherwise=Rule(also=frozenset({special}))))
    assert verdict.allowed == (special.value,)
    assert reason_to_skip(found, verdict.allowed) is None, "publishing does not stop at what the rule allowed"


@pytest.mark.parametrize(
    ("condition", "fits", "does_not"),
    [
        ({"files": "raw"}, asset("a.NEF"), asset("a.jpg")),
        ({"files": "not_raw"}, asset("a.jpg"), asset("a.dng")),
        ({"cameras": ("eos r5",)}, asset(), asset(exif={"make": "SONY", "model": "ILCE-7M4"})),
        ({"not_cameras": ("canon",)}, asset(exif={"make": "SONY", "model": "ILCE-7M4"}), asset()),
        ({"file_names": ("img_",)}, asset("IMG_1.jpg"), asset("DSC_1.jpg")),
        ({"minimum_megapixels": 20}, asset(), asset(width=640, height=480)),
        ({"minimum_bytes": 1000}, asset(exif={"fileSizeInByte": 1000}), asset(exif={"fileSizeInByte": 999})),
        ({"taken_after": date(2024, 5, 6)}, asset(), asset(exif={"dateTimeOriginal": "2024-05-04T07:08:09.000Z"})),
        ({"taken_before": date(2024, 5, 6)}, asset(), asset(exif={"dateTimeOriginal": "2024-05-08T07:08:09.000Z"})),
    ],
)
def test_each_condition(condition: dict[str, Any], fits: Asset, does_not: Asset) -> None:
    rule = Rule(name="mine", **condition)
    assert rule.has_conditions
    assert said(fits, rule, otherwise=NOTHING) == "take"
    assert said(does_not, rule, otherwise=NOTHING) == Skip.NOT_WANTED
    assert said(fits, Rule(name="mine", takes=False, **condition)) == "left alone by the rule “mine”"
    assert said(does_not, Rule(name="mine", takes=False, **condition)) == "take"


def test_albums_and_tags() -> None:
    in_album, tagged = Rule(albums=(Named(id="album", name="Holiday"),)), Rule(tags=("work/best",))
    for rule, known in ((in_album, {"albums": frozenset({"album"})}), (tagged, {"tags": frozenset({"work/best"})})):
        nothing = dict.fromkeys(("albums", "tags"), frozenset[str]())
        assert said(asset(), rule, otherwise=NOTHING, **(nothing | known)) == "take"
        assert said(asset(), rule, otherwise=NOTHING, **nothing) == Skip.NOT_WANTED


def test_a_date_before_all_others_keeps_no_photo_from_being_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that know no date write the first of all days, which west of Greenwich is none."""
    found = asset(exif={"dateTimeOriginal": "0001-01-01T00:00:00.000Z"})
    with monkeypatch.context() as there:
        there.setenv("TZ", "America/New_York")
        time.tzset()
        verdict = said(found, Rule(name="old", takes=False, taken_before=date(2010, 1, 1)))
    time.tzset()
    assert verdict == "left alone by the rule “old”"


def test_the_first_rule_that_fits_decides() -> None:
    raw = Rule(name="RAW", files="raw", preset=Preset.LIGHT, mode=Mode.AUTO)
    canon = Rule(name="Canon", cameras=("canon",), takes=False)
    verdict = judge(traits_of(asset("a.cr3")), Rules(rules=(raw, canon)))
    assert (verdict.take, verdict.preset, verdict.mode) == (True, "light", "auto")
    assert judge(traits_of(asset("a.cr3")), Rules(rules=(canon, raw))).reason == "left alone by the rule “Canon”"
    assert said(asset(exif={"make": "X", "model": "Y"}), raw, canon) == "take"


def test_a_special_kind_goes_on_to_the_next_rule_and_is_named_in_the_end() -> None:
    canon, shots = Rule(cameras=("canon",)), Rule(also=frozenset({Special.SCREENSHOT}), preset=Preset.STRAIGHTEN)
    found = asset("Screenshot 1.png")
    assert judge(traits_of(found), Rules(rules=(canon, shots))).preset == "straighten"
    assert said(found, canon, otherwise=NOTHING) == Skip.SCREENSHOT
    assert said(found, Rule(cameras=("sony",)), otherwise=NOTHING) == Skip.NOT_WANTED


def test_what_immich_does_not_know_yet_is_looked_at_in_the_file() -> None:
    fresh = Asset.from_dict({"id": "a", "type": "IMAGE", "originalFileName": "a.jpg", "visibility": "timeline"})
    canon = Rule(name="Canon", cameras=("canon",))
    assert said(fresh, canon, otherwise=NOTHING) == "look"
    assert said(fresh, canon) == "take", "whatever the camera is"
    assert said(fresh, Rule(name="Canon", cameras=("canon",), preset=Preset.LIGHT)) == "look", "it decides the preset"
    left = Rule(name="Canon", cameras=("canon",), takes=False)
    assert said(fresh, left, otherwise=NOTHING) == Skip.NOT_WANTED, "it is left alone in any case"


def facts(**fields: Any) -> FileFacts:
    base = {"format": "jpeg", "media_type": "image/jpeg", "is_raw": False, "width": 60, "height": 40, "orientation": 1}
    return FileFacts(**(base | fields))


def test_the_file_says_what_was_not_known() -> None:
    fresh = traits_of(Asset.from_dict({"id": "a", "type": "IMAGE", "originalFileName": "a.jpg"}))
    rules = Rules(rules=(Rule(cameras=("canon",), minimum_megapixels=1.0),), otherwise=NOTHING)
    large = with_facts(fresh, facts(make="Canon", model="EOS", width=2000, height=1000), 10)
    assert judge(large, rules).take is True
    assert judge(with_facts(fresh, facts(make="Canon"), 10), rules).take is False
    assert judge(with_facts(fresh, facts(), 10), rules).take is False
    dated = Rules(rules=(Rule(taken_after=date(2020, 1, 1)),), otherwise=NOTHING)
    assert judge(with_facts(fresh, facts(), 10), dated).take is False, "a photo without a date has none after 2020"
    edited = judge(with_facts(fresh, facts(editor="darktable 4.6"), 10), Rules())
    assert (edited.take, edited.reason) == (False, "edited already, with darktable 4.6")


def test_albums_that_the_key_may_not_see_are_said() -> None:
    problem = "it cannot be told which albums and tags it has: the key may not"
    rule = Rule(albums=(Named(id="album"),))
    assert said(asset(), rule, otherwise=NOTHING, problem=problem) == problem
    assert said(asset("a.mov", type="IMAGE"), rule, problem=problem) == "take", "the rule changes nothing"
    assert may_change(problem)


def test_reasons_that_can_change_and_those_that_cannot() -> None:
    assert may_change(Skip.NOT_WANTED)
    assert may_change("left alone by the rule “mine”")
    assert not may_change("left alone by the rule “mine” (its file says so)"), "the file stays as it is"
    assert not may_change("edited already, with Lightroom")
    assert not may_change(Skip.OURS)
    assert not may_change(Skip.VIDEO)
    assert not may_change(None)


def test_rules_survive_being_kept() -> None:
    rules = Rules(
        rules=(
            Rule(name="RAW", files="raw", albums=(Named(id="1", name="A"),), taken_after=date(2020, 1, 2)),
            Rule(name="no", takes=False, also=frozenset({Special.HIDDEN})),
        ),
        otherwise=Rule(takes=False),
    )
    assert Rules.read(rules.to_json()) == rules
    assert Rules.read({}) == Rules.read(None) == Rules()
    assert Rules().to_json() == {}


def test_what_cannot_be_read_takes_nothing() -> None:
    assert said(asset(), otherwise=Rules.read({"rules": [{"preset": "nonsense"}]}).otherwise) == Skip.NOT_WANTED
    assert not Rules.read({"rules": 5}).otherwise.takes


_RULES = st.builds(
    Rule,
    takes=st.booleans(),
    files=st.sampled_from(["any", "raw", "not_raw"]),
    cameras=st.sampled_from([(), ("canon",), ("sony",)]),
    minimum_megapixels=st.sampled_from([None, 1.0, 30.0]),
    taken_after=st.sampled_from([None, date(2024, 1, 1), date(2025, 1, 1)]),
    also=st.frozensets(st.sampled_from(list(Special))),
)
_TRAITS = st.builds(
    Traits,
    file_name=st.just("a.jpg"),
    is_raw=st.booleans(),
    camera=st.sampled_from([None, "", "Canon R5"]),
    size=st.sampled_from([None, (100, 100), (6000, 4000)]),
    taken_at=st.sampled_from([None, datetime(2024, 6, 1, tzinfo=UTC)]),
    specials=st.sampled_from([(), ((Special.EDITED, "edited"),)]),
)


@given(st.lists(_RULES, max_size=4), _RULES, _TRAITS, _TRAITS)
def test_what_is_decided_early_holds_for_every_file(
    rules: list[Rule], otherwise: Rule, early: Traits, late: Traits
) -> None:
    """A verdict without the file is the one with the file, whatever is found in it that was not known."""
    from dataclasses import replace

    known = replace(
        late,
        is_raw=early.is_raw,
        camera=early.camera if early.camera is not None else late.camera or "",
        size=early.size or late.size or (1, 1),
        taken_at=early.taken_at or late.taken_at,
        specials=early.specials,
        complete=True,
    )
    both = Rules(rules=tuple(rules), otherwise=otherwise)
    verdict, final = judge(early, both), judge(known, both)
    assert final.take is not None
    if verdict.take is not None:
        assert verdict.take == final.take
        if verdict.take:
            assert verdict == final
