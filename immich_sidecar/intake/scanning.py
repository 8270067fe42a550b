"""What lies in a hot folder at this moment. Reads names and sizes, never a file; everything here blocks."""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from immich_sidecar.intake.names import is_ignored_file, is_ignored_folder
from immich_sidecar.intake.processed_folder import is_processed_folder
from immich_sidecar.library.layout import KEPT_FOLDERS

#: Files handed on at once.
BATCH = 500
#: Folders within folders that are followed.
MAX_DEPTH = 64

#: Device and inode: what a folder is, whatever it is called.
Identity = tuple[int, int]


@dataclass(frozen=True)
class Found:
    """A file that may be a photo."""

    path: Path
    size: int
    mtime_ns: int


def path_text(path: Path) -> str:
    """A path as text for a row: itself, or, where its bytes are no UTF-8, marked and with those escaped."""
    raw = os.fsencode(path)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "bytes:" + raw.decode("utf-8", "backslashreplace")


def look_at(path: Path) -> Found | None:
    """The file as it is now; None where it is gone, empty, no file, or not to be looked at by its name."""
    if is_ignored_file(path.name):
        return None
    with suppress(OSError):
        status = path.stat()
        if stat.S_ISREG(status.st_mode) and status.st_size:
            return Found(path, status.st_size, status.st_mtime_ns)
    return None


class Territory:
    """Which folder a file belongs to, and which places are ours and therefore nobody's.

    Parameters
    ----------
    roots : sequence of Path
        All hot folders, absolute. A file belongs to the innermost one around it.
    data_dir : Path
        The data directory: never looked into, except for hot folders that lie in it and outside our own folders.
    """

    def __init__(self, roots: Sequence[Path], data_dir: Path) -> None:
        self._roots = frozenset(roots)
        self._data_dir = data_dir

    def is_ours(self, folder: Path) -> bool:
        """Whether a folder is one of ours, or inside one: what we have made is not to be taken."""
        ours = self._ours()
        with suppress(OSError):
            place = folder.resolve()
            return any(_identity(around) in ours for around in (place, *place.parents))
        return False

    def files(self, root: Path, start: Path | None = None) -> Iterator[list[Found]]:
        """All files that belong to a hot folder, or lie below `start` in it, in batches of at most `BATCH`.

        Links to folders are not followed; links to files are, unless they lead to what is ours.

        Raises
        ------
        OSError
            If the hot folder itself cannot be read.
        """
        closed = self._closed(root)
        batch: list[Found] = []
        waiting = [(start or root, 0)]
        while waiting:
            folder, depth = waiting.pop()
            try:
                entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            except OSError:
                if folder == root:
                    raise
                continue
            for entry in entries:
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        if depth < MAX_DEPTH and self._is_open(Path(entry.path), closed):
                            waiting.append((Path(entry.path), depth + 1))
                    elif (found := self._file(Path(entry.path))) is not None:
                        batch.append(found)
                        if len(batch) >= BATCH:
                            yield batch
                            batch = []
        if batch:
            yield batch

    def admits(self, root: Path, path: Path) -> bool:
        """Whether a scan of the hot folder would come across this path, going by the folders around it."""
        try:
            parts = path.relative_to(root).parts
        except ValueError:
            return False
        closed = self._closed(root)
        folder = root
        for part in parts[:-1]:
            folder /= part
            if folder.is_symlink() or not self._is_open(folder, closed):
                return False
        return len(parts) <= MAX_DEPTH

    def enters(self, root: Path, path: Path) -> bool:
        """Whether a path that is admitted is a folder that a scan would look into."""
        return path.is_dir() and not path.is_symlink() and self._is_open(path, self._closed(root))

    def look(self, path: Path) -> Found | None:
        """The file as it is now, or None where it is not to be taken."""
        return self._file(path)

    def _file(self, path: Path) -> Found | None:
        found = look_at(path)
        if found is not None and path.is_symlink():
            place = path.resolve()
            if self.is_ours(place.parent):
                return None
        return found

    def _is_open(self, folder: Path, closed: frozenset[Identity | None]) -> bool:
        if folder.parent in self._roots and is_processed_folder(folder):
            return False
        return folder not in self._roots and not is_ignored_folder(folder.name) and _identity(folder) not in closed

    def _closed(self, root: Path) -> frozenset[Identity | None]:
        """Folders that are not entered from a hot folder, which may itself be the data directory."""
        home = _identity(self._data_dir)
        return self._ours() | (frozenset() if home in (None, _identity(root)) else {home})

    def _ours(self) -> frozenset[Identity | None]:
        folders = (*KEPT_FOLDERS, "cache", "owners")
        return frozenset(_identity(self._data_dir / name) for name in folders) - {None}


def _identity(folder: Path) -> Identity | None:
    try:
        status = folder.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino)
