"""Files are whole or not there."""

import errno
import hashlib
import os
import threading
from pathlib import Path
from typing import BinaryIO

import pytest

from immich_sidecar.errors import DiskFullError, StorageError
from immich_sidecar.library.files import (
    FileChangedError,
    adopt,
    copy_hashed,
    hash_file,
    make_folder,
    write_atomically,
)


def test_digests(tmp_path: Path) -> None:
    content = os.urandom(3_000_001)
    (tmp_path / "a").write_bytes(content)
    digests = hash_file(tmp_path / "a")
    assert digests.sha256 == hashlib.sha256(content).hexdigest()
    assert digests.sha1 == hashlib.sha1(content).hexdigest()
    assert digests.size == len(content)
    copied = copy_hashed(tmp_path / "a", tmp_path / "x" / "y" / "b")
    assert copied == digests
    assert (tmp_path / "x" / "y" / "b").read_bytes() == content


def test_a_write_replaces_the_whole_file_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "file.json"
    write_atomically(path, b"one")
    write_atomically(path, lambda target: target.write(b"two"))
    assert path.read_bytes() == b"two"

    def fails(target: BinaryIO) -> None:
        target.write(b"half of th")
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        write_atomically(path, fails)
    assert path.read_bytes() == b"two"
    assert [entry.name for entry in path.parent.iterdir()] == ["file.json"]


def test_order_of_a_durable_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes reach the disk before the name does, and the name before the write returns."""
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(descriptor: int) -> None:
        steps.append("folder" if Path(f"/proc/self/fd/{descriptor}").is_dir() else "file")
        fsync(descriptor)

    def noted_replace(self: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    write_atomically(tmp_path / "file", b"x")
    assert steps == ["file", "rename", "folder"]
    steps.clear()
    (tmp_path / ".t").write_bytes(b"y")
    adopt(tmp_path / ".t", tmp_path / "file")
    assert steps == ["file", "rename", "folder"]


def test_a_folder_on_a_disk_of_its_own_gets_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = Path.replace

    def within_one_disk(self: Path, target: Path) -> Path:
        if self.parent != target.parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link", str(self))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", within_one_disk)
    (tmp_path / ".t").write_bytes(b"x" * 3_000_000)
    final = tmp_path / "cache" / "file"
    adopt(tmp_path / ".t", final)
    assert final.read_bytes() == b"x" * 3_000_000
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [final]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_has_its_own_error_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    (tmp_path / "source").write_bytes(b"bytes")

    def full(_descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError, match="free some"):
        copy_hashed(tmp_path / "source", tmp_path / "copy")
    with pytest.raises(DiskFullError):
        write_atomically(tmp_path / "file", b"x")
    assert [entry.name for entry in tmp_path.iterdir()] == ["source"]


def test_another_file_than_expected_is_not_copied(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"one")
    expected = source.stat()
    (tmp_path / "other").write_bytes(b"two!")
    (tmp_path / "other").replace(source)
    with pytest.raises(FileChangedError):
        copy_hashed(source, tmp_path / "copy", expected=expected)
    assert not (tmp_path / "copy").exists()


def test_a_file_that_grows_while_it_is_copied_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x" * 100)
    fsync = os.fsync

    def appended(descriptor: int) -> None:
        with source.open("ab") as more:
            more.write(b"y")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", appended)
    with pytest.raises(FileChangedError):
        copy_hashed(source, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_copying_can_be_given_up(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"x" * 10)
    given_up = threading.Event()
    given_up.set()
    with pytest.raises(StorageError):
        copy_hashed(tmp_path / "source", tmp_path / "copy", given_up=given_up)
    assert not (tmp_path / "copy").exists()


@pytest.mark.timeout(60)
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(StorageError):
        copy_hashed(tmp_path / "pipe.jpg", tmp_path / "copy")


def test_a_folder_cannot_be_made_through_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match=r"directory|folder"):
        make_folder(tmp_path / "file" / "below")
    with pytest.raises(StorageError):
        write_atomically(tmp_path / "file" / "below" / "x", b"")
