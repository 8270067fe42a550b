"""What pages say: numbers, states and operations in words."""

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from immich_sidecar.library.tables import Publish, Review
from immich_sidecar.recipe.operations.lens import undoable

#: Aspect ratios (width / height) that the stylesheet knows; `.ratio-150` is 1.5.
RATIOS = tuple(range(50, 160, 5)) + tuple(range(160, 310, 10))


_OWN_PREFIX = re.compile(r"\b[0-9a-f]{64}_(?:processed_)?")

_OPERATIONS = {
    "decode": "RAW development",
    "lens": "Lens correction",
    "orientation": "Turn",
    "upright": "Perspective",
    "straighten": "Straighten",
    "crop": "Crop",
    "white_balance": "White balance",
    "exposure": "Exposure",
    "tone": "Tone",
    "saturation": "Colour",
    "monochrome": "Black and white",
    "lut": "LUT",
    "subject": "Subject",
    "sky": "Sky",
    "background": "Background",
    "denoise": "Denoise",
    "sharpen": "Sharpen",
    "output": "File",
}

_STATUS = {
    "analysing": "Analysing",
    "advising": "Choosing",
    "rendering": "Rendering",
    "keeping": "Finishing",
    "pending": "Pending",
    "approved": "Approved",
    "rejected": "Rejected",
    "left_alone": "Left alone",
    "failed": "Failed",
    "cancelled": "Cancelled",
}

_DOING = {"stored": "Analyse", "analysed": "Choose the steps", "advised": "Render", "rendered": "File the version"}

_CONNECTION = {
    "ok": "Connected",
    "away": "Away",
    "credentials": "Key refused",
    "permission": "Permission missing",
    "version": "Version not supported",
    "refused": "Refused",
    "disconnected": "Disconnected",
}

_MODES = {
    "review": "Nothing is written to Immich before you approve.",
    "stack": "Versions go to Immich at once, beneath their original until you approve.",
    "auto": "Versions go to Immich at once, on top where confidence is high.",
}

_STEPS = {
    "analyse": "while it was analysed",
    "advise": "while suggestions were made",
    "render": "while it was rendered",
    "keep": "while its version was filed",
}

#: What a photo carries beside its picture: a word, and a sentence.
_BADGES = {
    "live_photo": ("Live", "A live photo: picture and film belong together"),
    "motion_photo": ("Motion", "A motion photo: the file holds a film as well"),
    "gain_map": ("HDR", "The file holds a gain map for bright screens"),
    "panorama": ("Panorama", "A panorama"),
}

_SOURCES = {"hot_folder": "from a hot folder", "immich": "from Immich", "upload": "uploaded here"}


def operation(name: str) -> str:
    """An operation as people call it."""
    return _OPERATIONS.get(name, name.replace("_", " ").capitalize())


def status(word: str) -> str:
    """A photo's status as a heading."""
    return _STATUS.get(word, word.replace("_", " ").capitalize())


def step(name: str | None) -> str:
    """Where the work on a photo gave up."""
    return _STEPS.get(name or "", "")


def source(name: str) -> str:
    """Where a photo came from."""
    return _SOURCES.get(name, name)


def size(count: int | float) -> str:
    """A number of bytes for people, in powers of 1024."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def percent(fraction: float | None) -> str:
    """A confidence as whole percent; nothing where there is none."""
    return "" if fraction is None else f"{math.floor(fraction * 100 + 0.5)} %"


def level(fraction: float | None) -> str:
    """How sure: `high` from 0.9 (what `auto` approves by itself), `fair` from 0.7, else `low`."""
    if fraction is None:
        return "none"
    return "high" if fraction >= 0.9 else "fair" if fraction >= 0.7 else "low"


def iso(at: datetime | None) -> str | None:
    """A moment as programs read it, `2026-01-02T03:04:05Z`; None stays None."""
    return at.isoformat().replace("+00:00", "Z") if at else None


def moment(at: datetime | None) -> str:
    """A date and time in the service's time zone."""
    return "" if at is None else at.astimezone().strftime("%Y-%m-%d %H:%M")


def taken(at: datetime | None) -> str:
    """The day of capture. Captures are kept in UTC; the day is the service's."""
    return "" if at is None else at.astimezone().strftime("%-d %b %Y")


def ago(at: datetime | None, now: datetime | None = None) -> str:
    """How long ago, roughly."""
    if at is None:
        return "never"
    seconds = ((now or datetime.now(UTC)) - at).total_seconds()
    for limit, unit, word in ((90, 1, "second"), (5400, 60, "minute"), (129600, 3600, "hour")):
        if seconds < limit:
            count = max(0, int(seconds // unit))
            return "just now" if count < 5 and unit == 1 else f"{count} {word}{'s' * (count != 1)} ago"
    return f"{int(seconds // 86400)} days ago"


def own_preset_words(operations: Mapping[str, Any]) -> str:
    """What a preset that a person made does, in a sentence."""
    names = [operation(name) for name in operations]
    return f"Your own: {', '.join(names)}, on top of what the photo needs."


def steps_of(operations: Mapping[str, Any]) -> str:
    """The operations of a look and their parameters in one line."""
    return "; ".join(f"{operation(name)}: {parameters(values, name)}" for name, values in operations.items())


def counted(number: int) -> str:
    """A number for people, with commas between the thousands."""
    return f"{number:,}"


def duration(seconds: float | None) -> str:
    """About how long something takes, in words."""
    if seconds is None:
        return "an unknown time"
    for limit, unit, word in ((90, 1, "second"), (90 * 60, 60, "minute"), (36 * 3600, 3600, "hour")):
        if seconds < limit:
            count = max(1, round(seconds / unit))
            return f"about {count} {word}{'s' * (count != 1)}"
    return f"about {round(seconds / 86400)} days"


def ratio(width: int, height: int) -> str:
    """The stylesheet's class for a picture's shape: the nearest of `RATIOS`; 3:2 where the size is unknown."""
    wanted = 100 * width / height if width > 0 and height > 0 else 150
    return f"ratio-{min(RATIOS, key=lambda known: abs(math.log(known / wanted)))}"


def parameters(values: Mapping[str, Any], name: str) -> str:
    """The parameters of an operation in one short line."""
    describe = _DESCRIPTIONS.get(name)
    if describe is not None:
        return describe(values)
    return ", ".join(f"{key.replace('_', ' ')} {_number(value)}" for key, value in values.items() if value is not None)


def _number(value: Any) -> str:
    return f"{value:+.4g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _signed(value: float, places: int = 2) -> str:
    return f"{value:+.{places}f}".replace("-", "−")


def _straighten(values: Mapping[str, Any]) -> str:
    degrees = float(values.get("degrees", 0))
    return f"{abs(degrees):.1f}° {'clockwise' if degrees > 0 else 'anticlockwise'}"


def _orientation(values: Mapping[str, Any]) -> str:
    parts = ["mirrored"] if values.get("mirror") else []
    turns = int(values.get("quarter_turns", 0))
    return ", ".join(parts + (["", "90° clockwise", "180°", "90° anticlockwise"][turns : turns + 1] if turns else []))


def _lens(values: Mapping[str, Any]) -> str:
    words = {"distortion": "distortion", "chromatic_aberration": "colour fringes", "vignetting": "dark corners"}
    known = undoable(values.get("profile", {}))
    return ", ".join(f"{word} {float(values.get(name, 100)):.0f} %" for name, word in words.items() if name in known)


def _upright(values: Mapping[str, Any]) -> str:
    parts = [f"{key} {_signed(float(values[key]), 1)}°" for key in ("vertical", "horizontal") if values.get(key)]
    return ", ".join(parts) or "none"


def _crop(values: Mapping[str, Any]) -> str:
    return f"keeps {100 * float(values.get('width', 1)):.0f} × {100 * float(values.get('height', 1)):.0f} %"


def _white_balance(values: Mapping[str, Any]) -> str:
    gains = values.get("gains")
    if gains:
        strongest = max(gains) / max(1e-6, min(gains))
        warm = float(gains[0]) - float(gains[2])
        return (
            f"{'warmer' if warm > 0 else 'cooler'}, gains {' / '.join(f'{float(gain):.2f}' for gain in gains)}"
            if (strongest > 1.001)
            else "neutral"
        )
    parts = [f"{float(values['temperature']):.0f} K"] if values.get("temperature") is not None else []
    if values.get("tint"):
        parts.append(f"tint {_signed(float(values['tint']), 0)}")
    return ", ".join(parts)


def _tone(values: Mapping[str, Any]) -> str:
    parts = [f"{key} {_signed(float(value), 0)}" for key, value in values.items() if value]
    return ", ".join(parts) or "neutral"


def _monochrome(values: Mapping[str, Any]) -> str:
    mix = "/".join(f"{float(values.get(channel, 0)):.0f}" for channel in ("red", "green", "blue"))
    amount = float(values.get("amount", 100))
    parts = [f"red/green/blue {mix}", f"{amount:.0f} %" if amount < 100 else ""]
    if values.get("toning"):
        parts.append(f"toned {float(values['toning']):.0f}")
    return ", ".join(part for part in parts if part)


def _output(values: Mapping[str, Any]) -> str:
    kind = _FILES.get(str(values.get("format", "jpeg")), "JPEG")
    parts = [kind, *([f"quality {values['quality']}"] if values.get("quality") else [])]
    if values.get("longest_edge"):
        parts.append(f"at most {values['longest_edge']} pixels")
    profile = {"srgb": "sRGB", "p3": "Display P3"}.get(str(values.get("profile")))
    return ", ".join([*parts, *([profile] if profile else [])])


def _part(values: Mapping[str, Any]) -> str:
    parts = [f"{_signed(float(values['ev']))} EV"] if values.get("ev") else []
    if values.get("saturation"):
        parts.append(f"colour {_signed(float(values['saturation']), 0)} %")
    return ", ".join(parts) or "neutral"


_FILES = {
    "small": "small JPEG",
    "heic": "HEIC",
    "avif": "AVIF",
    "jxl": "JPEG XL",
    "tiff16": "TIFF of 16 bits",
}

_DESCRIPTIONS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "lens": _lens,
    "orientation": _orientation,
    "upright": _upright,
    "straighten": _straighten,
    "crop": _crop,
    "white_balance": _white_balance,
    "exposure": lambda values: f"{_signed(float(values.get('ev', 0)))} EV",
    "tone": _tone,
    "saturation": _tone,
    "monochrome": _monochrome,
    "lut": lambda values: f"{values.get('name') or 'without a name'}, {float(values.get('strength', 100)):.0f} %",
    "sharpen": lambda values: f"{float(values.get('amount', 0)):.0f} % at {float(values.get('radius', 1)):g} px",
    "denoise": lambda values: ", ".join(f"{key} {float(value):.0f}" for key, value in values.items() if value),
    "output": _output,
    "subject": _part,
    "background": _part,
    "sky": _part,
    "decode": lambda _values: "follows the camera's own picture",
}


def doing(state: str) -> str:
    """What is done next with a photo whose work has come so far."""
    return _DOING.get(state, status(state))


def connection_state(state: str) -> str:
    """A connection's state in a word or two."""
    return _CONNECTION.get(state, "Not known yet")


def mode_words(mode: str) -> str:
    """What a publishing mode does, in a sentence."""
    return _MODES.get(mode, mode)


def publish(state: str, review: str, *, current: bool, connected: bool, mode: str, reason: str | None = None) -> str:
    """Where a version is on its way into Immich, in a sentence.

    Parameters
    ----------
    current
        Whether it is the version that the photo shows now; an older one is superseded.
    connected
        Whether the photo belongs to an Immich connection.
    """
    if state == Publish.BLOCKED:
        return f"Waits for you: {reason or 'Immich refused it'}"
    if state in (Publish.STACKED, Publish.MARKED):
        if not current:
            return "Superseded: it stays in the stack in Immich, marked, beneath the other photos."
        if review == Review.REJECTED:
            return "Rejected: it stays in the stack in Immich, marked; what was on top before is on top."
        if review == Review.APPROVED:
            return "In Immich, stacked with its original."
        return "In Immich, stacked beneath the original until you approve."
    if state == Publish.UPLOADED:
        return "Uploaded to Immich; the stack is next."
    if not connected:
        return "Not in Immich: the photo belongs to no connection."
    if review == Review.REJECTED:
        return "Not in Immich, and not wanted there."
    if not current:
        return "Superseded before it was uploaded."
    if review == Review.APPROVED:
        return "On its way to Immich."
    return "Goes to Immich once you approve." if mode == "review" else "On its way to Immich, beneath the original."


def badge(name: str) -> dict[str, str]:
    """What a photo carries beside its picture, in a word and in a sentence."""
    word, title = _BADGES.get(name, (name.replace("_", " ").capitalize(), ""))
    return {"word": word, "title": title}


def plainly(message: str) -> str:
    """A message without the hashes that our own file names begin with."""
    return _OWN_PREFIX.sub("", message)


FILTERS: dict[str, Callable[..., Any]] = {
    "operation": operation,
    "badge": badge,
    "status_word": status,
    "step": step,
    "doing": doing,
    "plainly": plainly,
    "connection_state": connection_state,
    "mode_words": mode_words,
    "source": source,
    "size": size,
    "percent": percent,
    "level": level,
    "moment": moment,
    "taken": taken,
    "ago": ago,
    "counted": counted,
    "steps_of": steps_of,
    "duration": duration,
    "ratio": ratio,
    "parameters": parameters,
}
