"""A step and a command that put the same file in place at the same moment."""

import threading
from pathlib import Path

import pytest

from immich_sidecar.errors import StorageError
from immich_sidecar.library.files import hash_file
from immich_sidecar.library.layout import Layout
from immich_sidecar.library.tables import VersionRow
from immich_sidecar.pipeline.filing import put_in_place, rendering_path

SHA = "a" * 64


def _version(layout: Layout, content: bytes) -> VersionRow:
    version = VersionRow(
        owner_id="local",
        photo=SHA,
        n=1,
        recipe_id="r",
        path="processed/2024/05/x.jpg",
        size=len(content),
        sha256="",
        sha1="",
        width=1,
        height=1,
    )
    rendering = rendering_path(layout, version)
    rendering.parent.mkdir(parents=True, exist_ok=True)
    rendering.write_bytes(content)
    version.sha256 = hash_file(rendering).sha256
    return version


def test_many_at_once_all_find_it_in_place(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    for number in range(60):
        version = _version(layout, f"content {number}".encode())
        start = threading.Barrier(4)
        results: list[object] = []

        def work(
            version: VersionRow = version, start: threading.Barrier = start, results: list[object] = results
        ) -> None:
            start.wait()
            try:
                results.append(put_in_place(layout, version))
            except StorageError as error:
                results.append(error)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == [True] * 4
        layout.absolute(version.path).unlink()


@pytest.mark.parametrize("damage", ["missing", "other"])
def test_what_is_not_the_file_is_not_put_in_place(tmp_path: Path, damage: str) -> None:
    layout = Layout(tmp_path)
    version = _version(layout, b"content")
    rendering = rendering_path(layout, version)
    if damage == "missing":
        rendering.unlink()
    else:
        rendering.write_bytes(b"CONTENT")
    assert not put_in_place(layout, version)
    assert not layout.absolute(version.path).exists()
