"""Answers of language models are understood where they can be, asked for once more, and then kept as they came."""

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from immich_sidecar.analysis.findings import Words
from immich_sidecar.analysis.models import wording
from immich_sidecar.analysis.models.wording import Turn, understood
from immich_sidecar.errors import ModelAnswerError

GOOD: dict[str, Any] = {
    "description": "Two people ski down a slope.",
    "composition": ["Leave more room on the left."],
    "colour": ["The snow is blue; warm it.", "Less contrast."],
    "crops": [{"x": 0.1, "y": 0.0, "width": 0.8, "height": 0.9, "reason": "less sky"}],
    "technical": "Sharp, a little underexposed.",
}


def changed(**changes: Any) -> str:
    return json.dumps({**GOOD, **changes})


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(GOOD),
        f"```json\n{json.dumps(GOOD, indent=2)}\n```",
        f"Here you are:\n```\n{json.dumps(GOOD)}\n```\nI hope it helps {{really}}.",
        f"<think>{{a: 1}} or {{}}?</think>Sure. {json.dumps(GOOD)} That is all.",
        f'{{"thinking": 1}} {json.dumps(GOOD)}',
        changed(mood="happy", colour=GOOD["colour"]),
    ],
)
def test_the_five_answers_are_found_in_what_is_around_them(text: str) -> None:
    words = understood(text)
    assert words.description == GOOD["description"]
    assert words.composition == ("Leave more room on the left.",)
    assert words.colour == ("The snow is blue; warm it.", "Less contrast.")
    assert words.technical == GOOD["technical"]
    (crop,) = words.crops
    assert (crop.box.x, crop.box.y, crop.box.width, crop.box.height) == pytest.approx((0.1, 0, 0.8, 0.9))
    assert crop.reason == "less sky"
    assert words.malformed is None


@pytest.mark.parametrize(
    ("crop", "is_kept"),
    [
        ({"x": 0, "y": 0, "width": 0.5, "height": 0.5}, True),
        ({"x": 0.21, "y": 0.1, "width": 0.8, "height": 0.9}, True),
        ({"x": 120, "y": 40, "width": 640, "height": 480}, False),
        ({"x": -0.1, "y": 0, "width": 0.5, "height": 0.5}, False),
        ({"x": 0.5, "y": 0.5, "width": 0.7, "height": 0.5}, False),
        ({"x": 0.5, "y": 0.5, "width": 0.05, "height": 0.5}, False),
        ({"x": 0.5, "y": 0.5, "width": -0.4, "height": 0.5}, False),
        ({"x": 0, "y": 0, "width": 1, "height": 1}, False),
        ({"x": float("nan"), "y": 0, "width": 0.5, "height": 0.5}, False),
        ({"x": 0, "y": 0, "width": float("inf"), "height": 0.5}, False),
    ],
)
def test_crops_out_of_range_are_dropped(crop: dict[str, float], is_kept: bool) -> None:
    words = understood(changed(crops=[crop, GOOD["crops"][0]]))
    assert len(words.crops) == 1 + is_kept
    assert all(c.box.x + c.box.width <= 1 and c.box.y + c.box.height <= 1 for c in words.crops)
    assert words.description == GOOD["description"]


def test_small_deviations_are_borne() -> None:
    words = understood(changed(composition="One sentence.", colour=[], crops=[], technical=""))
    assert words.composition == ("One sentence.",)
    assert (words.colour, words.crops, words.technical) == ((), (), "")
    many = understood(changed(colour=["more"] * 50, description="a\x00b\x1b[31m " + "long " * 500))
    assert len(many.colour) == wording.MOST_ITEMS
    assert many.description.startswith("a b [31m long")
    assert len(many.description) <= wording.LONGEST


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no JSON object"),
        ("I cannot see the photo.", "no JSON object"),
        (json.dumps(GOOD)[:-20], "no JSON object|description"),
        (json.dumps([1, 2]), "object"),
        (changed(description=None), "description"),
        (changed(description=""), "description"),
        (changed(crops=[{"x": "left"}]), r"crops\.0\.x"),
        (changed(colour={"warm": True}), "colour"),
        (json.dumps({key: value for key, value in GOOD.items() if key != "technical"}), "technical"),
        ("[" * 100_000, "no JSON object"),
        ('{"a":' * 30_000, "no JSON object"),
    ],
)
def test_what_is_wrong_is_told(text: str, problem: str) -> None:
    with pytest.raises(ModelAnswerError, match=problem):
        understood(text)


@given(text=st.text(max_size=300))
def test_no_text_breaks_it(text: str) -> None:
    for tried in (text, "{" + text + "}", f"```json{text}```", json.dumps(GOOD).replace("sky", text)):
        try:
            understood(tried)
        except ModelAnswerError:
            continue


class Asker:
    """Answers from a list, and remembers what it was asked."""

    def __init__(self, *rounds: list[str]) -> None:
        self.rounds = list(rounds)
        self.asked: list[list[tuple[int, tuple[Turn, ...]]]] = []

    def __call__(self, said: list[tuple[int, tuple[Turn, ...]]]) -> list[str]:
        self.asked.append(said)
        return self.rounds.pop(0)


def test_a_malformed_answer_is_asked_for_once_more_with_what_is_wrong() -> None:
    asker = Asker([changed(description=""), json.dumps(GOOD)], [changed(description="Now.")])
    words = wording.answers(asker, ["underexposed by 1 EV", ""])
    assert [w.description for w in words] == ["Now.", GOOD["description"]]
    assert [[place for place, _ in said] for said in asker.asked] == [[0, 1], [0]]
    assert "underexposed by 1 EV" in asker.asked[0][0][1][0].text
    question, answer, complaint = asker.asked[1][0][1]
    assert (question.role, answer.role, complaint.role) == ("user", "assistant", "user")
    assert answer.text == changed(description="")
    assert "description" in complaint.text


def test_an_answer_that_stays_malformed_is_kept_and_marked() -> None:
    asker = Asker(["A dog.", json.dumps(GOOD)], ["A big dog." + "!" * 10_000])
    malformed, good = wording.answers(asker, ["", ""])
    assert malformed.malformed is not None
    assert malformed.malformed.startswith("A big dog.!")
    assert len(malformed.malformed) == wording.MOST_KEPT
    assert malformed == Words(malformed=malformed.malformed)
    assert good.malformed is None
    # The first answer is better than nothing.
    assert wording.answers(Asker(["A dog."], [" "]), [""])[0].malformed == "A dog."


def test_nothing_at_all_is_no_answer() -> None:
    with pytest.raises(ModelAnswerError, match="nothing"):
        wording.answers(Asker([""], ["  "]), [""])


def test_the_schema_asks_for_what_is_understood() -> None:
    schema = wording.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(GOOD, schema)
    for broken in (changed(description=3), changed(crops=[{"x": 1}]), "{}", changed(more=1)):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(json.loads(broken), schema)
    # The form that is shown in words is the same.
    shown, _ = json.JSONDecoder().raw_decode(wording.question()[wording.question().index("{") :])
    jsonschema.validate(shown, schema)
    assert understood(json.dumps(shown)).crops
