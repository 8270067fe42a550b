"""Where every file lies under the data directory.

`originals/YYYY/MM/{sha256}_{name}`, `processed/YYYY/MM/{sha256}_processed_v{n}.{ext}`,
`recipes/YYYY/MM/{recipe_id}.json`, `luts/{sha256}.cube` and
`cache/{thumbnails,previews,originals,ai_results,vectors}/` for the owner `local`; the same under `owners/{owner}/` for
every other one. YYYY/MM is the month of capture in UTC.

The functions of `Layout` give paths for *new* files, as text relative to the data directory with `/` between
folders. A path is stored in its row and never computed again, so a later change here moves nothing.
"""

import contextlib
import re
import unicodedata
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from uuid import uuid4

from immich_sidecar.errors import IntegrityError
from immich_sidecar.library.tables import LOCAL_OWNER

#: Bytes that a file name of ours may have; file systems allow 255, and temporary names add a few.
NAME_BYTES = 200
#: Folders of one owner that hold what must not be lost.
KEPT_FOLDERS = ("originals", "processed", "recipes", "luts")
#: Folders of one owner's cache; everything in them can be made or fetched again.
CACHE_FOLDERS = ("thumbnails", "previews", "originals", "ai_results", "vectors")

_OWNER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_EXTENSION = re.compile(r"[A-Za-z0-9]{1,10}\Z")
_RECIPE_ID = re.compile(r"[0-9A-Za-z-]{1,64}\Z")
_TEMPORARY = re.compile(r"\.(?:[0-9a-f]{32}\.part(?:\.[a-z0-9]{1,10})?|[0-9a-f]{64}_v[0-9]+\.part)\Z")
# Surrogates that stand for no byte: what JSON may hold of a character of which the other half was cut off.
_HALF_CHARACTER = re.compile("[\ud800-\udc7f\udd00-\udfff]")
# What Windows, SMB shares and exFAT refuse in names, beside the separators.
_FORBIDDEN = frozenset('/\\:*?"<>|\N{REPLACEMENT CHARACTER}')


def is_owner_id(text: str) -> bool:
    """Whether the text can name an owner: letters, digits, `-` and `_`, at most 64, beginning with the former."""
    return bool(_OWNER_ID.match(text))


def is_temporary(name: str) -> bool:
    """Whether a file name is one that `Layout` gives to a file that is still being written."""
    return bool(_TEMPORARY.match(name))


def readable_name(name: str) -> str:
    """The name as text that every database and page can hold: undecodable bytes and half characters become U+FFFD."""
    return (
        _HALF_CHARACTER.sub("\N{REPLACEMENT CHARACTER}", name)
        .encode("utf-8", "surrogateescape")
        .decode("utf-8", "replace")
    )


def clean_name(name: str, limit: int = NAME_BYTES) -> str:
    """A file name that is safe in our folders on every file system, as like the given one as possible.

    Separators, control and invisible formatting characters and what Windows refuses become `_`; dots and spaces
    at the ends go; the rest is cut to `limit` bytes of UTF-8 between characters, the extension kept.
    """
    text = unicodedata.normalize("NFC", readable_name(name))
    text = "".join("_" if char in _FORBIDDEN or unicodedata.category(char)[0] == "C" else char for char in text).strip(
        " ."
    )
    if len(text.encode()) > limit:
        stem, dot, extension = text.rpartition(".")
        ending = f".{extension}" if dot and stem and len(extension.encode()) <= 16 else ""
        body = stem if ending else text
        cut = body.encode()[: limit - len(ending.encode())].decode("utf-8", "ignore")
        text = cut.rstrip(" .") + ending
    return text or "photo"


class Layout:
    """Gives a place to every file; touches none.

    Parameters
    ----------
    data_dir : Path
        The data directory, made absolute.
    """

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir.absolute()

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.data_dir / "sidecar.db"

    @property
    def lock(self) -> Path:
        """The file that the one running service locks."""
        return self.data_dir / "sidecar.lock"

    def absolute(self, relative: str) -> Path:
        """The place of a stored path.

        Raises
        ------
        IntegrityError
            If the path leads out of the data directory: such a row is not ours.
        """
        path = PurePosixPath(relative)
        if path.is_absolute() or not path.parts or ".." in path.parts or "\0" in relative:
            raise IntegrityError(f"{relative!r} is no path inside the data directory; the row is damaged")
        return self.data_dir.joinpath(*path.parts)

    def relative(self, path: Path) -> str:
        """A place inside the data directory as it is stored in rows."""
        return path.relative_to(self.data_dir).as_posix()

    def home(self, owner_id: str) -> str:
        """Prefix of all paths of an owner: empty for `local`, else `owners/{owner}/`."""
        if not is_owner_id(owner_id):
            raise ValueError(f"{owner_id!r} cannot name an owner")
        return "" if owner_id == LOCAL_OWNER else f"owners/{owner_id}/"

    def original(self, owner_id: str, sha256: str, name: str, captured_at: datetime) -> str:
        """Where the original of a hot folder or an upload is kept."""
        prefix = f"{_checked(_SHA256, sha256)}_"
        cleaned = clean_name(name, NAME_BYTES - len(prefix))
        return f"{self.home(owner_id)}originals/{_month(captured_at)}/{prefix}{cleaned}"

    def processed(self, owner_id: str, sha256: str, n: int, extension: str, captured_at: datetime) -> str:
        """Where version `n` of a photo is kept; `extension` without a dot."""
        name = f"{_checked(_SHA256, sha256)}_processed_v{int(n)}.{_checked(_EXTENSION, extension)}"
        return f"{self.home(owner_id)}processed/{_month(captured_at)}/{name}"

    def rendering(self, owner_id: str, sha256: str, n: int, captured_at: datetime) -> str:
        """Where version `n` lies until it is kept: the folder of `processed`, a hidden name that follows from it."""
        return self.rendering_of(self.processed(owner_id, sha256, n, "jpg", captured_at), sha256, n)

    def rendering_of(self, processed: str, sha256: str, n: int) -> str:
        """Where the version that will be kept at `processed` lies until then."""
        folder, _, _ = processed.rpartition("/")
        return f"{folder}/.{_checked(_SHA256, sha256)}_v{int(n)}.part"

    def recipe(self, owner_id: str, recipe_id: str, at: datetime) -> str:
        """Where the JSON copy of a recipe is kept; `at` is when its photo was taken."""
        return f"{self.home(owner_id)}recipes/{_month(at)}/{_checked(_RECIPE_ID, recipe_id)}.json"

    def luts(self, owner_id: str) -> str:
        """The folder of an owner's LUTs: what lies in it, and nothing else, can be named by the owner's recipes."""
        return f"{self.home(owner_id)}luts"

    def lut(self, owner_id: str, sha256: str) -> str:
        """Where the LUT of that digest is kept."""
        return f"{self.luts(owner_id)}/{_checked(_SHA256, sha256)}.cube"

    def cached_original(self, owner_id: str, sha256: str, name: str) -> str:
        """Where an original that lives in Immich is held while there is work on it."""
        prefix = f"{_checked(_SHA256, sha256)}_"
        cleaned = clean_name(name, NAME_BYTES - len(prefix))
        return f"{self.home(owner_id)}cache/originals/{sha256[:2]}/{prefix}{cleaned}"

    def thumbnail(self, owner_id: str, sha256: str, n: int, extension: str = "jpg") -> str:
        """Where the thumbnail of version `n` lies; 0 is the original's."""
        return self._cached(owner_id, "thumbnails", sha256, f"_v{int(n)}.{_checked(_EXTENSION, extension)}")

    def preview(self, owner_id: str, sha256: str, n: int, extension: str = "jpg") -> str:
        """Where the preview of version `n` lies; 0 is the original's."""
        return self._cached(owner_id, "previews", sha256, f"_v{int(n)}.{_checked(_EXTENSION, extension)}")

    def ai_results(self, owner_id: str, sha256: str, name: str) -> str:
        """Where a result `name` about a photo is held that is costly to compute again."""
        return self._cached(owner_id, "ai_results", sha256, f"_{clean_name(name, 100)}")

    def vectors(self, owner_id: str, name: str) -> str:
        """Where vectors of an owner are held for searching, without an ending; `name` tells models apart."""
        return f"{self.home(owner_id)}cache/vectors/{_checked(_RECIPE_ID, name)}"

    def temporary(self, where: str, name: str = "") -> str:
        """A fresh hidden name that `is_temporary` knows again; on the file system of the kept files.

        Parameters
        ----------
        where : str
            The stored path of the file that is to be written: the name lies beside it. Or the id of an owner, for
            bytes that are still arriving and will become an original.
        name : str
            What the bytes are called; their extension is kept, for readers that care.
        """
        extension = PurePosixPath(clean_name(name)).suffix.lower() if name else ""
        hidden = f".{uuid4().hex}.part{extension if _EXTENSION.match(extension[1:]) else ''}"
        if "/" in where:
            return str(PurePosixPath(where).with_name(hidden))
        return f"{self.home(where)}originals/{hidden}"

    def homes(self) -> list[tuple[str, Path]]:
        """Every owner that has a folder, with that folder. Looks at the disk."""
        found = [(LOCAL_OWNER, self.data_dir)]
        owners = self.data_dir / "owners"
        if owners.is_dir():
            found += [
                (entry.name, entry)
                for entry in sorted(owners.iterdir())
                if is_owner_id(entry.name) and entry.is_dir() and not entry.is_symlink()
            ]
        return found

    def _cached(self, owner_id: str, kind: str, sha256: str, ending: str) -> str:
        # Two digits of the hash keep single folders small: a library has a million photos.
        return f"{self.home(owner_id)}cache/{kind}/{_checked(_SHA256, sha256)[:2]}/{sha256}{ending}"


def _month(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise ValueError("timestamps must be aware")
    with contextlib.suppress(OverflowError):  # the first or last day there is: the month as it is written
        moment = moment.astimezone(UTC)
    return f"{moment.year:04d}/{moment.month:02d}"


def _checked(pattern: re.Pattern[str], text: str) -> str:
    if not pattern.match(text):
        raise ValueError(f"{text!r} cannot be part of a file name here")
    return text
