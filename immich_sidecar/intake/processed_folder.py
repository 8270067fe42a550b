"""The folder in a hot folder that photos are moved to once they are safe: `Processed`, known by a file of ours in it.

What lies in it is never taken again. A folder of that name that is somebody else's is left alone: then ours is
called `Processed (2)`.
"""

import itertools
import os
from pathlib import Path

from immich_sidecar.library.files import make_folder, storage, sync_folder

#: What the folder is called.
NAME = "Processed"
#: The file that says that it is ours.
MARKER = ".immich-sidecar-processed"
_WORDS = "Photos in this folder were taken by the immich-sidecar and moved here (SIDECAR_HOT_FOLDER_AFTER=move).\n"


def is_processed_folder(folder: Path) -> bool:
    """Whether a folder is one that photos are moved to."""
    return folder.name.startswith(NAME) and (folder / MARKER).is_file()


def processed_folder(root: Path) -> Path:
    """The folder of a hot folder that photos are moved to; made where there is none.

    Raises
    ------
    StorageError
        If it cannot be made.
    """
    for number in itertools.count(1):
        folder = root / (NAME if number == 1 else f"{NAME} ({number})")
        if is_processed_folder(folder):
            return folder
        if not os.path.lexists(folder) or _is_empty(folder):
            with storage(f"making {folder}"):
                make_folder(folder)
                (folder / MARKER).write_text(_WORDS)
                sync_folder(folder)
            return folder
    raise AssertionError


def _is_empty(folder: Path) -> bool:
    """Whether a folder lies there with nothing in it: nobody's, or one that we were about to mark."""
    try:
        return not folder.is_symlink() and folder.is_dir() and next(folder.iterdir(), None) is None
    except OSError:
        return False
