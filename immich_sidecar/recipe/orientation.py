"""What quarter turns and mirroring make of the steps that come after them.

`straighten`, `upright` and `crop` speak of the picture as `orientation` leaves it. Where a person turns or mirrors a
picture, they are rewritten, so that the result is the former one, turned or mirrored as a whole.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Orientation(NamedTuple):
    """Mirrored left and right or not, and then turned clockwise."""

    quarter_turns: int = 0
    mirror: bool = False

    @classmethod
    def of(cls, parameters: Mapping[str, Any] | None) -> "Orientation":
        """Out of the parameters of `orientation`; None: as the original is."""
        given = parameters or {}
        return cls(int(given.get("quarter_turns", 0)), bool(given.get("mirror", False)))

    def to(self, other: "Orientation") -> "Orientation":
        """What has to be done to a picture that lies so for it to lie like another."""
        if self.mirror == other.mirror:
            return Orientation((other.quarter_turns - self.quarter_turns) % 4, False)
        return Orientation((other.quarter_turns + self.quarter_turns) % 4, True)


#: Types of the operations that speak of the picture as it lies.
FOLLOWERS = ("upright", "straighten", "crop")


def turned(name: str, parameters: Mapping[str, Any], by: Orientation) -> dict[str, Any]:
    """Parameters of an operation for a picture that is laid otherwise; those of other operations stay."""
    found = dict(parameters)
    match name:
        case "straighten" if by.mirror:
            found["degrees"] = 0.0 - found["degrees"]
        case "upright":
            vertical, horizontal = found.get("vertical", 0.0), found.get("horizontal", 0.0)
            if by.mirror:
                horizontal = 0.0 - horizontal
            for _ in range(by.quarter_turns):
                vertical, horizontal = 0.0 - horizontal, vertical
            found |= {"vertical": vertical, "horizontal": horizontal}
        case "crop":
            x, y, width, height = (found[part] for part in ("x", "y", "width", "height"))
            if by.mirror:
                x = 1.0 - x - width
            for _ in range(by.quarter_turns):
                x, y, width, height = 1.0 - y - height, x, height, width
            found |= {"x": max(0.0, x), "y": max(0.0, y), "width": width, "height": height}
    return found
