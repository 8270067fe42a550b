"""`monochrome`: black and white by a channel mixer, with a tone where one is wanted."""

from dataclasses import replace

from pydantic import Field

from immich_sidecar.recipe.operation_type import OperationType, Parameters
from immich_sidecar.recipe.plan import MonochromePlan, Plan
from immich_sidecar.recipe.relative import Amount


class MonochromeParameters(Parameters):
    """How grey is mixed.

    Grey is `red` % of red, `green` % of green and `blue` % of blue in linear sRGB, cut at black and white. The
    defaults are those of luminance (Rec. 709); weights that add up to 100 keep the brightness of grey. More red
    works like a red filter in front of black and white film: dark skies, light skin.
    """

    #: How much of the colour goes, in percent: 100 is black and white, 0 changes nothing.
    amount: float = Field(100.0, ge=0.0, le=100.0)
    #: Percent.
    red: float = Field(21.0, ge=-200.0, le=300.0)
    #: Percent.
    green: float = Field(72.0, ge=-200.0, le=300.0)
    #: Percent.
    blue: float = Field(7.0, ge=-200.0, le=300.0)
    #: Strength of a tone of one hue, 0..100, most in the middle of the scale; black and white have none.
    toning: float = Field(0.0, ge=0.0, le=100.0)
    #: Its hue in OKLab, degrees: 70 is sepia, 250 a cold blue.
    toning_hue: float = Field(70.0, ge=0.0, le=360.0)


def _plan(parameters: MonochromeParameters, plan: Plan) -> Plan:
    p = parameters
    if p.amount == 0.0:
        return plan
    monochrome = MonochromePlan(
        weights=(p.red / 100.0, p.green / 100.0, p.blue / 100.0),
        amount=p.amount / 100.0,
        hue=p.toning_hue,
        toning=p.toning / 100.0,
    )
    return replace(plan, colour=replace(plan.colour, monochrome=monochrome))


OPERATION = OperationType("monochrome", 95, MonochromeParameters, _plan, Amount("amount"))
