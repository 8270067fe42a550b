"""Which file systems tell of changes that other computers make, and which have to be looked through."""

import re
from pathlib import Path

#: File systems whose changes from elsewhere the kernel does not see (`proc(5)`, third field of a mount).
_SILENT = re.compile(r"(nfs[0-9]*|cifs|smb[0-9]*|smbfs|9p|afs|ceph|glusterfs|davfs|virtiofs|vboxsf|fuse(\..+)?)\Z")
_ESCAPE = re.compile(r"\\([0-7]{3})")


def needs_polling(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> bool:
    """Whether changes in a folder have to be found by looking, because it lies on a network or FUSE mount.

    Parameters
    ----------
    mounts : Path
        The system's list of mounts; where there is none (other systems than Linux) nothing is known and the
        answer is no.
    """
    try:
        lines = mounts.read_bytes().decode("utf-8", "surrogateescape").splitlines()
        place = folder.resolve()
    except OSError:
        return False
    best, kind = -1, ""
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = Path(_ESCAPE.sub(lambda match: chr(int(match[1], 8)), fields[1]))
        # Of two mounts on one place the later one is what is seen.
        if (place == point or point in place.parents) and len(point.parts) >= best:
            best, kind = len(point.parts), fields[2]
    return bool(_SILENT.match(kind))
