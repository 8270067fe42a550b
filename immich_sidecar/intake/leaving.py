"""Files that leave a hot folder: moved aside or deleted, once somebody else has made sure that they are safe.

A file first gets a hidden name of ours in its own folder, so that nobody exchanges it any more, and is then read: only
the bytes that are stored leave. Ended at any point, the file is in the folder under its name or under that hidden one,
and `bring_back` finds it. Everything here blocks.
"""

import errno
import itertools
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from immich_sidecar.errors import StorageError
from immich_sidecar.intake.processed_folder import processed_folder
from immich_sidecar.library.files import hash_file, make_folder, storage, sync_folder

#: How hidden names begin; nothing called so is looked at.
PREFIX = ".sidecar-leaving-"
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES)
_NAME_BYTES = 255


class ChangedError(StorageError):
    """The file is not the one that was taken; it lies in the folder as before."""


class StuckError(StorageError):
    """The file cannot leave: the folder cannot be written to, most likely. It lies there as before."""


@dataclass(frozen=True)
class Leaver:
    """A file that is to leave, as it was taken."""

    path: Path
    size: int
    mtime_ns: int
    #: SHA-256 of the bytes that are stored.
    sha256: str
    #: What tells it from all others: the id of its row.
    number: int

    @property
    def hidden(self) -> Path:
        """The name it has in between."""
        name = f"{PREFIX}{self.number}-{self.path.name}"
        return self.path.with_name(name if len(os.fsencode(name)) <= _NAME_BYTES else f"{PREFIX}{self.number}")


def bring_back(file: Leaver) -> bool:
    """Give a file its name again that an interrupted attempt left under the hidden one; whether there was one.

    Where its name is taken by now, it gets a number: both stay.

    Raises
    ------
    StuckError
        If it cannot be renamed.
    """
    if not os.path.lexists(file.hidden):
        return False
    for place in _numbered(file.path):
        if _put(file.hidden, place):
            return True
    raise AssertionError


def delete(file: Leaver) -> None:
    """Delete a file whose bytes are the ones that were stored.

    Raises
    ------
    ChangedError
        If it is another one; it stays.
    StuckError
        If it cannot be deleted.
    """
    _hide(file)
    with _trouble(file):
        file.hidden.unlink()
        sync_folder(file.path.parent)


def move(file: Leaver, target: Path) -> None:
    """Move a file whose bytes are the ones that were stored; one with the same bytes that is there already serves.

    Raises
    ------
    ChangedError
        If it is another one, or another one has the place; it stays.
    StuckError
        If it cannot be moved.
    """
    _hide(file)
    try:
        with storage(f"making {target.parent}"):
            make_folder(target.parent)
        if not _put(file.hidden, target):
            if not _has(target, file.sha256):
                raise ChangedError(f"{target} is there already, and is another file")
            with _trouble(file):
                file.hidden.unlink()
        with suppress(OSError):
            sync_folder(target.parent)
            sync_folder(file.path.parent)
    except StorageError as error:
        bring_back(file)
        if isinstance(error, ChangedError | StuckError):
            raise
        raise StuckError(f"{file.path.name} cannot be moved: {error}") from error


def places(root: Path, files: Sequence[Leaver]) -> list[Path]:
    """Where files of one photo are moved to: the folder for that in `root`, below it as they lay, under names that fit.

    Where a name is taken by another file, all of them get the same number, so that they still belong together.

    Raises
    ------
    StuckError
        If the folder cannot be made.
    """
    try:
        folder = processed_folder(root)
    except StorageError as error:
        raise StuckError(str(error)) from error
    wanted = [folder / file.path.relative_to(root) for file in files]
    for number in itertools.count(1):
        found = [_with_number(place, number) for place in wanted]
        if all(
            not os.path.lexists(place) or _has(place, file.sha256) for place, file in zip(found, files, strict=True)
        ):
            return found
    raise AssertionError


def _hide(file: Leaver) -> None:
    """Give the file its hidden name, and make sure that it is the one that was stored.

    One that has that name from an attempt that nothing could be done about, since its disk or share was away, gets its
    own again first.
    """
    bring_back(file)
    try:
        before = os.lstat(file.path)
    except FileNotFoundError as error:
        if not file.path.parent.is_dir():
            raise StuckError(f"the folder of {file.path.name} is not there") from error
        raise ChangedError(f"{file.path.name} is not there any more") from error
    except OSError as error:
        raise StuckError(f"{file.path.name} cannot be looked at: {error.strerror}") from error
    if not stat.S_ISREG(before.st_mode):
        raise ChangedError(f"{file.path.name} is a link, and stays")
    if (before.st_size, before.st_mtime_ns) != (file.size, file.mtime_ns):
        raise ChangedError(f"{file.path.name} changed since it was taken")
    if os.path.lexists(file.hidden):
        raise StuckError(f"{file.hidden.name} is in the way")
    with _trouble(file):
        file.path.rename(file.hidden)
    try:
        after = os.lstat(file.hidden)
        # Some network mounts number files anew with each look; what was renamed is what is read in any case.
        same = (after.st_size, after.st_mtime_ns, after.st_dev) == (before.st_size, before.st_mtime_ns, before.st_dev)
        if not same or not _has(file.hidden, file.sha256):
            raise ChangedError(f"{file.path.name} has other bytes than those that were taken")
        last = os.lstat(file.hidden)
        if (last.st_ino, last.st_size, last.st_mtime_ns) != (after.st_ino, after.st_size, after.st_mtime_ns):
            raise ChangedError(f"{file.path.name} changed while it was read")
    except (OSError, StorageError) as error:
        bring_back(file)
        if isinstance(error, ChangedError):
            raise
        raise StuckError(f"{file.path.name} cannot be read again: {error}") from error


def _put(hidden: Path, place: Path) -> bool:
    """Give a hidden file a name that nobody has; False where somebody has it.

    Raises
    ------
    StuckError
        If it cannot be done.
    """
    try:
        try:
            os.link(hidden, place, follow_symlinks=False)
        except OSError as error:
            if error.errno == errno.EXDEV:
                return _copy(hidden, place)
            if error.errno not in _NO_LINKS:
                raise
            # No second names on this file system (SMB, FAT): take the name first, then its place.
            os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            try:
                hidden.replace(place)
            except OSError:
                place.unlink(missing_ok=True)
                raise
        else:
            hidden.unlink()
        with suppress(OSError):
            sync_folder(place.parent)
    except FileExistsError:
        return False
    except OSError as error:
        raise StuckError(f"{place.name} cannot be moved: {error.strerror or error}") from error
    return True


def _copy(hidden: Path, place: Path) -> bool:
    """Move a file to another file system: copied, read again, and only then removed here."""
    temporary = place.with_name(f"{PREFIX}{os.getpid()}-{hidden.stat().st_ino}")
    try:
        shutil.copy2(hidden, temporary)
        with temporary.open("rb") as copied:
            os.fsync(copied.fileno())
        if hash_file(temporary).sha256 != hash_file(hidden).sha256:
            raise OSError(errno.EIO, "the copy has other bytes")
        if not _put(temporary, place):
            return False
    finally:
        temporary.unlink(missing_ok=True)
    hidden.unlink()
    return True


def _numbered(path: Path) -> Iterable[Path]:
    return (_with_number(path, number) for number in itertools.count(1))


def _with_number(path: Path, number: int) -> Path:
    """`IMG_1.CR2.xmp` becomes `IMG_1 (2).CR2.xmp`: the number stands before all endings, so that names still fit."""
    if number == 1:
        return path
    stem, dot, endings = path.name.partition(".") if not path.name.startswith(".") else (path.name, "", "")
    return path.with_name(f"{stem} ({number}){dot}{endings}")


def _has(path: Path, sha256: str) -> bool:
    """Whether a file is there with these bytes, read from the disk where the system lets us."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        with suppress(OSError, AttributeError):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
    return hash_file(path).sha256 == sha256


@contextmanager
def _trouble(file: Leaver) -> Iterator[None]:
    """Turn errors of the system into `StuckError`."""
    try:
        yield
    except OSError as error:
        raise StuckError(f"{file.path.name} cannot leave its folder: {error.strerror or error}") from error
