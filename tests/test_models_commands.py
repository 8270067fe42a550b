"""`immich-sidecar models`: listing, fetching, verifying, agreeing, removing, trying."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from immich_sidecar.analysis import weights
from immich_sidecar.cli import app
from immich_sidecar.errors import NotFoundError, WeightsRefusedError
from tests.analysis.models import test_endpoint
from tests.analysis.weights_server import Publisher, publishing

DETECTOR = "PekingU/rtdetr_v2_r18vd"
Run = Callable[..., Any]
#: A server that speaks OpenAI's protocol.
endpoint = test_endpoint.server


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SIDECAR_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SIDECAR_MIN_FREE", "0")
    return tmp_path / "models"


@pytest.fixture
async def hub(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Publisher]:
    files = {"config.json": b"{}", "preprocessor_config.json": b"{}", "model.safetensors": b"w" * 5000}
    published = Publisher({f"{DETECTOR}/{name}": content for name, content in files.items()})
    async with publishing(published) as publisher:
        monkeypatch.setenv("SIDECAR_MODELS_MIRROR", publisher.address)
        yield publisher


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["models", *arguments])


async def away(*arguments: str) -> Result:
    """In another thread, as the command has an event loop of its own."""
    return await asyncio.to_thread(run, *arguments)


def one(name: str) -> dict[str, Any]:
    return next(row for row in json.loads(run("list", "--json").stdout) if row["name"] == name)


def test_the_list_says_what_there_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIDECAR_DEVICE", "cpu")
    text = run("list").stdout
    for entry in weights.catalogue():
        assert entry.name in text
        assert entry.licence in text
    assert "rtdetr-v2-r50 *" in text
    assert "not here; needs consent" in text
    assert str(folder) in text
    assert "Asked for by the settings: none" in text
    monkeypatch.setenv("SIDECAR_DETECTION", "dfine-small")
    assert "Asked for by the settings: detection (dfine-small)." in run("list").stdout
    assert not folder.exists()
    row = one("yunet")
    assert (row["state"], row["size"], row["usable"], row["digest"]) == ("missing", 232589, False, None)
    assert "models download yunet" in row["reason"]


async def test_a_model_comes_is_verified_and_goes(folder: Path, hub: Publisher) -> None:
    done = await away("download", DETECTOR)
    assert (done.exit_code, done.stdout) == (0, "rtdetr-v2-r18: here, digest recorded at first download\n")
    row = one("rtdetr-v2-r18")
    assert (row["state"], row["usable"], row["digest"], row["here"]) == ("ready", True, "recorded", 5004)
    assert row["revision"].startswith(hub.commit[:8])
    assert run("verify").exit_code == 0
    (folder / "rtdetr-v2-r18" / "model.safetensors").write_bytes(b"x" * 5000)
    done = run("verify", "rtdetr-v2-r18")
    assert done.exit_code == 1
    assert "first seen was" in done.stdout
    done = run("verify", "--json")
    assert done.exit_code == 1
    assert [file["found"] for file in json.loads(done.stdout)[0]["files"]] == ["right", "right", "damaged"]
    assert (await away("download", "rtdetr-v2-r18")).exit_code == 0
    assert run("verify").exit_code == 0
    done = run("remove", "--forget", "rtdetr-v2-r18")
    assert "freed" in done.stdout
    assert one("rtdetr-v2-r18")["state"] == "missing"
    assert not (folder / "rtdetr-v2-r18").exists()


async def test_what_cannot_be_had_ends_with_status_1(folder: Path, hub: Publisher) -> None:
    done = await away("download", "rtdetr-v2-r18", "rtdetr-v2-r50", "--json")
    assert done.exit_code == 1
    first, second = json.loads(done.stdout)
    assert first["usable"]
    assert "404" in second["error"]
    assert str(folder / "rtdetr-v2-r50") in second["error"]


def test_names_that_mean_nothing_and_no_names(folder: Path) -> None:
    assert isinstance(run("download", "nonesuch").exception, NotFoundError)
    assert run("download").exit_code == 2
    assert run("download", "--profile", "basic").exit_code == 2
    assert "no models" in run("verify").stdout
    assert run("verify", "yunet").exit_code == 1


async def test_a_pickle_waits_for_consent(folder: Path, hub: Publisher) -> None:
    repository = "facebook/sam2.1-hiera-tiny"
    hub.files[f"{repository}/sam2.1_hiera_tiny.pt"] = b"p" * 3000
    done = await away("download", "sam2:tiny")
    assert done.exit_code == 1
    assert "can run code" in done.stderr
    assert hub.asked == []
    assert one("sam2-package-tiny")["needs_consent"]
    assert (await away("download", "sam2:tiny", "--i-agree")).exit_code == 0
    row = one("sam2-package-tiny")
    assert (row["usable"], row["consented"], row["needs_consent"]) == (True, True, None)
    assert run("consent", "--withdraw", "sam2:tiny").exit_code == 0
    assert not one("sam2-package-tiny")["usable"]
    with pytest.raises(WeightsRefusedError):
        weights.open("sam2-package-tiny", folder)
    assert "You agreed" in run("consent", "sam2:tiny").stdout
    assert one("sam2-package-tiny")["usable"]
    assert "needs nobody's consent" in run("consent", "yunet").stdout


def test_consent_by_setting(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIDECAR_MODELS_CONSENT", "ultralytics:rtdetr-l.pt")
    row = one("ultralytics-rtdetr-l")
    assert (row["needs_consent"], row["consented"]) == (None, True)


def test_nothing_to_try(folder: Path) -> None:
    done = run("selftest")
    assert isinstance(done.exception, NotFoundError)
    assert "--profile standard" in str(done.exception)
    done = run("selftest", "yunet")
    assert done.exit_code == 1
    assert "not here" in done.stdout
    assert "0 of 1 models" in done.stdout


def test_random_weights_are_told_to_see_nothing(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from tests.analysis.models import test_detection as detection
    from tests.analysis.models import test_embedding as embedding
    from tests.analysis.models.tiny import lively

    home = folder / "rtdetr-v2-r50"
    home.mkdir(parents=True)
    lively(detection.rt_detr_v2).save_pretrained(home)
    detection.transformers.RTDetrImageProcessor(size=detection.SIDE).save_pretrained(home)
    home = folder / "clip-b32-laion2b"
    home.mkdir()
    embedding._write(home, embedding.CLIP)
    assert run("verify").exit_code == 0
    done = run("selftest")
    assert done.exit_code == 1, done.exception
    assert "0 of 2 models answered as expected" in done.stdout
    assert "expected cat" in done.stdout
    assert "expected a photo of a cat" in done.stdout
    assert "on cpu" in done.stdout
    done = run("selftest", "rtdetr-v2-r50", "--json")
    assert done.exit_code == 1
    (row,) = json.loads(done.stdout)
    assert (row["problem"], row["ok"], row["device"]) == ("", False, "cpu")
    assert {check["photo"] for check in row["checks"]} >= {"astronaut", "chelsea", "coffee"}
    assert not any(check["ok"] for check in row["checks"])


def test_models_on_other_servers_are_tried_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch, endpoint: test_endpoint.Server
) -> None:
    monkeypatch.setenv("SIDECAR_WORDS", "endpoint")
    monkeypatch.setenv("SIDECAR_WORDS_URL", endpoint.url)
    monkeypatch.setenv("SIDECAR_WORDS_MODEL", "seer")
    monkeypatch.setenv("SIDECAR_DEVICE", "cpu")
    everything = test_endpoint.GOOD | {"description": "An astronaut, a cat, a cup of coffee, a bus and a man."}
    endpoint.answer = lambda _: test_endpoint.completion(json.dumps(everything))
    done = run("selftest")
    assert done.exit_code == 0, done.stdout
    assert "endpoint" in done.stdout
    assert "1 of 1 models answered as expected" in done.stdout
    assert {asked["model"] for asked in endpoint.asked} == {"seer"}
    endpoint.answer = lambda _: test_endpoint.completion(json.dumps(test_endpoint.GOOD | {"description": "Fog."}))
    assert run("selftest", "endpoint").exit_code == 1
    done = run("selftest", "immich")
    assert done.exit_code == 1
    assert "SIDECAR_IMMICH_ML_URL" in done.stdout


def test_the_service_is_built_without_the_libraries_of_models(folder: Path) -> None:
    code = (
        "import sys\nfrom immich_sidecar.app import Service\nfrom immich_sidecar.settings import load_settings\n"
        "import immich_sidecar.cli\nService(load_settings(profile='full'))\n"
        "print(*{'torch', 'torchvision', 'transformers', 'open_clip', 'ultralytics', 'sam2', 'huggingface_hub', 'h5py'}"
        " & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
