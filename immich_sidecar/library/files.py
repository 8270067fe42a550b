"""Files that are either whole or not there.

A file of ours is written under a hidden temporary name in its own folder, synced to the disk, renamed to its
name, and the folder synced: after a loss of power a name stands for all of its bytes or for nothing. Everything
here blocks; call it in a thread.
"""

import errno
import hashlib
import os
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from immich_sidecar.errors import DiskFullError, StorageError

_CHUNK = 1 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Digests:
    """What the bytes of a file are known by."""

    #: SHA-256, hexadecimal.
    sha256: str
    #: SHA-1, hexadecimal: what Immich knows.
    sha1: str
    #: Number of bytes.
    size: int


class FileChangedError(StorageError):
    """A file changed while it was read; worth repeating once it stands still."""


@contextmanager
def storage(doing: str) -> Iterator[None]:
    """Turn errors of the operating system into `StorageError`; a full disk or quota into `DiskFullError`.

    Parameters
    ----------
    doing : str
        What was tried, on what, for the message: "writing /data/x.json".
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFullError(f"{doing}: no space is left; free some, work goes on by itself") from error
        raise StorageError(f"{doing}: {error.strerror or error}") from error


def hash_file(path: Path) -> Digests:
    """Read a file once for both digests.

    Raises
    ------
    StorageError
        If it cannot be read.
    """
    with storage(f"reading {path}"), path.open("rb", buffering=0) as source:
        return _pass_on(source, None)


def holds(path: Path, sha256: str) -> bool:
    """Whether a file is there and whole, read anew from its first byte to its last."""
    try:
        return path.is_file() and hash_file(path).sha256 == sha256
    except (OSError, StorageError):
        return False


def write_atomically(path: Path, content: bytes | Callable[[BinaryIO], object]) -> None:
    """Write a whole file, or leave what was there; folders are made.

    Parameters
    ----------
    path : Path
        The final name; replaced if it exists.
    content : bytes or callable
        The bytes, or a function that writes them to the open file it is given.
    """
    temporary = path.with_name(f".{uuid4().hex}.part")
    with storage(f"writing {path}"):
        make_folder(path.parent)
        try:
            with temporary.open("xb") as target:
                if isinstance(content, bytes):
                    target.write(content)
                else:
                    content(target)
                target.flush()
                os.fsync(target.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def adopt(temporary: Path, final: Path) -> None:
    """Give a finished file its name: sync it, rename it, sync the folder. Replaces what has the name.

    The temporary name should be in the final folder; on another file system the file is copied.
    """
    with storage(f"moving {temporary} to {final}"):
        make_folder(final.parent)
        descriptor = os.open(temporary, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        move(temporary, final)
        sync_folder(final.parent)
        if temporary.parent != final.parent:
            sync_folder(temporary.parent)


def move(source: Path, target: Path) -> None:
    """Rename a file of ours; where a part of the data directory is a file system of its own, copy it, synced."""
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    else:
        return
    with source.open("rb") as original:
        write_atomically(target, lambda copy: shutil.copyfileobj(original, copy, _CHUNK))
    source.unlink()


def copy_hashed(
    source: Path,
    temporary: Path,
    *,
    expected: os.stat_result | None = None,
    given_up: threading.Event | None = None,
) -> Digests:
    """Copy a file to a new one that nobody knows yet, synced, and tell its digests.

    Parameters
    ----------
    source : Path
        A regular file; never written to.
    temporary : Path
        The copy; must not exist. Removed again when anything fails.
    expected : os.stat_result, optional
        What `source` looked like when it was judged.
    given_up : threading.Event, optional
        Set it to end the copying early, with a `StorageError`.

    Raises
    ------
    FileChangedError
        If the source is another file than expected, or changes while it is copied.
    StorageError
        If the source cannot be read or the copy not written; `DiskFullError` where space is what is missing.
    """
    with storage(f"copying {source}"):
        make_folder(temporary.parent)
        with open_regular(source) as original:
            before = os.fstat(original.fileno())
            if expected is not None and _identity(before) != _identity(expected):
                raise FileChangedError(f"{source} changed while it was looked at; it is taken when it stands still")
            try:
                with temporary.open("xb", buffering=0) as target:
                    digests = _pass_on(original, target, given_up)
                    os.fsync(target.fileno())
                if _identity(os.fstat(original.fileno())) != _identity(before) or digests.size != before.st_size:
                    raise FileChangedError(f"{source} changed while it was copied; it is taken when it stands still")
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
    return digests


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each entered durably into its parent."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        with suppress(FileExistsError):  # made by somebody else meanwhile, unless it is a file
            new.mkdir()
        sync_folder(new.parent)
    if missing and not missing[0].is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "a file stands where a folder is needed", str(missing[0]))


def sync_folder(folder: Path) -> None:
    """Make renames inside a folder durable; file systems that cannot (some network mounts) are let off."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(descriptor)


@contextmanager
def open_regular(path: Path) -> Iterator[FileIO]:
    """A file opened for reading, unbuffered; a pipe or a device, which could block for ever, is an `OSError`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with FileIO(descriptor, "rb") as opened:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "no regular file", str(path))
        yield opened


def _identity(facts: os.stat_result) -> tuple[int, int, int, int]:
    return (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns)


def _pass_on(source: FileIO, target: FileIO | None, given_up: threading.Event | None = None) -> Digests:
    sha256, sha1, size = hashlib.sha256(), hashlib.sha1(usedforsecurity=False), 0
    buffer = memoryview(bytearray(_CHUNK))
    while count := source.readinto(buffer):
        part = buffer[:count]
        sha256.update(part)
        sha1.update(part)
        size += count
        while target is not None and part:
            part = part[target.write(part) :]
        if given_up is not None and given_up.is_set():
            raise StorageError("copying was given up")
    return Digests(sha256.hexdigest(), sha1.hexdigest(), size)
