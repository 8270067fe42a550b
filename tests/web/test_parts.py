"""Parts of the picture have sliders where they were outlined, and are switched like every other step."""

from typing import Any

from immich_sidecar.recipe.run_lengths import written
from immich_sidecar.web.adjusting import patch_of_form, sliders
from tests.web.conftest import Front

MASK = {"width": 6, "height": 4, "counts": written([9, 2, 2, 2, 9])}
STEP: dict[str, Any] = {
    "operation": "subject",
    "parameters": {"mask": MASK, "ev": 0.6, "saturation": 0.0, "feather": 20.0},
    "confidence": 0.7,
    "reason": "the subject lies in the shade",
    "applied": True,
}
OPERATIONS = [{"type": "subject", "parameters": STEP["parameters"], "source": "ai"}]


def test_sliders_are_there_where_a_mask_is() -> None:
    assert not any(one.name.startswith(("subject", "background", "sky")) for one in sliders([]))
    shown = {one.name: one.value for one in sliders(OPERATIONS, proposed={"background": {"mask": MASK}})}
    assert shown["subject_ev"] == 0.6
    assert shown["background_ev"] == 0.0
    assert "sky_ev" not in shown


def test_moved_sliders_keep_the_mask_and_neutral_ones_switch_off() -> None:
    patch = patch_of_form({"subject_ev": "1.0", "subject_saturation": "0"}, OPERATIONS)
    assert patch == {"subject": {**STEP["parameters"], "ev": 1.0}}
    assert patch_of_form({"subject_ev": "0"}, OPERATIONS) == {"subject": None}
    new = patch_of_form({"background_saturation": "-30"}, [], proposed={"background": {"mask": MASK}})
    assert new == {"background": {"mask": MASK, "ev": 0.0, "saturation": -30.0}}


async def test_the_page_shows_the_step_without_its_mask_and_switches_it(front: Front) -> None:
    photo = await front.shelf.put(suggestions=(STEP,))
    page = await front.page(f"/photos/{photo.sha256}")
    assert "+0.60 EV" in page
    assert MASK["counts"] not in page
    assert "slider-subject_ev" in page
    form = {"version": "1", "operation": "subject", "to": "off"}
    async with front.client.post(f"/photos/{photo.sha256}/switch", data=form, allow_redirects=False) as response:
        assert response.status == 303
    told = await front.json("GET", f"/api/photos/{photo.sha256}")
    assert told["recipe"]["user_overrides"] == {"subject": None}
    change = {"version": told["version"], "operations": {"subject": {"mask": MASK, "ev": 3}}}
    await front.json("PUT", f"/api/photos/{photo.sha256}/recipe", change, status=422)
