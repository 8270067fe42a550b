"""Rules where photos are noticed and fetched; what a trial says is what then happens."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from immich_sidecar.advise.presets import Preset
from immich_sidecar.immich.backfill import Scope, ScopeKind
from immich_sidecar.immich.backfill_intake import BackfillIntake
from immich_sidecar.immich.connections import Connection
from immich_sidecar.immich.intake import ImmichIntake
from immich_sidecar.immich.rules import Named, Rule, Rules, Skip
from immich_sidecar.immich.survey import Tally
from immich_sidecar.immich.traits import Special
from immich_sidecar.library.tables import IntakeState
from immich_sidecar.settings import Mode
from tests.immich.stage import Library, picture
from tests.immich_server import Asset, ImmichServer, User


def written_by(software: str, seed: int) -> bytes:
    """A JPEG that says which program wrote it."""
    exif = Image.Exif()
    exif[0x0131] = software
    buffer = io.BytesIO()
    Image.open(io.BytesIO(picture(seed))).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def screenshot(seed: int) -> bytes:
    """A PNG in the size of a screen."""
    buffer = io.BytesIO()
    Image.new("RGB", (1334, 750), (seed, 2, 3)).save(buffer, "PNG", pnginfo=PngImagePlugin.PngInfo())
    return buffer.getvalue()


async def set_rules(library: Library, *rules: Rule, otherwise: Rule | None = None) -> Rules:
    made = Rules(rules=rules, otherwise=otherwise or Rule())
    await library.change(await library.connection_row(), rules=made.to_json())
    return made


async def outcomes(library: Library) -> dict[str, str]:
    """`taken`, or why not, by file name."""
    return {
        row.file_name: "taken" if row.state is IntakeState.FETCHED else row.reason or row.state.value
        for row in await library.assets()
    }


async def trial(library: Library, connection: Connection, rules: Rules) -> Tally:
    until = connection.api.server_now() + timedelta(minutes=1)
    intake = BackfillIntake(connection, library.database)
    return [found async for found in intake.survey(Scope(kind=ScopeKind.LIBRARY), rules, until)][-1]


async def tag(connection: Connection, asset: Asset, *values: str) -> None:
    for made in await connection.api.upsert_tags(values):
        await connection.api.tag_assets(made.id or "", [asset.id])


async def stock(immich: ImmichServer, ada: User, connection: Connection) -> dict[str, Asset]:
    """A library with something of every kind."""
    canon, sony = {"make": "Canon", "model": "EOS R5"}, {"make": "SONY", "model": "ILCE-7M4"}
    seeds = iter(range(100, 200))

    def add(name: str, content: bytes | None = None, **attributes: Any) -> Asset:
        return immich.add_asset(ada, content or picture(next(seeds)), name, **attributes)

    made = {
        "canon": add("canon.jpg", exif=canon),
        "sony": add("sony.jpg", exif=sony),
        "old": add("old.jpg", exif=canon, file_created_at=datetime(2001, 1, 1, tzinfo=UTC)),
        "holiday": add("holiday.jpg", exif=sony),
        "best": add("best.jpg", exif=sony),
        "shot": add("Screenshot 1.jpg"),
        "screen": add("unnamed.png", screenshot(1)),
        "edited": add("edited.jpg", is_edited=True),
        "archived": add("archived.jpg", exif=canon, visibility="archive"),
        "hidden": add("hidden.jpg", exif=canon, visibility="hidden"),
        "film": add("film.mp4"),
        "live": add("live.jpg", exif=canon, live_photo_video_id="af9ba5d5-7c49-4ec5-8c2e-9b6c1e1c4b7a"),
        "round": add("round.jpg", exif=canon | {"projectionType": "EQUIRECTANGULAR"}),
        "developed": add("developed.jpg", written_by("darktable 4.6.1", 77)),
    }
    immich.add_album(ada, "Holiday", made["holiday"])
    await tag(connection, made["best"], "work/best/ever")
    return made


async def test_without_rules(
    immich: ImmichServer, ada: User, library: Library, connection: Connection, taker: ImmichIntake
) -> None:
    await stock(immich, ada, connection)
    await taker.tick()
    assert await outcomes(library) == {
        **dict.fromkeys(("canon.jpg", "sony.jpg", "old.jpg", "holiday.jpg", "best.jpg", "archived.jpg"), "taken"),
        "Screenshot 1.jpg": Skip.SCREENSHOT,
        "unnamed.png": Skip.SCREENSHOT,
        "edited.jpg": Skip.EDITED,
        "film.mp4": Skip.VIDEO,
        "live.jpg": Skip.LIVE_PHOTO,
        "round.jpg": Skip.PANORAMA,
        "developed.jpg": "edited already, with darktable 4.6.1",
    }


async def test_by_camera_album_tag_date_and_kind(
    immich: ImmichServer, ada: User, library: Library, connection: Connection, taker: ImmichIntake
) -> None:
    made = await stock(immich, ada, connection)
    (album,) = immich.albums.values()
    rules = await set_rules(
        library,
        Rule(name="old ones", takes=False, taken_before=date(2010, 1, 1)),
        Rule(name="Canon", cameras=("canon",), also=frozenset(), preset=Preset.LIGHT, mode=Mode.REVIEW),
        Rule(name="Holiday", albums=(Named(id=album.id, name="Holiday"),), preset=Preset.STRAIGHTEN),
        Rule(name="Best", tags=("work/best",), mode=Mode.AUTO),
        Rule(name="Edited", also=frozenset({Special.EDITED, Special.PANORAMA}), file_names=("edited", "round", "dev")),
        otherwise=Rule(takes=False),
    )
    expected = await trial(library, connection, rules)
    await taker.tick()
    assert await outcomes(library) == {
        **dict.fromkeys(("canon.jpg", "holiday.jpg", "best.jpg", "edited.jpg", "round.jpg", "developed.jpg"), "taken"),
        "sony.jpg": Skip.NOT_WANTED,
        "old.jpg": "left alone by the rule “old ones”",
        "Screenshot 1.jpg": Skip.NOT_WANTED,
        "unnamed.png": Skip.NOT_WANTED,
        "archived.jpg": Skip.ARCHIVED,
        "film.mp4": Skip.VIDEO,
        "live.jpg": Skip.LIVE_PHOTO,
    }
    chosen = {photo.file_name: (photo.preset, photo.mode) for photo in await library.photos()}
    assert chosen["canon.jpg"] == ("light", "review")
    assert chosen["holiday.jpg"] == ("straighten", None)
    assert chosen["best.jpg"] == (None, "auto")
    allowed = {photo.file_name: photo.allowed for photo in await library.photos()}
    assert allowed["round.jpg"] == ["edited", "panoramas"]
    # What was tried is what happened.
    assert (expected.take, expected.look, expected.here) == (6, 0, 0)
    counted: dict[str, int] = {}
    for reason in (await outcomes(library)).values():
        counted[reason] = counted.get(reason, 0) + 1
    assert dict(expected.left) == {reason: n for reason, n in counted.items() if reason != "taken"}
    assert {sample.name for sample in expected.taken_samples} == {photo.file_name for photo in await library.photos()}
    assert made["hidden"].id not in {row.asset_id for row in await library.assets()}


async def test_hidden_photos_are_asked_for_where_a_rule_is_about_them(
    immich: ImmichServer, ada: User, library: Library, connection: Connection, taker: ImmichIntake
) -> None:
    immich.add_asset(ada, picture(1), "hidden.jpg", visibility="hidden")
    await taker.tick()
    assert not await library.assets()
    await set_rules(library, otherwise=Rule(also=frozenset({Special.HIDDEN})))
    await taker.tick()
    assert await outcomes(library) == {"hidden.jpg": "taken"}


async def test_external_libraries_are_taken_where_a_rule_says_so(
    immich: ImmichServer, ada: User, library: Library, connection: Connection, taker: ImmichIntake
) -> None:
    content = picture(1)
    outside = immich.add_external(immich.add_library(ada, "/photos"), content, "outside.jpg", scan=True)
    await immich.settled()
    await set_rules(library, otherwise=Rule(also=frozenset({Special.EXTERNAL})))
    await taker.tick()
    (photo,) = await library.photos()
    assert (photo.read_only, photo.immich_asset_id) == (True, outside.id)
    assert photo.allowed == ["external"]
    assert (await library.asset("outside.jpg")).library_id == outside.library_id
    assert await taker.look_again(photo) is None


async def test_a_changed_file_of_an_external_library_is_read_twice(
    *,
    immich: ImmichServer,
    ada: User,
    library: Library,
    connection: Connection,
    taker: ImmichIntake,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    immich.add_external(immich.add_library(ada, "/photos"), picture(1), "outside.jpg", scan=True)
    await immich.settled()
    read = connection.api.asset

    async def noted_before_the_change(asset_id: str) -> Any:
        asset = await read(asset_id)
        assert asset.exif_info
        asset.exif_info.file_size_in_byte = 5
        return asset

    monkeypatch.setattr(connection.api, "asset", noted_before_the_change)
    await set_rules(library, otherwise=Rule(also=frozenset({Special.EXTERNAL})))
    await taker.tick()
    assert await outcomes(library) == {"outside.jpg": "taken"}
    assert sum(seen.path.endswith("/original") for seen in immich.requests) == 2


async def test_a_photo_that_is_put_into_the_album_later_is_noticed(
    immich: ImmichServer, ada: User, library: Library, connection: Connection, taker: ImmichIntake
) -> None:
    album = immich.add_album(ada, "Holiday")
    await set_rules(library, Rule(albums=(Named(id=album.id),)), otherwise=Rule(takes=False))
    asset = immich.add_asset(ada, picture(1), "a.jpg")
    await taker.tick()
    assert await outcomes(library) == {"a.jpg": Skip.NOT_WANTED}
    album.asset_ids.append(asset.id)
    await taker.poll_updated()
    await taker.fetch_due()
    assert await outcomes(library) == {"a.jpg": "taken"}


async def test_albums_that_the_key_may_not_see(
    immich: ImmichServer, ada: User, library: Library, taker: ImmichIntake, key: str
) -> None:
    await set_rules(
        library, Rule(albums=(Named(id="af9ba5d5-7c49-4ec5-8c2e-9b6c1e1c4b7a"),)), otherwise=Rule(takes=False)
    )
    immich.set_permissions(key, ["asset.read", "asset.download", "user.read"])
    immich.add_asset(ada, picture(1), "a.jpg")
    await taker.poll()
    # A search by album needs no permission of its own; reading the albums of one asset does.
    await taker.look(immich.add_asset(ada, picture(2), "b.jpg").id, by="webhook")
    found = await outcomes(library)
    assert found["a.jpg"] == Skip.NOT_WANTED
    assert found["b.jpg"].startswith("it cannot be told which albums and tags it has")
    assert "album.read" in found["b.jpg"]


async def test_rules_without_albums_and_tags_cost_no_request(
    immich: ImmichServer, ada: User, library: Library, connection: Connection, taker: ImmichIntake
) -> None:
    immich.add_asset(ada, picture(1), "a.jpg")
    await set_rules(library, Rule(cameras=("canon",), takes=False))
    before = len(immich.requests)
    await taker.poll()
    assert [seen.path for seen in immich.requests[before:]] == ["/api/search/metadata"] * 2


async def test_changed_rules_take_nothing_back(
    immich: ImmichServer, ada: User, library: Library, connection: Connection, taker: ImmichIntake
) -> None:
    immich.add_asset(ada, picture(1), "a.jpg")
    await taker.tick()
    await set_rules(library, otherwise=Rule(takes=False))
    immich.add_asset(ada, picture(2), "b.jpg")
    await taker.tick()
    assert await outcomes(library) == {"a.jpg": "taken", "b.jpg": Skip.NOT_WANTED}
    assert [photo.file_name for photo in await library.photos()] == ["a.jpg"]


async def test_a_webhook_follows_the_rules_as_well(
    immich: ImmichServer, ada: User, library: Library, connection: Connection, taker: ImmichIntake
) -> None:
    await set_rules(library, Rule(name="no sony", cameras=("sony",), takes=False), otherwise=Rule(preset=Preset.LIGHT))
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "SONY", "ILCE-7M4"
    buffer = io.BytesIO()
    Image.open(io.BytesIO(picture(3))).save(buffer, "JPEG", exif=exif)
    immich.hold_processing()
    sony = immich.add_asset(ada, buffer.getvalue(), "sony.jpg", ready=False)
    other = immich.add_asset(ada, picture(4), "other.jpg", ready=False)
    for asset in (sony, other):
        await taker.look(asset.id, by="webhook")
    assert await outcomes(library) == {
        "sony.jpg": "left alone by the rule “no sony” (its file says so)",
        "other.jpg": "taken",
    }
    (photo,) = await library.photos()
    assert photo.preset == "light"
    fetched = sum(seen.path.endswith("/original") for seen in immich.requests)
    await taker.tick()
    assert sum(seen.path.endswith("/original") for seen in immich.requests) == fetched, "not fetched again each time"
    immich.go_on_processing()


@pytest.mark.parametrize(
    "name", ["Screenshot_20240506-101112.png", "Bildschirmfoto 2024.png", "スクリーンショット.png"]
)
async def test_screenshots_are_taken_where_a_rule_says_so(
    immich: ImmichServer, ada: User, library: Library, taker: ImmichIntake, name: str
) -> None:
    await set_rules(library, otherwise=Rule(also=frozenset({Special.SCREENSHOT})))
    immich.add_asset(ada, picture(1), name)
    await taker.tick()
    (photo,) = await library.photos()
    assert photo.allowed == ["screenshots"]
