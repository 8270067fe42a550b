"""What the photo page offers for the file of a version, and what comes of it."""

import pytest
from aiohttp import web

from immich_sidecar.recipe.operations import validate
from immich_sidecar.web import words
from immich_sidecar.web.adjusting import choices, groups, patch_of_form, sliders

HEIC = [{"type": "output", "parameters": validate("output", {"format": "heic"})}]


def form_of(operations) -> dict[str, str]:
    """The form as the page shows it."""
    controls = [*sliders(operations), *choices(operations)]
    return {one.name: str(one.value) for one in controls}


def test_they_stand_where_the_recipe_stands() -> None:
    shown = form_of([])
    assert (shown["output_format"], shown["output_edge"], shown["output_profile"]) == ("jpeg", "0", "keep")
    assert shown["output_quality"] == "", "the usual one"
    assert (form_of(HEIC)["output_format"], form_of(HEIC)["output_quality"]) == ("heic", "")
    coarse = [{"type": "output", "parameters": validate("output", {"format": "heic", "quality": 33})}]
    assert form_of(coarse)["output_quality"] == "33"
    usual = patch_of_form(form_of(coarse) | {"output_quality": ""}, coarse)
    assert validate("output", usual["output"])["quality"] == 60
    (group,) = [one for one in groups([]) if one.name == "File"]
    assert len(group.controls) == 4
    assert patch_of_form(form_of([]), []) == {} == patch_of_form(form_of(HEIC), HEIC)


def test_another_format_gets_its_own_usual_quality() -> None:
    patch = patch_of_form(form_of(HEIC) | {"output_format": "avif"}, HEIC)
    assert validate("output", patch["output"])["quality"] == 80
    patch = patch_of_form(form_of([]) | {"output_format": "small"}, [])
    assert validate("output", patch["output"]) == {
        "format": "small",
        "quality": 85,
        "longest_edge": 0,
        "profile": "keep",
    }
    both = patch_of_form(form_of([]) | {"output_format": "jxl", "output_quality": "70"}, [])
    assert validate("output", both["output"])["quality"] == 70


def test_back_to_a_plain_jpeg_switches_it_off() -> None:
    assert patch_of_form(form_of(HEIC) | {"output_format": "jpeg"}, HEIC) == {"output": None}


def test_size_and_colour_space() -> None:
    patch = patch_of_form(form_of([]) | {"output_edge": "2048", "output_profile": "srgb"}, [])
    told = validate("output", patch["output"])
    assert (told["longest_edge"], told["profile"]) == (2048, "srgb")
    assert words.parameters(told, "output") == "JPEG, quality 92, at most 2048 pixels, sRGB"


def test_a_size_that_the_list_does_not_offer_stays() -> None:
    odd = [{"type": "output", "parameters": validate("output", {"longest_edge": 1234})}]
    assert form_of(odd)["output_edge"] == "1234"
    assert patch_of_form(form_of(odd), odd) == {}
    with pytest.raises(web.HTTPBadRequest):
        patch_of_form(form_of([]) | {"output_edge": "1234"}, [])
