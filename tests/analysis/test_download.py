"""Fetching weights, from a server that cuts connections, lies about ranges and changes files in between."""

import asyncio
import hashlib
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from filelock import FileLock

from immich_sidecar.analysis import transfer, weights
from immich_sidecar.analysis.download import Progress, address_of, download
from immich_sidecar.analysis.models_catalogue import Entry
from immich_sidecar.errors import (
    DiskFullError,
    DownloadError,
    StorageError,
    WeightsDamagedError,
    WeightsRefusedError,
)
from tests.analysis.weights_server import Publisher, entry, publishing

BYTES = np.random.default_rng(7).integers(0, 256, 3_000_000, dtype=np.uint8).tobytes()
WEIGHTS = "somebody/little/model.safetensors"


class Told(NamedTuple):
    waits: list[float]
    steps: list[Progress]


@pytest.fixture
async def hub() -> AsyncIterator[Publisher]:
    async with publishing(Publisher({"somebody/little/config.json": b"{}", WEIGHTS: BYTES})) as publisher:
        yield publisher


async def get(hub: Publisher, folder: Path, model: Entry | None = None, **more: Any) -> Told:
    """Download without waiting between tries."""
    told = Told([], [])

    async def sleep(seconds: float) -> None:
        told.waits.append(seconds)

    await download(model or entry(), folder, mirror=hub.address, tell=told.steps.append, sleep=sleep, **more)
    return told


def large(hub: Publisher) -> list[str]:
    """Ranges that were asked for where large files are."""
    return [given for path, given in hub.asked if path.startswith("/elsewhere")]


def here(folder: Path, name: str = "model.safetensors") -> bytes:
    return (folder / "little" / name).read_bytes()


def leftovers(folder: Path) -> set[str]:
    return {path.name for path in (folder / "little").iterdir()} - {"config.json", "model.safetensors"}


async def test_a_model_is_fetched_recorded_and_ready(hub: Publisher, tmp_path: Path) -> None:
    told = await get(hub, tmp_path)
    assert here(tmp_path) == BYTES
    assert leftovers(tmp_path) == {"sidecar-record.json"}
    record = weights.read_record(entry(), tmp_path)
    assert record.revision == hub.commit
    assert record.files["model.safetensors"].sha256 == hashlib.sha256(BYTES).hexdigest()
    files = weights.open(entry(), tmp_path)
    assert files.revision.startswith("c0ffee00-")
    assert weights.verify(entry(), tmp_path).is_right
    dones = [step.done for step in told.steps]
    assert dones == sorted(dones)
    assert len(dones) > 4
    assert told.steps[-1] == Progress("", len(BYTES) + 2, len(BYTES) + 2)
    assert told.steps[-1].share == 1
    assert hub.asked[-1][0].startswith("/elsewhere"), "large files lie elsewhere"
    assert f"/resolve/{hub.commit}/" in hub.asked[1][0], "all files are of one commit"


async def test_what_is_here_is_not_fetched_again(hub: Publisher, tmp_path: Path) -> None:
    await get(hub, tmp_path)
    hub.asked.clear()
    await get(hub, tmp_path)
    assert hub.asked == []
    (tmp_path / "little" / "model.safetensors").unlink()
    await get(hub, tmp_path)
    assert [path for path, _ in hub.asked if "config" in path] == []
    assert here(tmp_path) == BYTES


async def test_a_connection_that_breaks_again_and_again_goes_on_where_it_was(hub: Publisher, tmp_path: Path) -> None:
    hub.cuts = [100_000, 1_500_000, 5, 800_000]
    told = await get(hub, tmp_path)
    assert here(tmp_path) == BYTES
    starts = [int(given[6:-1] or 0) if given else 0 for given in large(hub)]
    assert len(starts) == 5
    assert starts == sorted(starts)
    assert starts[-1] > 2_000_000, "nothing came twice"
    assert len(told.waits) == 4


async def test_a_download_goes_on_in_a_later_run(hub: Publisher, tmp_path: Path) -> None:
    hub.manner = "stall"
    hub.cuts = [2_500_000]
    running = asyncio.create_task(get(hub, tmp_path))
    await asyncio.wait_for(hub.began.wait(), 90)
    part = tmp_path / "little" / "model.safetensors.part"
    async with asyncio.timeout(90):
        while not part.exists() or part.stat().st_size < 1_000_000:  # noqa: ASYNC110  a file tells nobody
            await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    kept = part.stat().st_size
    assert BYTES.startswith(part.read_bytes())
    assert weights.standing(entry(), tmp_path).broken_off
    hub.manner = ""
    hub.asked.clear()
    await get(hub, tmp_path)
    assert large(hub) == [f"bytes={kept}-"]
    assert here(tmp_path) == BYTES
    assert not weights.standing(entry(), tmp_path).broken_off


async def test_a_whole_part_is_not_fetched_again(hub: Publisher, tmp_path: Path) -> None:
    hub.cuts = [2_000_000]
    hub.statuses = [200, 200, *[503] * transfer.FRUITLESS]
    with pytest.raises(DownloadError):
        await get(hub, tmp_path)
    (tmp_path / "little" / "model.safetensors.part").write_bytes(BYTES)
    hub.asked.clear()
    await get(hub, tmp_path)
    assert large(hub) == [f"bytes={len(BYTES)}-"]
    assert here(tmp_path) == BYTES


async def test_a_file_that_changes_in_between_comes_whole(hub: Publisher, tmp_path: Path) -> None:
    hub.cuts = [2_000_000]
    hub.manner = "no_link"
    other = BYTES[::-1]

    async def sleep(_: float) -> None:
        hub.files[WEIGHTS] = other

    await download(entry(), tmp_path, mirror=hub.address, sleep=sleep)
    assert here(tmp_path) == other
    assert len(large(hub)) == 2
    assert large(hub)[1].startswith("bytes=")


@pytest.mark.parametrize("manner", ["whole", "wrong_part", "other_total", "weak", "no_etag", "gzip", "chunked"])
async def test_answers_that_are_not_what_was_asked_for_do_no_harm(hub: Publisher, tmp_path: Path, manner: str) -> None:
    hub.cuts = [2_000_000]
    hub.manner = manner
    await get(hub, tmp_path)
    assert here(tmp_path) == BYTES
    assert leftovers(tmp_path) == {"sidecar-record.json"}
    if manner in ("weak", "no_etag"):
        assert large(hub)[1] == "", "nothing tells whether the rest would fit"


async def test_a_part_of_another_file_is_found_out(hub: Publisher, tmp_path: Path) -> None:
    model = entry(files=[{"path": "model.safetensors", "part": "weights", "sha256": hashlib.sha256(BYTES).hexdigest()}])
    hub.manner = "no_etag"
    home = tmp_path / "little"
    home.mkdir()
    (home / "model.safetensors.part").write_bytes(b"x" * 1_000_000)
    note = {"address": address_of(model, "model.safetensors", mirror=hub.address), "etag": "", "total": len(BYTES)}
    (home / "model.safetensors.part.json").write_text(json.dumps(note))
    await get(hub, tmp_path, model)
    assert large(hub) == ["bytes=1000000-", ""]
    assert here(tmp_path) == BYTES


@pytest.mark.parametrize("note", ["", "[]", '{"address": "http://elsewhere/x", "etag": "\\"1\\"", "total": 3}'])
async def test_a_part_that_nobody_knows_is_thrown_away(hub: Publisher, tmp_path: Path, note: str) -> None:
    home = tmp_path / "little"
    home.mkdir()
    (home / "model.safetensors.part").write_bytes(b"x" * 1000)
    (home / "model.safetensors.part.json").write_text(note)
    await get(hub, tmp_path)
    assert here(tmp_path) == BYTES


async def test_a_body_without_a_length_could_be_cut_and_is_refused(hub: Publisher, tmp_path: Path) -> None:
    hub.manner = "no_length"
    with pytest.raises(DownloadError, match="how long"):
        await get(hub, tmp_path)
    hub.cuts = [2_000_000]
    model = entry(files=[{"path": "model.safetensors", "part": "weights", "size": len(BYTES)}])
    await get(hub, tmp_path, model)
    assert here(tmp_path) == BYTES


async def test_what_differs_from_the_servers_own_word_is_not_kept(hub: Publisher, tmp_path: Path) -> None:
    hub.files["somebody/other/model.safetensors"] = BYTES[::-1]
    hub.leads_to = "/elsewhere/somebody/other/model.safetensors"
    with pytest.raises(DownloadError, match="it was not kept"):
        await get(hub, tmp_path)
    assert leftovers(tmp_path) == {"sidecar-record.json"}
    assert not (tmp_path / "little" / "model.safetensors").exists()


async def test_pinned_digests_are_held_to(hub: Publisher, tmp_path: Path) -> None:
    blob = hashlib.sha1(b"blob %d\0" % len(BYTES) + BYTES).hexdigest()
    right = entry(files=[{"path": "model.safetensors", "part": "weights", "git_blob": blob}])
    await get(hub, tmp_path, right)
    assert weights.standing(right, tmp_path).known is weights.Known.PINNED
    weights.remove(right, tmp_path, forget=True)
    for wrong in ({"git_blob": blob[::-1]}, {"sha256": "0" * 64}):
        model = entry(files=[{"path": "model.safetensors", "part": "weights", **wrong}])
        with pytest.raises((WeightsDamagedError, DownloadError), match=next(iter(wrong.values()))):
            await get(hub, tmp_path, model)
        assert not (tmp_path / "little" / "model.safetensors").exists()
        assert not (tmp_path / "little" / "model.safetensors.part").exists()
    with pytest.raises(DownloadError, match="not 12"):
        await get(hub, tmp_path, entry(files=[{"path": "model.safetensors", "part": "weights", "size": 12}]))


async def test_what_was_recorded_is_held_to(hub: Publisher, tmp_path: Path) -> None:
    await get(hub, tmp_path)
    weights.remove(entry(), tmp_path)
    hub.files[WEIGHTS] = BYTES[::-1]
    with pytest.raises(WeightsDamagedError, match="--forget"):
        await get(hub, tmp_path)
    assert not (tmp_path / "little" / "model.safetensors").exists()
    weights.remove(entry(), tmp_path, forget=True)
    await get(hub, tmp_path)
    assert here(tmp_path) == BYTES[::-1]


async def test_a_damaged_file_is_fetched_anew(hub: Publisher, tmp_path: Path) -> None:
    await get(hub, tmp_path)
    (tmp_path / "little" / "model.safetensors").write_bytes(BYTES[:-1])
    assert weights.standing(entry(), tmp_path).state is weights.State.DAMAGED
    await get(hub, tmp_path)
    assert here(tmp_path) == BYTES
    weights.open(entry(), tmp_path)


async def test_pieces_are_found_by_their_list(hub: Publisher, tmp_path: Path) -> None:
    model = entry(files=[{"path": "config.json"}, {"path": "model.safetensors", "part": "weights", "sharded": True}])
    await get(hub, tmp_path / "whole", model)
    assert here(tmp_path / "whole") == BYTES
    del hub.files[WEIGHTS]
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    index = json.dumps({"weight_map": dict(zip("abc", [*names, names[0]], strict=True))}).encode()
    hub.files["somebody/little/model.safetensors.index.json"] = index
    for number, name in enumerate(names):
        hub.files[f"somebody/little/{name}"] = BYTES[number::2]
    hub.cuts = [1_200_000]
    await get(hub, tmp_path / "cut", model)
    assert here(tmp_path / "cut", names[1]) == BYTES[1::2]
    weights.open(model, tmp_path / "cut")


async def test_optional_files_may_be_missing_and_others_not(hub: Publisher, tmp_path: Path) -> None:
    files = [*entry().model_dump()["files"], {"path": "merges.txt", "optional": True}]
    await get(hub, tmp_path / "a", entry(files=files))
    weights.open(entry(files=files), tmp_path / "a")
    files[-1]["optional"] = False
    with pytest.raises(DownloadError, match=r"no such file \(404\).*models verify little"):
        await get(hub, tmp_path / "b", entry(files=files))


@pytest.mark.parametrize(("status", "words"), [(401, "accepted its terms"), (403, "accepted its terms"), (418, "418")])
async def test_refusals_are_final_and_say_what_to_do(hub: Publisher, tmp_path: Path, status: int, words: str) -> None:
    hub.statuses = [status]
    with pytest.raises(DownloadError, match=words) as refused:
        await get(hub, tmp_path)
    assert str(tmp_path / "little") in str(refused.value)
    assert len(hub.asked) == 1


async def test_a_busy_server_is_asked_again_as_it_wishes(hub: Publisher, tmp_path: Path) -> None:
    hub.statuses, hub.retry_after = [429, 503], "7"
    told = await get(hub, tmp_path)
    assert told.waits == [7.0, 7.0]
    assert here(tmp_path) == BYTES


async def test_patience_ends(hub: Publisher, tmp_path: Path) -> None:
    hub.statuses = [502] * 50
    with pytest.raises(DownloadError, match="502"):
        await get(hub, tmp_path)
    assert len(hub.asked) == transfer.FRUITLESS


async def test_no_network_says_how_to_bring_the_files(tmp_path: Path) -> None:
    async with publishing(Publisher()) as closed:
        pass
    with pytest.raises(DownloadError) as refused:
        await get(closed, tmp_path)
    text = str(refused.value)
    assert "cannot be reached" in text
    assert f"{closed.address}/somebody/little/resolve/main" in text
    assert "config.json, model.safetensors" in text
    assert f"put them into {tmp_path / 'little'} and run `immich-sidecar models verify little`" in text


async def test_redirects_without_end_are_not_followed(hub: Publisher, tmp_path: Path) -> None:
    hub.manner = "loop"
    with pytest.raises(DownloadError, match="without end"):
        await get(hub, tmp_path)
    assert len(hub.asked) < 12


async def test_full_disks_are_noticed_before(hub: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2_000_000))
    with pytest.raises(DiskFullError, match="SIDECAR_MIN_FREE"):
        await get(hub, tmp_path, min_free=10_000_000)
    assert hub.asked == []
    with pytest.raises(DiskFullError, match="3 MiB are to come"):
        await get(hub, tmp_path)
    assert not (tmp_path / "little" / "model.safetensors.part").exists()
    with pytest.raises(DiskFullError, match="95 MiB are to come"):
        await get(hub, tmp_path, entry(about_mb=100))


async def test_two_at_once_do_not_mix(hub: Publisher, tmp_path: Path) -> None:
    with FileLock(tmp_path / ".little.lock"), pytest.raises(StorageError, match="being fetched already"):
        await get(hub, tmp_path)
    await get(hub, tmp_path)


async def test_a_folder_that_cannot_be_made_is_said(hub: Publisher, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")
    with pytest.raises(StorageError, match="cannot be written"):
        await get(hub, tmp_path / "models")


@pytest.mark.parametrize("changes", [{"format": "pickle"}, {"commercial": False}])
async def test_what_could_do_harm_is_not_even_fetched(hub: Publisher, tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(WeightsRefusedError, match="models consent little"):
        await get(hub, tmp_path, entry(**changes))
    assert hub.asked == []
    assert not (tmp_path / "little").exists()
    await get(hub, tmp_path, entry(**changes), consents=["little"])
    assert here(tmp_path) == BYTES


async def test_files_put_there_by_hand_are_kept(hub: Publisher, tmp_path: Path) -> None:
    home = tmp_path / "little"
    home.mkdir()
    (home / "model.safetensors").write_bytes(b"by hand")
    await get(hub, tmp_path)
    assert here(tmp_path) == b"by hand"
    assert weights.standing(entry(), tmp_path).usable


def test_addresses() -> None:
    model = weights.find("rtdetr-v2-r50")
    base = "https://huggingface.co/PekingU/rtdetr_v2_r50vd/resolve"
    assert address_of(model, "config.json") == f"{base}/main/config.json"
    assert address_of(model, "a b.json", revision="1f") == f"{base}/1f/a%20b.json"
    assert address_of(model, "x", mirror="https://m.example").startswith("https://m.example/PekingU/")
    nima = weights.find("nima-aesthetic")
    assert address_of(nima, "x", mirror="https://m.example").startswith("https://raw.githubusercontent.com/idealo/")
