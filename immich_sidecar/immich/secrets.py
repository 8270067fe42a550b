"""Keeping keys of Immich where nobody reads them: encrypted with a secret of this installation."""

import base64
import binascii
import contextlib
import os
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from immich_sidecar.errors import SettingsError
from immich_sidecar.settings import Settings

#: Where a secret that we made is kept, in the data directory.
SECRET_FILE = "secret_key"  # noqa: S105  a file's name

_KEY_BYTES = 32
_HOW_TO_MAKE_ONE = "32 random bytes in base64, as `openssl rand -base64 32` prints them"


class Secrets:
    """Encrypts and decrypts with Fernet (AES-128-CBC, HMAC-SHA-256).

    Parameters
    ----------
    keys
        Each 32 bytes. The first encrypts; what any of them encrypted can be read.
    """

    def __init__(self, *keys: bytes) -> None:
        self._fernet = MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys])

    @classmethod
    def load(cls, settings: Settings, *, make: bool = True) -> "Secrets":
        """The secrets of this installation: the one that is set, else one that is made once and kept with mode 600.

        What was encrypted with one of ours stays readable after another is set. Where none may be made, there must
        be one.

        Raises
        ------
        SettingsError
            If what is set or kept is no secret, or cannot be read or written.
        """
        file = settings.data_dir / SECRET_FILE
        given = settings.secret_key_text()
        if given is not None:
            name = (
                "SIDECAR_SECRET_KEY" if settings.secret_key else f"SIDECAR_SECRET_KEY_FILE={settings.secret_key_file}"
            )
            kept = _kept(file)
            return cls(_parse(given, name), *([] if kept is None else [kept]))
        found = _kept(file)
        if found is None and not make:
            raise SettingsError(f"{file}: is missing, and SIDECAR_SECRET_KEY is not set; bring one of them back")
        return cls(found or _make(file))

    def encrypt(self, text: str) -> str:
        """The text, readable for this installation alone."""
        return self._fernet.encrypt(text.encode()).decode()

    def decrypt(self, token: str) -> str:
        """What `encrypt` was given.

        Raises
        ------
        SettingsError
            If it was encrypted with another secret.
        """
        try:
            return self._fernet.decrypt(token.encode()).decode()
        except (InvalidToken, ValueError) as error:
            raise SettingsError(
                "The API key that is kept for Immich cannot be read: it was encrypted with another secret. Set "
                f"SIDECAR_SECRET_KEY to that one (or bring {SECRET_FILE} back into the data directory), or connect "
                "Immich anew"
            ) from error


def _kept(file: Path) -> bytes | None:
    try:
        return _parse(file.read_text().strip(), str(file))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: cannot be read ({error}); give this user access to it") from error


def _make(file: Path) -> bytes:
    key = os.urandom(_KEY_BYTES)
    temporary = file.with_name(f".{file.name}-{os.getpid()}")
    try:
        temporary.unlink(missing_ok=True)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as stream:
            stream.write(base64.urlsafe_b64encode(key) + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        try:
            # A link and no renaming: one that another process made meanwhile is never replaced.
            os.link(temporary, file)
        except FileExistsError:
            return _kept(file) or key
        finally:
            temporary.unlink()
        with contextlib.suppress(OSError):
            folder = os.open(file.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except OSError as error:
        raise SettingsError(f"{file}: cannot be written ({error.strerror}); set SIDECAR_SECRET_KEY") from error
    return key


def _parse(text: str, name: str) -> bytes:
    try:
        key = base64.b64decode(text.strip().translate(str.maketrans("-_", "+/")), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        raise SettingsError(f"{name}: not allowed; allowed: {_HOW_TO_MAKE_ONE}")
    return key
