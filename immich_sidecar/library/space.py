"""How much room is left where our files are."""

import shutil
from pathlib import Path

from immich_sidecar.errors import DiskFullError, StorageError


class Space:
    """Watches the file system that holds the data directory.

    Parameters
    ----------
    data_dir : Path
        The data directory, or one that will be made below an existing folder.
    min_free : int
        Bytes that must stay free (`SIDECAR_MIN_FREE`).
    """

    def __init__(self, data_dir: Path, min_free: int) -> None:
        self.data_dir = data_dir
        self.min_free = min_free

    def free(self) -> int:
        """Bytes that this process may still fill.

        Raises
        ------
        StorageError
            If the file system does not say.
        """
        folder = self.data_dir
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        try:
            return shutil.disk_usage(folder).free
        except OSError as error:
            raise StorageError(f"{folder}: free space is unknown ({error.strerror})") from error

    def short(self, needed: int = 0) -> bool:
        """Whether less than `min_free` would be left after writing `needed` bytes more."""
        return self.free() - needed < self.min_free

    def check(self, needed: int = 0) -> None:
        """Do nothing while there is room for `needed` bytes.

        Raises
        ------
        DiskFullError
            If there is not.
        """
        free = self.free()
        if free - needed < self.min_free:
            raise DiskFullError(
                f"{self.data_dir}: {_megabytes(free)} are free and {_megabytes(self.min_free)} have to stay free "
                "(SIDECAR_MIN_FREE); free some space, work goes on by itself"
            )


def _megabytes(size: int) -> str:
    return f"{size / (1 << 20):,.0f} MiB"
