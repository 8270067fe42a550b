"""What language models are asked about a photo, and how their answers are understood.

Five answers are asked for: what the photo shows, how its composition and its colours could gain, which crops would,
and how it is made technically. Models are asked for JSON of one form; what they answer is not trusted to have it.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from immich_sidecar.analysis.findings import Box, WordedCrop, Words
from immich_sidecar.errors import ModelAnswerError

#: Longest edge of the picture that language models get, in pixels: about a thousand of their tokens.
PICTURE_EDGE = 1024
#: Tokens that an answer may take; the form asked for takes two or three hundred.
MOST_TOKENS = 900
#: Characters of an answer that are looked at, and of one that is kept as it came.
MOST_READ, MOST_KEPT = 40_000, 4_000
#: Characters of one sentence, and how many of them or of crops are kept.
LONGEST, MOST_ITEMS = 600, 8
#: By how much of the photo a crop may stand over its edge and still be meant.
OVERHANG = 0.02
#: Smallest width and height of a crop that is taken for one.
SMALLEST = 0.1
#: Places in an answer at which an object may begin.
MOST_BEGINNINGS = 50


@dataclass(frozen=True)
class Turn:
    """One thing said; the picture belongs to the first."""

    #: `user` or `assistant`.
    role: str
    text: str


def _one_or_many(value: Any) -> Any:
    """A single sentence where several were asked for is a list of one; sentences of nothing are none."""
    if isinstance(value, str):
        value = [value]
    return [item for item in value if item not in ("", None)] if isinstance(value, list) else value


class _Crop(BaseModel):
    """A crop in fractions of the photo, from its left and upper edge."""

    model_config = ConfigDict(extra="ignore")

    x: float = Field(description="left edge, 0 to 1")
    y: float = Field(description="upper edge, 0 to 1")
    width: float = Field(description="0 to 1")
    height: float = Field(description="0 to 1")
    reason: str = ""


_Sentences = Annotated[list[str], BeforeValidator(_one_or_many)]


class _Answers(BaseModel):
    """What a language model is asked for."""

    model_config = ConfigDict(extra="ignore")

    description: str = Field(min_length=1, description="what the photo shows, in one or two sentences")
    composition: _Sentences = Field(description="how the composition could gain")
    colour: _Sentences = Field(description="what the colours need: white balance, saturation, contrast")
    crops: list[_Crop] = Field(description="crops that would make the photo better; empty where none would")
    technical: str = Field(description="sharpness, noise, exposure, in one or two sentences")


def schema() -> dict[str, Any]:
    """The form of the answers, as JSON schema; everything is required and nothing else allowed, as servers want it."""
    made = _Answers.model_json_schema()
    for part in (made, *made["$defs"].values()):
        part["additionalProperties"] = False
        part["required"] = list(part["properties"])
        part.pop("title", None)
        for field in part["properties"].values():
            # Not every server knows these; they are checked here anyway.
            for name in ("default", "title", "minLength"):
                field.pop(name, None)
    return made


def question(facts: str = "") -> str:
    """What is asked, in words.

    Parameters
    ----------
    facts
        What is known of the photo already, in words.
    """
    form = {
        "description": "what the photo shows, in one or two sentences",
        "composition": ["one piece of advice on the composition", "..."],
        "colour": ["one thing that its colours need, as white balance, saturation or contrast", "..."],
        "crops": [{"x": 0.1, "y": 0.0, "width": 0.8, "height": 0.9, "reason": "why"}],
        "technical": "sharpness, noise and exposure, in one or two sentences",
    }
    lines = [
        "You advise a photographer. Look at the photo and answer with one JSON object of this form and nothing else:",
        json.dumps(form, indent=1),
        (
            "A crop is given in fractions of the photo from 0 to 1: x and y are its left and upper edge. Propose a "
            "crop only where it makes the photo better, and never cut a head or a hand; at most three. Leave a list "
            "empty where the photo needs nothing: a good photo is left alone."
        ),
    ]
    if facts.strip():
        lines += ["Known of it already:", facts.strip()]
    return "\n".join(lines)


def first(facts: str) -> tuple[Turn, ...]:
    """What is said first."""
    return (Turn("user", question(facts)),)


def again(said: Sequence[Turn], answer: str, error: ModelAnswerError) -> tuple[Turn, ...]:
    """What is said after an answer that was not understood."""
    return (
        *said,
        Turn("assistant", answer[:MOST_KEPT]),
        Turn("user", f"That could not be read: {error}. Answer again, with the JSON object alone."),
    )


def answers(ask: Callable[[list[tuple[int, tuple[Turn, ...]]]], list[str]], facts: Sequence[str]) -> list[Words]:
    """The answers about several photos; each that cannot be understood is asked for once more, then kept as it came.

    Parameters
    ----------
    ask
        Gets what is said about some of the photos, each with its place among `facts`, and gives their answers.
    facts
        What is known already, for each photo.

    Raises
    ------
    ModelAnswerError
        If there is not one word about any of the photos.
    """
    said = {place: first(known) for place, known in enumerate(facts)}
    found: dict[int, Words] = {}
    came: dict[int, str] = {}
    for is_last in (False, True):
        open_ones = [(place, said[place]) for place in range(len(facts)) if place not in found]
        if not open_ones:
            break
        for (place, turns), answer in zip(open_ones, ask(open_ones), strict=True):
            try:
                found[place] = understood(answer)
            except ModelAnswerError as error:
                came[place] = answer.strip() or came.get(place, "")
                said[place] = again(turns, answer, error)
                if is_last:
                    found[place] = Words(malformed=_clean(came[place], MOST_KEPT))
    if not any(words.malformed is None or words.malformed for words in found.values()):
        raise ModelAnswerError("the language model answered with nothing, twice")
    return [found[place] for place in range(len(facts))]


def understood(answer: str) -> Words:
    """The words in an answer; crops that are none are dropped.

    Raises
    ------
    ModelAnswerError
        If it holds no object of the form asked for; it says what is wrong with it, for the model to read.
    """
    problem = "it holds no JSON object"
    for candidate in _objects(answer[:MOST_READ]):
        try:
            held = _Answers.model_validate(candidate)
        except ValidationError as error:
            wrong = error.errors(include_url=False, include_input=False)[0]
            problem = f"{'.'.join(str(part) for part in wrong['loc']) or 'the object'}: {wrong['msg']}"
            continue
        return Words(
            description=_clean(held.description),
            composition=tuple(_clean(sentence) for sentence in held.composition[:MOST_ITEMS]),
            colour=tuple(_clean(sentence) for sentence in held.colour[:MOST_ITEMS]),
            crops=tuple(crop for crop in map(_crop, held.crops[:MOST_ITEMS]) if crop is not None),
            technical=_clean(held.technical),
        )
    raise ModelAnswerError(problem)


def _objects(answer: str) -> Iterator[Any]:
    """What may be the object asked for: all of the answer, what is fenced, and whatever begins with a brace."""
    answer = re.sub(r"<think>.*?</think>", "", answer, flags=re.DOTALL)
    texts = [answer.strip(), *(fenced.strip() for fenced in re.findall(r"```[a-zA-Z]*\n?(.*?)```", answer, re.DOTALL))]
    decoder = json.JSONDecoder()
    for text in texts:
        try:
            yield json.loads(text)
        except (ValueError, RecursionError):
            continue
    end = 0
    for beginning in [place for place, character in enumerate(answer) if character == "{"][:MOST_BEGINNINGS]:
        if beginning < end:
            continue
        try:
            value, end = decoder.raw_decode(answer, beginning)
        except (ValueError, RecursionError):
            continue
        yield value


def _crop(asked: _Crop) -> WordedCrop | None:
    """A crop within the photo; None for one that is out of range, too small, or the whole photo."""
    numbers = (asked.x, asked.y, asked.width, asked.height)
    if not all(math.isfinite(number) for number in numbers):
        return None
    left, top, right, bottom = asked.x, asked.y, asked.x + asked.width, asked.y + asked.height
    if min(left, top) < -OVERHANG or max(right, bottom) > 1 + OVERHANG:
        return None
    left, top, right, bottom = max(0.0, left), max(0.0, top), min(1.0, right), min(1.0, bottom)
    if right - left < SMALLEST or bottom - top < SMALLEST or (right - left) * (bottom - top) > 0.995:
        return None
    box = Box(x=left, y=top, width=min(right - left, 1 - left), height=min(bottom - top, 1 - top))
    return WordedCrop(box=box, reason=_clean(asked.reason))


def _clean(text: str, longest: int = LONGEST) -> str:
    """Text of one paragraph without control characters, cut where it is too long."""
    kept = "".join(character if character.isprintable() or character == "\n" else " " for character in text).strip()
    return kept if len(kept) <= longest else kept[: longest - 1].rstrip() + "…"
