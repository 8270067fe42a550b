"""Names that are never looked at: hidden, temporary, of the system, or of what programs lay beside a photo."""

import re

#: Endings that programs give to files that are still being written.
_TEMPORARY = (
    ".part",
    ".partial",
    ".filepart",
    ".crdownload",
    ".download",
    ".opdownload",
    ".tmp",
    ".temp",
    ".swp",
    ".aria2",
    ".!ut",
    ".!qb",
    ".bts",
    ".upload",
    ".uploading",
    "~",
)
#: What editors and phones write beside a photo; it says something about one and is none. XMP files are kept with it.
_BESIDE = (".aae", ".pp3", ".dop", ".thm", ".cos", ".on1", ".lnk", ".url", ".ini", ".ctg")
_SYSTEM_FILES = frozenset(
    {"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "picasa.ini", "zbthumbnail.info", "icon\r"}
)
_SYSTEM_FOLDERS = frozenset(
    {
        "@eadir",
        "@tmp",
        "@recycle",
        "@recently-snapshot",
        "#recycle",
        "#snapshot",
        "$recycle.bin",
        "recycler",
        "system volume information",
        "lost+found",
        "__macosx",
        "lost.dir",
    }
)
# Syncthing and others on systems where a dot hides nothing; Office's lock files.
_PREFIXES = re.compile(r"(\.|~syncthing~|~\$|synofile_thumb_)", re.IGNORECASE)


def is_ignored_file(name: str) -> bool:
    """Whether a file of that name is passed over without a word."""
    small = name.lower()
    return bool(_PREFIXES.match(name)) or small in _SYSTEM_FILES or small.endswith(_TEMPORARY + _BESIDE)


def is_ignored_folder(name: str) -> bool:
    """Whether a folder of that name is passed over with all that is in it."""
    return name.startswith(".") or name.lower() in _SYSTEM_FOLDERS
