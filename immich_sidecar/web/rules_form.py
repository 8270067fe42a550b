"""Rules as the fields of a form, and back."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from multidict import MultiMapping
from pydantic import ValidationError

from immich_sidecar.advise.presets import Preset
from immich_sidecar.immich.rules import MOST_RULES, Named, Rule, Rules
from immich_sidecar.immich.traits import Special
from immich_sidecar.web.preset_choices import EVERYBODYS

#: Prefix of the fields of the last rule, which is about all others.
OTHERWISE = "d"
_MEBIBYTE = 1 << 20

#: Special kinds as a rule's page calls them, with what it means to take them.
SPECIALS: Mapping[Special, tuple[str, str]] = {
    Special.ARCHIVED: ("Archived photos", "Their versions go to the archive as well."),
    Special.SCREENSHOT: ("Screenshots", "Known by their name, or by the size of a screen without a camera."),
    Special.EDITED: ("Photos that were edited already", "In Immich, or by a program such as Lightroom or darktable."),
    Special.EXTERNAL: ("External libraries", "Immich often cannot write there: tags and words stay here."),
    Special.LIVE_PHOTO: ("Live and motion photos", "A version has no moving part; the original keeps it."),
    Special.PANORAMA: ("Panoramas", "Straightening may break the join of a full circle."),
    Special.HIDDEN: ("Hidden photos", "Also pictures that other apps hid in Immich."),
}
#: Modes for a choice, by value.
MODES = (
    ("review", "Only after I approve"),
    ("stack", "At once, beneath the original"),
    ("auto", "At once, on top where sure"),
)
FILES = (("any", "All kinds"), ("raw", "RAW files only"), ("not_raw", "Everything but RAW"))


@dataclass(frozen=True)
class RuleFields:
    """One rule as text fields and boxes, whether or not they make sense."""

    name: str = ""
    takes: bool = True
    files: str = "any"
    cameras: str = ""
    not_cameras: str = ""
    file_names: str = ""
    albums: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    minimum_megapixels: str = ""
    minimum_mib: str = ""
    taken_after: str = ""
    taken_before: str = ""
    also: frozenset[str] = frozenset({Special.ARCHIVED.value})
    preset: str = ""
    preset_strength: str = ""
    mode: str = ""
    #: Messages by field.
    errors: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, rule: Rule) -> "RuleFields":
        """The fields that show a rule."""
        return cls(
            name=rule.name,
            takes=rule.takes,
            files=rule.files,
            cameras=", ".join(rule.cameras),
            not_cameras=", ".join(rule.not_cameras),
            file_names=", ".join(rule.file_names),
            albums=tuple(album.id for album in rule.albums),
            tags=rule.tags,
            minimum_megapixels="" if rule.minimum_megapixels is None else f"{rule.minimum_megapixels:g}",
            minimum_mib="" if rule.minimum_bytes is None else f"{rule.minimum_bytes / _MEBIBYTE:g}",
            taken_after="" if rule.taken_after is None else rule.taken_after.isoformat(),
            taken_before="" if rule.taken_before is None else rule.taken_before.isoformat(),
            also=frozenset(special.value for special in rule.also),
            preset=rule.preset or "",
            preset_strength="" if rule.preset_strength is None else f"{rule.preset_strength:g}",
            mode=rule.mode.value if rule.mode else "",
        )

    @classmethod
    def read(cls, form: MultiMapping[Any], prefix: str) -> "RuleFields":
        """The fields that a form sent."""

        def text(name: str) -> str:
            return str(form.get(f"{prefix}-{name}", "")).strip()

        def chosen(name: str) -> tuple[str, ...]:
            return tuple(dict.fromkeys(str(value) for value in form.getall(f"{prefix}-{name}", [])))

        return cls(
            name=text("name"),
            takes=text("takes") != "no",
            files=text("files") or "any",
            cameras=text("cameras"),
            not_cameras=text("not_cameras"),
            file_names=text("file_names"),
            albums=chosen("albums"),
            tags=chosen("tags"),
            minimum_megapixels=text("minimum_megapixels"),
            minimum_mib=text("minimum_mib"),
            taken_after=text("taken_after"),
            taken_before=text("taken_before"),
            also=frozenset(chosen("also")),
            preset=text("preset"),
            preset_strength=text("preset_strength"),
            mode=text("mode"),
        )

    def checked(self, albums: Mapping[str, str]) -> "tuple[RuleFields, Rule | None]":
        """The fields with messages about what is wrong with them, and the rule where nothing is.

        `albums` are names by id.
        """
        errors: dict[str, str] = {}
        values: dict[str, Any] = {
            "name": self.name,
            "takes": self.takes,
            "files": self.files,
            "cameras": _parts(self.cameras),
            "not_cameras": _parts(self.not_cameras),
            "file_names": _parts(self.file_names),
            "albums": tuple(Named(id=album, name=albums.get(album, "")) for album in self.albums),
            "tags": self.tags,
            "minimum_megapixels": _number(self.minimum_megapixels, "minimum_megapixels", errors),
            "minimum_bytes": _mebibytes(self.minimum_mib, errors),
            "taken_after": _date(self.taken_after, "taken_after", errors),
            "taken_before": _date(self.taken_before, "taken_before", errors),
            "also": self.also,
            "preset": self.preset or None,
            "preset_strength": _strength(self.preset_strength, errors),
            "mode": self.mode or None,
        }
        after, before = values["taken_after"], values["taken_before"]
        if after and before and after > before:
            errors["taken_before"] = "This is before the first day."
        if not errors:
            try:
                return replace(self, errors={}), Rule.model_validate(values)
            except ValidationError as error:
                for problem in error.errors():
                    name = str(problem["loc"][0])
                    errors["minimum_mib" if name == "minimum_bytes" else name] = problem["msg"]
        return replace(self, errors=errors), None

    @property
    def summary(self) -> str:
        """What it is about, in a line."""
        parts = [dict(FILES).get(self.files, "")] if self.files != "any" else []
        parts += [self.cameras] if self.cameras else []
        parts += [f"not {self.not_cameras}"] if self.not_cameras else []
        parts += [_counted(len(self.albums), "album")] if self.albums else []
        parts += [", ".join(self.tags)] if self.tags else []
        parts += [f"named {self.file_names}"] if self.file_names else []
        parts += [f"from {self.minimum_megapixels} megapixels"] if self.minimum_megapixels else []
        parts += [f"from {self.minimum_mib} MiB"] if self.minimum_mib else []
        parts += [f"since {self.taken_after}"] if self.taken_after else []
        parts += [f"until {self.taken_before}"] if self.taken_before else []
        return " · ".join(parts) or "every photo"

    def outcome(self, presets: Iterable[tuple[str, str, str]] = EVERYBODYS) -> str:
        """What becomes of what it is about, in a word or two; `presets` are those to choose from."""
        if not self.takes:
            return "Leave alone"
        labels = [label for value, label, _ in presets if value == self.preset and value != Preset.NATURAL]
        return f"Take · {labels[0]}" if labels else "Take"


@dataclass(frozen=True)
class RulesFields:
    """All rules of a form."""

    rules: tuple[RuleFields, ...] = ()
    otherwise: RuleFields = RuleFields()

    @classmethod
    def of(cls, rules: Rules) -> "RulesFields":
        """The fields that show rules."""
        return cls(tuple(RuleFields.of(rule) for rule in rules.rules), RuleFields.of(rules.otherwise))

    @classmethod
    def read(cls, form: MultiMapping[Any]) -> "RulesFields":
        """The fields that a form sent."""
        text = str(form.get("rules", "0"))
        count = min(int(text), MOST_RULES) if text.isdecimal() and len(text) < 4 else 0
        return cls(
            tuple(RuleFields.read(form, f"r{n}") for n in range(count)),
            RuleFields.read(form, OTHERWISE),
        )

    def checked(self, albums: Mapping[str, str]) -> "tuple[RulesFields, Rules | None]":
        """The fields with messages, and the rules where nothing is wrong."""
        found = [one.checked(albums) for one in (*self.rules, self.otherwise)]
        fields = RulesFields(tuple(shown for shown, _ in found[:-1]), found[-1][0])
        made = [rule for _, rule in found if rule is not None]
        if len(made) < len(found):
            return fields, None
        return fields, Rules(rules=tuple(made[:-1]), otherwise=made[-1])

    def changed(self, action: str) -> "tuple[RulesFields, int | None]":
        """After adding, moving or removing a rule (`add`, `up-2`, `down-0`, `remove-1`), and the rule to go on with."""
        rules = list(self.rules)
        word, _, text = action.partition("-")
        place = int(text) if text.isdecimal() and len(text) < 4 else -1
        if word == "add" and len(rules) < MOST_RULES:
            return replace(self, rules=(*rules, RuleFields())), len(rules)
        if not 0 <= place < len(rules):
            return self, None
        if word == "remove":
            del rules[place]
            return replace(self, rules=tuple(rules)), min(place, len(rules) - 1) if rules else None
        to = place + {"up": -1, "down": 1}.get(word, 0)
        if 0 <= to < len(rules):
            rules.insert(to, rules.pop(place))
            return replace(self, rules=tuple(rules)), to
        return self, place


def named(rules: Iterable[Rule]) -> dict[str, str]:
    """Names of the albums that rules know, by id: an album may be gone, or closed to the key, and keeps its name."""
    return {album.id: album.name for rule in rules for album in rule.albums if album.name}


def _parts(text: str) -> Sequence[str]:
    return [part for piece in text.split(",") if (part := piece.strip())]


def _number(text: str, name: str, errors: dict[str, str]) -> float | None:
    if not text:
        return None
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        errors[name] = "This is no number."
        return None
    if not 0 < number <= 10_000:
        errors[name] = "A number between 0 and 10,000."
        return None
    return number


def _strength(text: str, errors: dict[str, str]) -> float | None:
    if not text:
        return None
    try:
        number = float(text.replace(",", ".").removesuffix("%"))
    except ValueError:
        number = -1.0
    if not 0 <= number <= 200:
        errors["preset_strength"] = "A number of percent from 0 to 200."
        return None
    return None if number == 100 else number


def _mebibytes(text: str, errors: dict[str, str]) -> int | None:
    number = _number(text, "minimum_mib", errors)
    return None if number is None else max(1, round(number * _MEBIBYTE))


def _date(text: str, name: str, errors: dict[str, str]) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        errors[name] = "This is no day; write it as 2024-05-31."
        return None


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'s' if number != 1 else ''}"
