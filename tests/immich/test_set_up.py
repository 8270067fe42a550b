"""The webhook in Immich: one, ours alone, mended where it is out of date, and left as its user wants it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from immich_sidecar.errors import ImmichAwayError
from immich_sidecar.immich.choices import Choices
from immich_sidecar.immich.set_up import HEADER, METHOD, WORKFLOW, digest
from tests.immich.desk import Desk
from tests.immich.stage import Library, picture
from tests.immich_server import ImmichServer, User

pytestmark = pytest.mark.parametrize("immich_version", ["3.1.0"])


def config_of(immich: ImmichServer, user: User) -> dict[str, Any]:
    (workflow,) = immich.workflows_of(user)
    (step,) = workflow.steps
    return dict(step["config"])


async def test_a_new_address_is_written_into_the_workflow_that_is_there(
    immich: ImmichServer, ada: User, library: Library, desk: Desk
) -> None:
    await desk.connect(ada)
    (before,) = immich.workflows_of(ada)
    secret = config_of(immich, ada)["headerValue"]
    await desk.restart(webhook_url="http://sidecar.example:9999/below")
    await desk.round()
    (after,) = immich.workflows_of(ada)
    assert after.id == before.id
    one = desk.connections.all()[0]
    assert config_of(immich, ada)["url"] == f"http://sidecar.example:9999/below/hooks/immich/{one.id}"
    assert config_of(immich, ada)["headerValue"] != secret
    assert (await library.connection_row(ada.id)).webhook_secret_sha256 == digest(config_of(immich, ada)["headerValue"])
    # Unchanged, it is only looked at.
    writes = len([seen for seen in immich.requests if seen.method in ("PUT", "POST") and "workflows" in seen.path])
    await desk.restart(webhook_url="http://sidecar.example:9999/below")
    await desk.round()
    assert writes == len(
        [seen for seen in immich.requests if seen.method in ("PUT", "POST") and "workflows" in seen.path]
    )


@pytest.mark.parametrize(
    "spoil",
    [
        {"headerValue": "another"},
        {"headerName": "X-Other"},
        {"method": "PUT"},
        {"url": "http://elsewhere.example/"},
    ],
)
async def test_what_was_changed_in_the_step_is_mended(
    immich: ImmichServer, ada: User, desk: Desk, spoil: dict[str, str]
) -> None:
    await desk.connect(ada)
    (workflow,) = immich.workflows_of(ada)
    whole = dict(workflow.steps[0]["config"])
    workflow.steps[0]["config"] = whole | spoil
    await desk.restart()
    await desk.round()
    (workflow,) = immich.workflows_of(ada)
    config = next(step["config"] for step in workflow.steps if step["config"].get("headerName") == HEADER)
    assert {**config, "headerValue": ""} == {**whole, "headerValue": ""}
    assert desk.connections.all()[0].problems == ()
    await desk.upload(ada, picture(1))
    await desk.photos(ada, 1)


async def test_steps_of_the_user_stay(immich: ImmichServer, ada: User, desk: Desk) -> None:
    await desk.connect(ada)
    (workflow,) = immich.workflows_of(ada)
    own = {"method": "immich-plugin-core#assetFavorite", "config": {}, "enabled": True}
    workflow.steps = [own, *workflow.steps]
    workflow.steps[1]["config"]["url"] = "http://moved.example/hooks/immich/1"
    await desk.restart()
    await desk.round()
    (workflow,) = immich.workflows_of(ada)
    assert [step["method"] for step in workflow.steps] == [own["method"], METHOD]


async def test_other_workflows_are_left_alone(immich: ImmichServer, ada: User, desk: Desk) -> None:
    eve = immich.add_user("Eve")
    others = [
        immich.add_webhook(ada, "http://elsewhere.example/hooks/immich/1", header=("X-Other", "s")),
        immich.add_webhook(ada, "http://elsewhere.example/other", header=(HEADER, "s")),
        immich.add_webhook(eve, "http://elsewhere.example/hooks/immich/1", header=(HEADER, "s")),
    ]
    for other in others:
        other.name = WORKFLOW
    before = [(other.id, list(other.steps), other.enabled) for other in others]
    await desk.connect(ada)
    assert len(immich.workflows_of(ada)) == 3
    assert await desk.connections.disconnect(ada.id) == ()
    assert [(other.id, list(other.steps), other.enabled) for other in others] == before
    assert len(immich.workflows_of(ada)) == 2


async def test_switched_off_or_deleted_by_its_user_it_stays_so(immich: ImmichServer, ada: User, desk: Desk) -> None:
    await desk.connect(ada)
    (workflow,) = immich.workflows_of(ada)
    workflow.enabled = False
    await desk.restart()
    await desk.round()
    assert not workflow.enabled
    assert "switched off" in desk.connections.all()[0].problems[0]
    del immich.store.workflows[workflow.id]
    await desk.restart()
    await desk.round()
    assert not immich.workflows_of(ada)
    assert "deleted" in desk.connections.all()[0].problems[0]
    # Until they ask for it again.
    await desk.connections.update_choices(ada.id, Choices(webhook=False, follow_albums=False))
    await desk.connections.update_choices(ada.id, Choices(webhook=True, follow_albums=False))
    assert len(immich.workflows_of(ada)) == 1
    assert desk.connections.all()[0].problems == ()


async def test_an_answer_that_was_lost_makes_no_second_one(immich: ImmichServer, ada: User, desk: Desk) -> None:
    immich.lose_answer_next("/workflows", method="POST")
    await desk.connect(ada)
    assert len(immich.workflows_of(ada)) == 1
    for _ in range(2):
        await desk.round()
    assert len(immich.workflows_of(ada)) == 1
    assert desk.connections.all()[0].problems == ()
    await desk.upload(ada, picture(1))
    await desk.photos(ada, 1)


async def test_many_who_see_to_it_at_once_make_one(immich: ImmichServer, ada: User, desk: Desk) -> None:
    one = await desk.connect(ada, webhook=False)
    assert not immich.workflows_of(ada)
    immich.slow_down("/workflows$", 0.05)
    chosen = one.choices.model_copy(update={"webhook": True})
    await asyncio.gather(
        desk.connections.update_choices(ada.id, chosen),
        one.see_to_channels(),
        desk.round(),
        desk.connections.update_choices(ada.id, chosen),
    )
    assert len(immich.workflows_of(ada)) == 1


async def test_two_of_ours_become_one(immich: ImmichServer, ada: User, library: Library, desk: Desk) -> None:
    one = await desk.connect(ada)
    twin = immich.add_webhook(ada, one.webhook_address or "", header=(HEADER, "older"))
    twin.name = WORKFLOW
    await desk.restart()
    await desk.round()
    (left,) = immich.workflows_of(ada)
    row = await library.connection_row(ada.id)
    assert row.workflow_ids == [left.id]
    assert row.webhook_secret_sha256 == digest(config_of(immich, ada)["headerValue"])


async def test_without_an_address_there_is_none_and_it_is_said(immich: ImmichServer, ada: User, desk: Desk) -> None:
    await desk.restart(webhook_url=None)
    one = await desk.connect(ada)
    assert "SIDECAR_WEBHOOK_URL" in one.problems[0]
    assert desk.connections.webhook_address() is None
    assert not immich.workflows_of(ada)


async def test_immich_that_keeps_no_step_is_found_out(
    immich: ImmichServer, ada: User, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow = {"id": "0ef7b2ea-6b1f-4d3a-9f63-3cb9a0a3b1c1", "name": WORKFLOW, "enabled": True, "steps": []}
    immich.answer_next("/workflows/0ef7b2ea-6b1f-4d3a-9f63-3cb9a0a3b1c1$", 200, workflow)
    immich.answer_next("/workflows$", 200, [])
    immich.answer_next("/workflows$", 201, workflow)
    one = await desk.connect(ada)
    assert "did not keep its step" in one.problems[0]


async def test_immich_away_during_set_up_is_tried_again(
    immich: ImmichServer, ada: User, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    immich.answer_next("/workflows$", 503, "<html>later</html>", times=2)
    one = await desk.connect(ada)
    await desk.round()
    await desk.round()
    assert len(immich.workflows_of(ada)) == 1
    assert one.problems == ()
    await immich.go_away()
    with pytest.raises(ImmichAwayError):
        await one.ping()


async def test_immich_that_fails_while_the_step_is_written_is_tried_again(
    immich: ImmichServer, ada: User, library: Library, desk: Desk
) -> None:
    """A secret that is known here and not in Immich would have each of its calls refused until the next start."""
    await desk.connect(ada)
    (workflow,) = immich.workflows_of(ada)
    workflow.steps[0]["config"]["headerValue"] = "changed"
    await desk.restart()
    immich.answer_next(f"/workflows/{workflow.id}$", 500, {"message": "Internal server error"}, method="PUT")
    await desk.round()
    (one,) = desk.connections.all()
    assert "Internal server error" in one.problems[0]
    await desk.round()
    assert one.problems == ()
    assert desk.connections.believes(one.id, workflow.steps[0]["config"]["headerValue"])
