"""Where a rendered file lies before and after its version is kept."""

from pathlib import Path

from immich_sidecar.errors import StorageError
from immich_sidecar.library import files
from immich_sidecar.library.layout import Layout
from immich_sidecar.library.tables import VersionRow


def rendering_path(layout: Layout, version: VersionRow) -> Path:
    """Where the finished file of a version waits until it is kept: a hidden name in the final folder."""
    return layout.absolute(layout.rendering_of(version.path, version.photo, version.n))


def put_in_place(layout: Layout, version: VersionRow) -> bool:
    """Give a rendered file its final name; doing it again changes nothing. Blocks; run it in a thread.

    Returns whether the file that the row describes is in place. If not, it has to be rendered again.
    """
    final, rendering = layout.absolute(version.path), rendering_path(layout, version)
    try:
        if _is(final, version):
            rendering.unlink(missing_ok=True)
            return True
        if not _is(rendering, version):
            # It may have been put in place between the two looks.
            return _is(final, version)
        files.adopt(rendering, final)
    except StorageError:
        # A step and a command may do this at the same moment; one of them finds the hidden file gone.
        if not _is(final, version):
            raise
    return True


def _is(path: Path, version: VersionRow) -> bool:
    try:
        if path.stat().st_size != version.size:
            return False
        return files.hash_file(path).sha256 == version.sha256
    except FileNotFoundError:
        return False
    except StorageError:
        if path.exists():
            raise
        return False
