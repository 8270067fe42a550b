"""The built wheel, installed in an empty environment without network, starts the service."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WHEELHOUSE = ROOT / ".wheelhouse"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
    )
    return next(folder.glob("*.whl"))


def test_wheel_carries_everything_and_nothing_else(wheel: Path):
    names = zipfile.ZipFile(wheel).namelist()
    for needed in (
        "immich_sidecar/static/vendor/htmx.min.js",
        "immich_sidecar/library/migrations/env.py",
        "immich_py_client/client.py",
    ):
        assert needed in names
    for folder in ("templates", "static"):
        ours = {path.relative_to(ROOT / folder).as_posix() for path in (ROOT / folder).rglob("*") if path.is_file()}
        carried = {name.removeprefix(f"immich_sidecar/{folder}/") for name in names if f"sidecar/{folder}/" in name}
        assert ours == carried
        assert len(ours) > 3
    roots = {name.split("/")[0] for name in names}
    assert {root for root in roots if not root.endswith(".dist-info")} == {"immich_sidecar", "immich_py_client"}
    assert not [name for name in names if "__pycache__" in name]


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (WHEELHOUSE / ".filled").exists():
        reason = "the wheelhouse is not filled; run `make test`"
        pytest.fail(reason) if os.environ.get("SIDECAR_TESTS_REQUIRE") else pytest.skip(reason)
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    subprocess.run(
        [folder / "bin" / "pip", "install", "-q", "--no-index", "--find-links", str(WHEELHOUSE), str(wheel)],
        check=True,
        env={"PATH": os.environ["PATH"], "PIP_CONFIG_FILE": os.devnull},
    )
    return folder


@pytest.mark.timeout(600)
def test_service_starts_from_the_wheel(environment: Path, tmp_path: Path):
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SIDECAR_", "VIRTUAL"))
    }
    log = (tmp_path / "log").open("w+")
    service = subprocess.Popen(
        [environment / "bin" / "immich-sidecar", "run"],
        cwd=tmp_path,
        env=clean | {"SIDECAR_PORT": "0", "SIDECAR_WORKERS": "1", "SIDECAR_MIN_FREE": "0"},
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        deadline = time.monotonic() + 120
        address = None
        while time.monotonic() < deadline and address is None:
            assert service.poll() is None, (tmp_path / "log").read_text()
            match = re.search(r"http://127\.0\.0\.1:(\d+)", (tmp_path / "log").read_text())
            address = match[0] if match else None
            time.sleep(0.2)
        assert address, (tmp_path / "log").read_text()
        with urllib.request.urlopen(f"{address}/readyz", timeout=90) as response:
            assert response.status == 200
        with urllib.request.urlopen(f"{address}/", timeout=90) as response:
            page = response.read().decode()
        script = re.search(r'src="([^"]*htmx[^"]*)"', page)[1]
        with urllib.request.urlopen(address + script, timeout=90) as response:
            assert len(response.read()) > 40_000
    finally:
        service.send_signal(signal.SIGTERM)
        began = time.monotonic()
        status = service.wait(120)
    assert time.monotonic() - began < 45
    assert status == 0
    assert (tmp_path / "data" / "inbox").is_dir()
