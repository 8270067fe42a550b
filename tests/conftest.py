"""What all tests share: one thread per process, real photos where there are some, real peers where required.

`SIDECAR_TEST_DATA` names a folder with `photos/` and `immich/`. `SIDECAR_TESTS_REQUIRE` lists what must be there
(`browser`, `exiftool`, `nginx`, `data`): its absence then fails a test instead of skipping it.
"""

import os
import tempfile
import time

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
for _variable in [name for name in os.environ if name.startswith("IMMICH_")]:
    del os.environ[_variable]
for _variable in [name for name in os.environ if name.startswith("SIDECAR_") and "TEST" not in name]:
    del os.environ[_variable]

# Where tests run, it is the same time.
os.environ["TZ"] = "UTC"
time.tzset()

# Libraries of models never ask a hub, and write their settings nowhere but into a folder that goes with the tests.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("YOLO_CONFIG_DIR", os.path.join(tempfile.gettempdir(), "sidecar-tests-ultralytics"))  # noqa: PTH118

import shutil  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import NoReturn  # noqa: E402

import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402
from PIL import Image  # noqa: E402

# How long one example takes says how busy the machine is, not whether what it shows is right.
settings.register_profile(
    "tests",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
)
settings.load_profile("tests")


def pytest_collection_finish() -> None:
    """Refuse test modules that change Pillow by what they import: each would change it for all others."""
    assert Image.open.__module__ == "PIL.Image", (
        f"a test module replaced PIL.Image.open by that of {Image.open.__module__}"
    )


def _absent(what: str, reason: str) -> NoReturn:
    required = {item.strip() for item in os.environ.get("SIDECAR_TESTS_REQUIRE", "").split(",")}
    if what in required:
        pytest.fail(f"{what} is required here: {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real files: `photos/`, `immich/`."""
    folder = os.environ.get("SIDECAR_TEST_DATA")
    if not folder or not (Path(folder) / "photos").is_dir():
        _absent("data", "SIDECAR_TEST_DATA names no folder with real photos")
    return Path(folder)


@pytest.fixture(scope="session")
def photos(test_data: Path) -> Path:
    """The folder of real photos."""
    return test_data / "photos"


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Path of a Chromium that Playwright can drive."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        _absent("browser", "no Chromium is installed")
    return path


@pytest.fixture(scope="session")
def exiftool() -> str:
    """Path of exiftool, the independent reader of what we write."""
    path = shutil.which("exiftool")
    if path is None:
        _absent("exiftool", "exiftool is not installed")
    return path
