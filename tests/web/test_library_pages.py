"""The pages and the API about what is taken from Immich: every state of a backfill, hostile words, strangers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from immich_sidecar.immich.choices import Choices
from immich_sidecar.immich.rules import Rules
from immich_sidecar.immich.survey import Sample, Tally
from immich_sidecar.library.tables import (
    AssetRow,
    BackfillRow,
    BackfillState,
    ConnectionRow,
    IntakeState,
    now,
)
from immich_sidecar.pipeline.backfill_bench import Bench
from immich_sidecar.pipeline.backfills import Backfills
from immich_sidecar.pipeline.trials import Trial, Trials
from immich_sidecar.settings import Mode
from immich_sidecar.web.server import build_web
from tests.web.conftest import Build, Front
from tests.web.shelf import HereExecutor

EVIL = '"><script>alert(1)</script>{{7*7}}'


class Grounds:
    """One connection that answers as it is told."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.kept: Rules | None = None
        album = SimpleNamespace(id="af9ba5d5-7c49-4ec5-8c2e-9b6c1e1c4b7a", album_name=EVIL)
        tag = SimpleNamespace(value=f"tag/{EVIL}")

        async def albums() -> list[Any]:
            return [album]

        async def tags() -> list[Any]:
            return [tag]

        async def thumbnail(asset_id: str, *, size: str) -> tuple[bytes, str]:
            self.asked.append(asset_id)
            return b"a picture", "image/webp"

        api = SimpleNamespace(albums=albums, tags=tags, thumbnail=thumbnail)
        check = SimpleNamespace(permissions=("all",), message=None)
        connection = SimpleNamespace(api=api, last_check=check, may_take=False)
        self.one = SimpleNamespace(id=1, owner_id="local", connection=connection, mode=Mode.STACK, choices=Choices())

    def of_owner(self, owner_id: str) -> Any:
        return self.one if owner_id == "local" else None

    def of_id(self, connection_id: int | None) -> Any:
        return self.one if connection_id == 1 else None

    def all(self) -> tuple[Any, ...]:
        return (self.one,)

    async def update_rules(self, owner_id: str, rules: Rules) -> None:
        self.kept = rules


@asynccontextmanager
async def library(front: Front) -> AsyncIterator[tuple[Front, Grounds, Trials]]:
    """The pages with a connection and backfills that rest."""
    home = front.home
    async with home.database.transaction() as session:
        session.add(ConnectionRow(owner_id="local", url="http://immich:2283"))
    grounds = Grounds()
    bench = Bench(
        database=home.database,
        events=home.events,
        layout=home.layout,
        executor=HereExecutor(),
        grounds=grounds,
        workers=1,
        cache_max=1 << 30,
    )
    backfills, trials = Backfills(bench), Trials(home.database, home.events, grounds.of_owner)
    context = replace(home.context, connections=grounds, backfills=backfills, trials=trials)
    async with TestClient(TestServer(build_web(context))) as client:
        yield Front(home, client), grounds, trials
        await backfills.stop()
        await trials.stop()


SAMPLE = Sample("11111111-1111-4111-8111-111111111111", EVIL, 300, 200, False, reason=EVIL)


def estimate(**more: Any) -> dict[str, Any]:
    tally = Tally(found=12_345, take=1_000, look=2, here=3)
    tally.left.update({EVIL: 40, "a video": 2})
    tally.taken_samples.append(replace(SAMPLE, reason=None))
    tally.left_samples.append(SAMPLE)
    judged = {**SAMPLE.to_json(), "steps": [{"operation": "exposure", "reason": EVIL}], "left_alone": None}
    return {
        **tally.to_json(),
        "samples": [judged],
        "seconds": 7200,
        "seconds_each": 2.0,
        "seconds_measured": False,
        "version_bytes": 5 << 30,
        "cache_bytes": 1 << 30,
        "immich_free_bytes": 1 << 30,
        "way": {"until": now().isoformat()},
        **more,
    }


async def put(front: Front, state: BackfillState, *, owner: str = "local", **columns: Any) -> BackfillRow:
    columns = {"scope": {"kind": "tag", "tag": EVIL}, "estimate": estimate()} | columns
    row = BackfillRow(owner_id=owner, connection_id=1, state=state, **columns)
    async with front.home.database.transaction() as session:
        session.add(row)
    return row


@pytest.mark.parametrize("state", list(BackfillState))
async def test_every_state_has_a_page(front: Front, state: BackfillState) -> None:
    async with library(front) as (pages, _, _):
        undo = {
            "taken_back": 5,
            "nothing": 1,
            "left_out": 1,
            "listed": [{"id": "0" * 64, "file_name": EVIL, "why": EVIL}],
        }
        row = await put(
            pages,
            state,
            error=EVIL if state is BackfillState.FAILED else None,
            started_at=None if state in (BackfillState.COUNTING, BackfillState.READY) else now(),
            estimate=estimate(undo=undo),
        )
        async with pages.home.database.transaction() as session:
            session.add(
                AssetRow(
                    owner_id="local",
                    connection_id=1,
                    asset_id="x",
                    backfill_id=row.id,
                    state=IntakeState.SKIPPED,
                    reason=EVIL,
                )
            )
        for path in (f"/backfill/{row.id}", "/backfill"):
            text = await pages.page(path)
            assert "<script>alert" not in text, path
            assert "{{7*7}}" in text, "as text"
        part = await pages.page(f"/backfill/{row.id}", headers={"HX-Request": "true"})
        assert part.lstrip().startswith('<div class="column" id="backfill"')
        told = await pages.json("GET", f"/api/backfills/{row.id}")
        assert told["state"] == state.value
        assert told["total"] == (0 if state is BackfillState.COUNTING else 1_002)
        assert "way" not in (told["estimate"] or {})
        (listed,) = (await pages.json("GET", "/api/backfills"))["backfills"]
        assert listed == told


async def test_the_dry_run_says_how_many_how_long_and_how_much(front: Front) -> None:
    async with library(front) as (pages, _, _):
        row = await put(pages, BackfillState.READY)
        text = await pages.page(f"/backfill/{row.id}")
        for words in ("1,002", "12,345", "About 2 hours", "5.0 GiB", "1.0 GiB left", "more than your quota", "a video"):
            assert words in text, words


async def test_commands_follow_the_state(front: Front) -> None:
    async with library(front) as (pages, _, _):
        row = await put(pages, BackfillState.READY)
        assert (await pages.json("POST", f"/api/backfills/{row.id}/start"))["state"] == "running"
        refused = await pages.json("POST", f"/api/backfills/{row.id}/start", status=409)
        assert "running" in refused["error"]
        assert (await pages.json("POST", f"/api/backfills/{row.id}/pause"))["state"] == "paused"
        assert (await pages.json("POST", f"/api/backfills/{row.id}/resume"))["state"] == "running"
        async with pages.client.post(f"/backfill/{row.id}/cancel", headers={"HX-Request": "true"}) as response:
            assert "Cancelled" in await response.text()
        await pages.json("POST", f"/api/backfills/{row.id}/resume", status=409)
        async with pages.client.post(f"/backfill/{row.id}/explode", headers={"HX-Request": "true"}) as response:
            assert response.status == 404


async def test_examples_are_shown_to_their_owner_alone(build: Build) -> None:
    front = await build()
    async with library(front) as (pages, grounds, trials):
        row = await put(pages, BackfillState.READY)
        async with pages.client.get(f"/backfill/{row.id}/samples/{SAMPLE.asset_id}") as response:
            assert (response.status, response.content_type) == (200, "image/webp")
            assert response.headers["Cache-Control"].startswith("private")
        other = "22222222-2222-4222-8222-222222222222"
        for path in (f"/backfill/{row.id}/samples/{other}", "/backfill/99", "/backfill/x", "/backfill/-1"):
            await pages.page(path, status=404)
        assert grounds.asked == [SAMPLE.asset_id], "nothing else was asked of Immich"
        await pages.page(f"/rules/samples/{SAMPLE.asset_id}", status=404)
        tally = Tally()
        tally.taken_samples.append(SAMPLE)
        trials._trials["local"] = Trial(Rules(), now(), tally, done=True)
        async with pages.client.get(f"/rules/samples/{SAMPLE.asset_id}") as response:
            assert response.status == 200
        await pages.page(f"/rules/samples/{other}", status=404)
        # Another owner's backfill is not there.
        await pages.shelf.put("pending", owner="anna")
        theirs = await put(pages, BackfillState.READY, owner="anna")
        for path in (f"/backfill/{theirs.id}", f"/backfill/{theirs.id}/samples/{SAMPLE.asset_id}"):
            await pages.page(path, status=404)
        await pages.json("POST", f"/api/backfills/{theirs.id}/start", status=404)
        assert len((await pages.json("GET", "/api/backfills"))["backfills"]) == 1


async def test_rules_through_the_api(front: Front) -> None:
    async with library(front) as (pages, grounds, _):
        kept = await pages.json("GET", "/api/rules")
        assert kept["rules"] == []
        assert kept["otherwise"]["takes"] is True
        wanted = {"rules": [{"name": "RAW", "files": "raw", "preset": "light"}], "otherwise": {"takes": False}}
        told = await pages.json("PUT", "/api/rules", wanted)
        assert told["rules"][0]["preset"] == "light"
        assert grounds.kept == Rules.model_validate(wanted)
        for wrong, place in (
            ({"rules": [{"preset": "sepia"}]}, "rules.0.preset"),
            ({"rules": [{}] * 31}, "rules"),
            ({"rule": []}, "rule"),
            ([], "object"),
        ):
            refused = await pages.json("PUT", "/api/rules", wrong, status=400)
            assert place in refused["error"]
        await pages.json("GET", "/api/rules/trial", status=404)
        await pages.json("POST", "/api/rules/trial", {}, status=409)


async def test_a_backfill_through_the_api(front: Front) -> None:
    async with library(front) as (pages, _, _):
        made = await pages.json(
            "POST",
            "/api/backfills",
            {"scope": {"kind": "library"}, "preset": "straighten", "mode": "review"},
            status=201,
        )
        assert made["rules"] == {"otherwise": {"preset": "straighten", "mode": "review"}}
        for wrong, place in (
            ({}, "scope"),
            ({"scope": {"kind": "album"}}, "scope"),
            ({"scope": {"kind": "library"}, "preset": "sepia"}, "preset"),
            ({"scope": {"kind": "library"}, "when": "now"}, "backfill"),
            ({"scope": {"kind": "search", "query": "x", "best": 0}}, "scope.best"),
        ):
            refused = await pages.json("POST", "/api/backfills", wrong, status=400)
            assert place in refused["error"].casefold(), refused


async def test_the_form_of_rules_survives_anything(front: Front) -> None:
    async with library(front) as (pages, grounds, _):
        form = {
            "rules": "2",
            "r0-name": EVIL,
            "r0-cameras": f"{EVIL}, Canon,,  ",
            "r0-also": ["panoramas", "nonsense"],
            "r0-takes": "yes",
            "r1-taken_after": "yesterday",
            "r1-albums": "gone-album",
            "d-takes": "no",
            "do": "save",
        }
        headers = {"HX-Request": "true"}
        async with pages.client.post("/rules", data=form, headers=headers) as response:
            text = await response.text()
        assert response.status == 200
        assert "Not everything can be understood" in text
        assert "<script>alert" not in text
        assert "This is no day" in text
        assert "gone-album" in text, "an album that is not known any more stays chosen until it is unchosen"
        assert grounds.kept is None
        good = form | {"r1-taken_after": "2024-05-06", "r0-also": ["panoramas"]}
        async with pages.client.post("/rules", data=good, headers=headers) as response:
            assert "Saved." in await response.text()
        assert grounds.kept is not None
        first, second = grounds.kept.rules
        assert (first.name, first.cameras) == (EVIL, (EVIL, "Canon"))
        assert second.albums[0].id == "gone-album"
        assert not grounds.kept.otherwise.takes
        for count in ("-1", "1e9", "99999", "x", ""):
            async with pages.client.post("/rules", data=form | {"rules": count}, headers=headers) as response:
                assert response.status == 200
        for action in ("up-0", "down-9", "remove-x", "add", "sing"):
            async with pages.client.post("/rules", data=form | {"do": action}, headers=headers) as response:
                assert response.status == 200, action


async def test_without_an_immich_the_pages_say_so(front: Front) -> None:
    for path in ("/rules", "/backfill"):
        assert "No Immich is connected" in await front.page(path)
    assert (await front.json("GET", "/api/backfills"))["backfills"] == []
    await front.json("POST", "/api/backfills", {"scope": {"kind": "library"}}, status=409)
    await front.json("PUT", "/api/rules", {}, status=409)
    await front.page("/backfill/1", status=404)


async def test_what_was_left_alone_is_counted_on_the_status_page(front: Front) -> None:
    async with library(front) as (pages, _, _):
        async with pages.home.database.transaction() as session:
            for n, reason in enumerate(["a video"] * 120 + ["a screenshot"] * 3 + ["made by the sidecar"] * 9 + [EVIL]):
                session.add(
                    AssetRow(
                        owner_id="local", connection_id=1, asset_id=f"a{n}", state=IntakeState.SKIPPED, reason=reason
                    )
                )
        told = await pages.json("GET", "/api/status")
        assert told["left_alone_in_immich"] == {"a video": 120, "a screenshot": 3, EVIL: 1}
        text = await pages.page("/status")
        assert "<dt>120</dt><dd>a video</dd>" in text
        assert "<script>alert" not in text


async def test_the_photo_page_says_what_the_rules_chose(front: Front) -> None:
    row = await front.shelf.put("pending", preset="straighten")
    assert "Straighten only" in await front.page(f"/photos/{row.sha256}")
