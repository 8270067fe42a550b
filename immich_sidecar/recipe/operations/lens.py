"""`lens`: undo what a lens did to straight lines, to colours at edges, and to light in the corners.

The recipe holds the lens's model itself, so that replay needs no database of lenses. Distances from a centre are
called r; what 1 stands for is said by `radius`, in halves of the picture's diagonal. Centres are in fractions of the
picture's width and height, as it lies after the orientation that its camera noted.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from immich_sidecar.recipe.operation_type import OperationType, Parameters
from immich_sidecar.recipe.plan import FalloffPlan, Plan, WarpPlan

Coefficients = tuple[Annotated[float, Field(ge=-1000.0, le=1000.0)], ...]
Centre = tuple[Annotated[float, Field(ge=-0.5, le=1.5)], Annotated[float, Field(ge=-0.5, le=1.5)]]


class Warp(Parameters):
    """Where each place of the corrected picture lies in the picture as taken.

    A place at distance r from the centre is found at distance g = r * (radial[0] + radial[1] r + radial[2] r^2 + ...)
    in the same direction; its red light at g * (red[0] + red[1] g + ...), its blue light likewise.
    """

    centre: Centre = (0.5, 0.5)
    radius: float = Field(gt=0.01, le=10.0)
    #: Of straight lines (distortion).
    radial: Coefficients = Field((1.0,), min_length=1, max_length=10)
    #: Of red and blue beside green (transverse chromatic aberration).
    red: Coefficients = Field((1.0,), min_length=1, max_length=10)
    blue: Coefficients = Field((1.0,), min_length=1, max_length=10)
    #: For a lens that is not centred: with x, y from the centre, the place moves by 2 t0 x y + t1 (r^2 + 2 x^2) to
    #: the right and 2 t1 x y + t0 (r^2 + 2 y^2) down.
    tangential: tuple[float, float] = (0.0, 0.0)


class Falloff(Parameters):
    """How light falls off towards the corners, in the picture as taken."""

    centre: Centre = (0.5, 0.5)
    radius: float = Field(gt=0.01, le=10.0)
    #: k0, k1, ... of 1 + k0 r^2 + k1 r^4 + ...
    terms: Coefficients = Field(min_length=1, max_length=8)
    #: Whether that is the share of light that arrives, or what undoes it.
    kind: Literal["share", "gain"] = "share"


class LensProfile(Parameters):
    """What is known of a lens at one focal length, aperture and distance."""

    #: The lens, for people.
    name: str = Field("", max_length=200)
    #: Who says so: the maker, in the file, or the database of lensfun.
    source: Literal["maker", "lensfun"]
    warp: Warp | None = None
    falloff: Falloff | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.warp is None and self.falloff is None:
            raise ValueError("a profile needs a warp or a falloff")
        return self


class LensParameters(Parameters):
    """A lens, and how much of it is undone.

    The corrected picture has the size of the original and is scaled about the lens's centre so that it is filled
    and loses as little as possible.
    """

    #: Percent of the bending of straight lines.
    distortion: float = Field(100.0, ge=0.0, le=100.0)
    #: Percent of the colour fringes (transverse chromatic aberration).
    chromatic_aberration: float = Field(100.0, ge=0.0, le=100.0)
    #: Percent, in stops, of the darkening towards the corners.
    vignetting: float = Field(100.0, ge=0.0, le=100.0)
    profile: LensProfile


def undoable(profile: Mapping[str, Any]) -> frozenset[str]:
    """Which of the strengths do anything for a profile, given as parameters."""
    warp = profile.get("warp") or {}
    found = {"vignetting"} if profile.get("falloff") else set()
    if list(warp.get("radial", [1.0])) != [1.0] or any(warp.get("tangential", ())):
        found.add("distortion")
    if any(list(warp.get(name, [1.0])) != [1.0] for name in ("red", "blue")):
        found.add("chromatic_aberration")
    return frozenset(found)


def _part(polynomial: tuple[float, ...], percent: float) -> tuple[float, ...]:
    """Coefficients of a factor of which only a part happens."""
    part = percent / 100.0
    return (1.0 + part * (polynomial[0] - 1.0), *(part * one for one in polynomial[1:]))


def _plan(parameters: LensParameters, plan: Plan) -> Plan:
    warp, falloff = parameters.profile.warp, parameters.profile.falloff
    if falloff is not None and parameters.vignetting:
        undone = FalloffPlan(falloff.centre, falloff.radius, falloff.terms, falloff.kind, parameters.vignetting / 100.0)
        plan = replace(plan, falloff=undone)
    if warp is None:
        return plan
    bent, fringes = parameters.distortion, parameters.chromatic_aberration
    moved = WarpPlan(
        warp.centre,
        warp.radius,
        radial=_part(warp.radial, bent),
        red=_part(warp.red, fringes),
        blue=_part(warp.blue, fringes),
        tangential=(warp.tangential[0] * bent / 100.0, warp.tangential[1] * bent / 100.0),
    )
    return plan if moved.is_identity else replace(plan, geometry=replace(plan.geometry, warp=moved))


OPERATION = OperationType("lens", 20, LensParameters, _plan)
