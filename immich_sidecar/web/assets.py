"""Templates and static files: where they lie, and the addresses they are linked by."""

import base64
import hashlib
from functools import cached_property
from pathlib import Path

import immich_sidecar

#: SHA-512 of `static/vendor/htmx.min.js` (htmx 2.0.10); browsers refuse a file that differs.
HTMX_SHA512 = (
    "e65eb990c8c6beb9bb1004debc22bf48574c51f21441f02c40b658e7bb7bb66b"
    "0f7f966d8ebcd4f30cd207292944386a9ccc25288482af14135111542ec5dda5"
)
HTMX = "vendor/htmx.min.js"


def asset_root() -> Path:
    """The folder that holds `templates` and `static`: the package when installed, else the source tree."""
    package = Path(immich_sidecar.__file__).parent
    return package if (package / "templates").is_dir() else package.parent


class Assets:
    """Addresses of static files that change with their content, so that browsers may keep them for ever."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or asset_root()
        self.templates = self.root / "templates"
        self.static = self.root / "static"

    @cached_property
    def _digests(self) -> dict[str, str]:
        digests = {}
        for path in sorted(self.static.rglob("*")):
            if path.is_file():
                name = path.relative_to(self.static).as_posix()
                digests[name] = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        return digests

    def digest(self, name: str) -> str | None:
        """The short digest of a static file, or None where there is no such file."""
        return self._digests.get(name)

    def names(self) -> list[str]:
        """All static files, as relative names."""
        return list(self._digests)

    def path(self, name: str) -> Path | None:
        """The file of a name that `names` lists; anything else is None, so nothing outside can be named."""
        return self.static / name if name in self._digests else None

    @property
    def htmx_integrity(self) -> str:
        """The value of the `integrity` attribute for htmx."""
        return "sha512-" + base64.b64encode(bytes.fromhex(HTMX_SHA512)).decode()
