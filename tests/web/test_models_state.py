"""How models stand, on the status page and in the API; and looking again."""

from pathlib import Path

from aiohttp.test_utils import TestClient, TestServer

from immich_sidecar.analysis.findings import Job
from immich_sidecar.analysis.runtime.memory import Memory
from immich_sidecar.analysis.runtime.runner import Loaded
from immich_sidecar.library import recipes
from immich_sidecar.pipeline import analysing_again
from immich_sidecar.pipeline.looking import LookingState
from immich_sidecar.pipeline.model_host import Ready, Standing
from immich_sidecar.pipeline.models_state import ModelsState
from immich_sidecar.pipeline.resources import Allowance
from tests.web.house import house

READY = Ready(
    devices=("cuda:0",),
    problem="SIDECAR_DEVICE_IDS: there is no device 7",
    models={Job.DETECTION: ("finder", "1")},
    missing={Job.FACES: "its weights are not here; run `immich-sidecar models download`"},
)
STANDING = Standing(
    models=(Loaded(Job.DETECTION, "finder", "1", ("cuda:0",), True, 3, None),),
    memory={"cuda:0": Memory(8 << 30, 2 << 30)},
)


def state(*, ready: Ready | None = READY, standing: Standing | None = STANDING, jobs: bool = True) -> ModelsState:
    wanted = frozenset({Job.DETECTION, Job.FACES}) if jobs else frozenset()
    looking = LookingState(wanted, ready, standing, 5, None)
    return ModelsState(looking, 7, Allowance(1, 1, "there is little memory left"), 4)


def test_each_job_says_who_does_it_or_why_nobody_does() -> None:
    told = state().to_json()
    assert [(one["job"], one["model"], one["loaded"]) for one in told["models"]] == [
        ("detection", "finder", True),
        ("faces", "", False),
    ]
    assert "download" in told["models"][1]["off"]
    assert told["workers"] == {"allowed": 1, "of": 4, "reason": "there is little memory left", "batch": 1}
    assert told["memory"] == {"cuda:0": {"free": 2 << 30, "total": 8 << 30}}


def test_before_the_first_photo_nothing_is_known() -> None:
    told = state(ready=None, standing=None).to_json()
    assert (told["devices"], told["running"], told["memory"]) == ([], False, {})
    assert all(one["off"] is None for one in told["models"])


async def test_the_status_shows_it(tmp_path: Path) -> None:
    async def models() -> ModelsState:
        return state()

    async with house(tmp_path, models_state=models) as home, TestClient(TestServer(home.app)) as client:
        page = await (await client.get("/status")).text()
        for word in ("cuda:0", "2.0 GiB of 8.0 GiB free", "finder", "its weights are not here", "no device 7"):
            assert word in page, word
        assert "1 of 4 workers" in page
        told = await (await client.get("/api/status")).json()
        assert told["models"]["waiting"] == 5
        answer = await client.post("/api/queue/analyse")
        assert await answer.json() == {"queued": 0}


async def test_without_models_the_status_says_so(tmp_path: Path) -> None:
    async def models() -> ModelsState:
        return state(jobs=False, ready=None, standing=None)

    async with house(tmp_path, models_state=models) as home, TestClient(TestServer(home.app)) as client:
        assert "photos are measured without them" in await (await client.get("/status")).text()


async def test_what_is_offered_can_be_seen_and_taken(tmp_path: Path) -> None:
    async with house(tmp_path) as home, TestClient(TestServer(home.app)) as client:
        photo = await home.shelf.put("approved")
        path = f"/api/photos/{photo.sha256}"
        assert (await (await client.get(path)).json())["offer"] is None
        async with home.database.transaction() as session:
            recipe = await recipes.load(session, "local", photo.recipe_id or "")
            dropped = recipe.model_copy(update={"operations": recipe.operations[:1]})
            await analysing_again.offer(session, home.layout, photo, dropped)
        assert (await (await client.get(path)).json())["offer"]
        page = await (await client.get(f"/photos/{photo.sha256}")).text()
        assert "Something else is suggested now" in page
        assert f"/photos/{photo.sha256}/analyse" in page
        answer = await client.post(f"{path}/renew", json={"version": 1})
        assert answer.status == 200, await answer.text()
        told = await answer.json()
        assert (told["version"], told["review"], told["offer"]) == (2, "pending", None)
        assert (await client.post(f"{path}/renew", json={"version": 2})).status == 409
        assert (await client.post(f"{path}/analyse", json={"version": 1})).status == 409
