"""Which Immich the service meets: the newest, and every supported one where a test is marked `every_immich`."""

import pytest

from tests.immich_server.dialect import NEWEST, tested_versions


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "immich_version" in metafunc.fixturenames:
        every = metafunc.definition.get_closest_marker("every_immich")
        metafunc.parametrize("immich_version", tested_versions() if every else (NEWEST,), scope="module")
