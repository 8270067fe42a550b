"""One way to tell damaged files from failing disks."""

import errno
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from immich_sidecar.errors import UndecodableError, UnsupportedError

#: What decoders raise about bytes that make no sense to them.
DAMAGE = (
    ValueError,
    SyntaxError,
    EOFError,
    RuntimeError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    ArithmeticError,
    struct.error,
)

#: More pixels than this are refused, since they would not fit the memory of a worker.
MOST_PIXELS = 300_000_000
#: What the system says of a place before the beginning of a file, or farther on than any file reaches: a decoder asks
#: for it because a damaged file names it.
_NO_PLACES = (errno.EINVAL, errno.EOVERFLOW)
#: What decoders say in words of their own, and what it means.
_PLAIN = {"JXL_DEC_NEED_MORE_INPUT": "it ends too early"}


@contextmanager
def told_as_damage(path: Path) -> Iterator[None]:
    """Turn what a decoder raises about a file's bytes into an error that names the file.

    Raises
    ------
    UndecodableError
        Instead of anything that speaks of damage.
    UnsupportedError
        Where Pillow refuses a picture for its number of pixels.
    OSError
        Unchanged where the system reports it (it has an error number): the disk failed, not the file, unless it was
        asked for a place that there cannot be.
    """
    from PIL import Image, UnidentifiedImageError

    # Pillow has a limit of its own, which is lower.
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    try:
        yield
    except Image.DecompressionBombError:
        raise UnsupportedError(f"{path.name} has too many pixels.") from None
    except UnidentifiedImageError:
        # Says nothing but the whole path.
        raise UndecodableError(f"{path.name} is damaged: its beginning makes no sense.") from None
    except OSError as error:
        if error.errno in _NO_PLACES:
            raise UndecodableError(f"{path.name} is damaged: it names a place outside of itself.") from None
        if error.errno is not None:
            raise
        raise UndecodableError(f"{path.name} is damaged: {_said(error)}.") from None
    except DAMAGE as error:
        raise UndecodableError(f"{path.name} is damaged: {_said(error)}.") from None


def _said(error: Exception) -> str:
    said = (str(error) or type(error).__name__).rstrip(".")
    return next((plain for words, plain in _PLAIN.items() if words in said), said)
