"""Immich's faces in our words; entries as its OpenAPI documents from 2.5.6 to 3.1.0 describe them."""

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from immich_sidecar.immich.connections import Connection
from immich_sidecar.immich.faces import faces_of_immich, read_faces
from tests.immich_server import ImmichServer


def _entry(x1: float, y1: float, x2: float, y2: float, **more: Any) -> dict[str, Any]:
    return {
        "id": "5b0f6bd0-2a5d-4a3f-9a1b-0f2f6a1f9c11",
        "imageWidth": 1440,
        "imageHeight": 960,
        "boundingBoxX1": x1,
        "boundingBoxY1": y1,
        "boundingBoxX2": x2,
        "boundingBoxY2": y2,
        "sourceType": "machine-learning",
        "person": None,
        **more,
    }


def _person(name: str, *, hidden: bool = False) -> dict[str, Any]:
    return {"id": "p", "name": name, "isHidden": hidden, "birthDate": None, "thumbnailPath": ""}


def test_faces_become_fractions_and_the_largest_comes_first() -> None:
    small = _entry(0, 0, 72, 48, person=_person(""))
    large = _entry(360, 240, 720, 720, person=_person("Ada"))

    faces = faces_of_immich([small, large], width=6000, height=4000)

    assert [(f.name, f.source, f.score, f.landmarks, f.eyes_open) for f in faces] == [
        ("Ada", "immich", 1.0, (), None),
        (None, "immich", 1.0, (), None),
    ]
    box = faces[0].box
    assert (box.x, box.y, box.width, box.height) == pytest.approx((0.25, 0.25, 0.25, 0.5))


def test_a_hidden_person_keeps_the_face_and_loses_the_name() -> None:
    (face,) = faces_of_immich([_entry(10, 10, 90, 90, person=_person("Ada", hidden=True))], width=3, height=2)

    assert face.name is None


def test_what_reaches_beyond_the_photo_is_cut() -> None:
    (face,) = faces_of_immich([_entry(-144, 480, 144, 2000)], width=3, height=2)

    assert (face.box.x, face.box.y) == pytest.approx((0, 0.5))
    assert (face.box.width, face.box.height) == pytest.approx((0.1, 0.5))


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(_entry(10, 10, 90, 90, imageWidth=960, imageHeight=1440), id="not yet turned"),
        pytest.param(_entry(10, 10, 90, 90, imageWidth=960, imageHeight=960), id="cropped in Immich"),
        pytest.param(_entry(10, 10, 90, 90, imageWidth=0, imageHeight=0), id="drawn by hand, without a picture"),
        pytest.param(_entry(10, 10, 10, 90), id="no width"),
        pytest.param(_entry(1500, 10, 1600, 90), id="outside"),
        pytest.param({"id": "x", "person": None}, id="no numbers"),
        pytest.param(_entry(10, 10, 90, 90, boundingBoxX1=None), id="a number is missing"),
    ],
)
def test_what_cannot_be_placed_is_left_out(entry: dict[str, Any]) -> None:
    whole = _entry(0, 0, 144, 96)

    faces = faces_of_immich([entry, whole], width=3000, height=2000)

    assert faces == faces_of_immich([whole], width=3000, height=2000)
    assert len(faces) == 1


def test_previews_are_rounded_to_whole_pixels() -> None:
    entry = _entry(0, 0, 144, 96, imageWidth=1440, imageHeight=961)

    assert len(faces_of_immich([entry], width=4288, height=2859)) == 1


@given(st.lists(st.floats(-5000, 5000), min_size=4, max_size=4))
def test_every_face_lies_within_the_photo(corners: list[float]) -> None:
    for face in faces_of_immich([_entry(*corners)], width=3, height=2):
        assert 0 <= face.box.x <= face.box.x + face.box.width <= 1
        assert 0 <= face.box.y <= face.box.y + face.box.height <= 1


async def test_faces_are_read_where_the_key_may_and_never_asked_for_otherwise() -> None:
    async with ImmichServer() as immich:
        user = immich.add_user("Ada")
        asset = immich.add_asset(user, content=_jpeg(400, 300), name="a.jpg")
        immich.add_face(asset, (100, 75, 200, 150), immich.add_person(user, "Grace"))
        for permissions, names in ((["face.read", "user.read"], ["Grace"]), (["user.read"], [])):
            connection = Connection(owner_id="local", url=immich.url, key=immich.add_key(user, permissions))
            connection.permissions = tuple(permissions)
            before = len(immich.requests)
            faces = await read_faces(connection, asset.id, width=400, height=300)
            assert [face.name for face in faces] == names
            assert len(immich.requests) - before == len(names), "without the permission nothing is asked"
            await connection.close()
        # What cannot be read is no reason to fail.
        connection = Connection(owner_id="local", url=immich.url, key="wrong")
        connection.permissions = ("all",)
        assert await read_faces(connection, asset.id, width=400, height=300) == ()
        await connection.close()


def _jpeg(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (90, 80, 70)).save(buffer, "JPEG")
    return buffer.getvalue()
