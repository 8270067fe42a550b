"""Everything that can go wrong here, in one hierarchy.

::

    SidecarError
    ├── SettingsError            a setting has a value that cannot be used
    ├── PhotoError               this photo cannot be processed; repeating it changes nothing
    │   ├── UndecodableError     the bytes are damaged, or are no photo under a photo's name
    │   ├── UnsupportedError     a known format or feature that is not supported
    │   ├── NotAPhotoError       a file of another kind (text, video, archive, ...)
    │   └── CrashedError         processing it killed or hung the worker
    ├── RecipeError              a recipe that cannot be read or applied
    │   ├── UnknownOperationError
    │   └── InvalidParameterError
    ├── ModelError               a model cannot be used now; photos go on without it
    │   ├── ModelsNotInstalledError  the libraries of the `ai` extra are not there
    │   ├── WeightsMissingError  its weights were not downloaded
    │   ├── DownloadError        its weights could not be fetched
    │   ├── WeightsDamagedError  its weights are not the ones that were pinned or recorded, or cannot be read
    │   ├── WeightsRefusedError  its weights could run code, or their licence excludes a use, and nobody agreed to that
    │   ├── ModelMemoryError     there is not enough memory for it, not even for one photo at a time
    │   ├── ModelAwayError       the server that it runs on does not answer
    │   ├── ModelTimeoutError    it did not answer in its time
    │   └── ModelAnswerError     it answered something that cannot be used
    ├── StorageError             files of ours cannot be read or written; worth repeating
    │   ├── DiskFullError        less than SIDECAR_MIN_FREE is left
    │   ├── IntegrityError       a file is not what its row says
    │   └── DataDirectoryBusyError   another process holds the data directory
    ├── CommandError             a command of a person that is refused
    │   ├── NotFoundError        no such photo, version or recipe of this owner
    │   ├── StaleVersionError    the command names a version that is no longer the current one
    │   └── ConflictError        the photo's state does not allow the command
    └── ImmichError              Immich did not do what was asked
        ├── ImmichAwayError      no answer, or one that says "later" (timeouts, 502 to 504, maintenance)
        ├── ImmichServerError    an unexpected 5xx; worth repeating
        │   └── ImmichTransferError  a file did not get through
        ├── ImmichCredentialsError   the key is unknown, revoked, or another user's (401)
        ├── ImmichPermissionError    the key lacks a permission (403)
        ├── ImmichQuotaError     the user's quota or an upload limit is exhausted (400 quota, 413)
        ├── ImmichGoneError      the asset, stack or album is not there (any more)
        ├── ImmichRefusedError   any other 4xx
        └── ImmichVersionError   a version that is not supported

Every message says what was tried, on what, and what can be done about it.
"""


class SidecarError(Exception):
    """The root of all errors raised on purpose."""


class SettingsError(SidecarError):
    """A setting has a value that cannot be used; the message is one line for the operator."""


class PhotoError(SidecarError):
    """This photo cannot be processed, and trying again with the same bytes changes nothing."""


class UndecodableError(PhotoError):
    """The bytes are damaged, or are no photo although the file is named like one."""


class UnsupportedError(PhotoError):
    """A known format, or a feature of one, that is not supported."""


class NotAPhotoError(PhotoError):
    """The file is of another kind: text, video, archive, program."""


class CrashedError(PhotoError):
    """Processing the photo killed or hung its worker more often than is tolerated."""


class ModelError(SidecarError):
    """A model cannot be used now; photos go on without it, and their analysis says so."""


class ModelsNotInstalledError(ModelError):
    """A library of the `ai` extra is not installed."""


class WeightsMissingError(ModelError):
    """The weights were not downloaded, or not all of them."""


class DownloadError(ModelError):
    """The weights could not be fetched; what has arrived stays for the next try."""


class WeightsDamagedError(ModelError):
    """The weights are not the ones that were pinned or recorded, or cannot be read."""


class WeightsRefusedError(ModelError):
    """Loading the weights could run code, or their licence excludes a use, and nobody agreed to that."""


class ModelMemoryError(ModelError):
    """There is not enough memory for the model, not even for one photo at a time."""


class ModelAwayError(ModelError):
    """The server that the model runs on does not answer, or says "later"."""


class ModelTimeoutError(ModelError):
    """The model did not answer in its time."""


class ModelAnswerError(ModelError):
    """The model, or the server it runs on, answered something that cannot be used."""


class RecipeError(SidecarError):
    """A recipe cannot be read or applied."""


class UnknownOperationError(RecipeError):
    """A recipe names an operation type that does not exist."""


class InvalidParameterError(RecipeError):
    """A parameter is missing, unknown or out of range; `field` names it as ``type.parameter``."""

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message)
        self.field = field

    def __reduce__(self) -> tuple[object, ...]:
        return (_invalid_parameter, (str(self), self.field))


def _invalid_parameter(message: str, field: str) -> InvalidParameterError:
    return InvalidParameterError(message, field=field)


class StorageError(SidecarError):
    """Files of ours cannot be read or written; worth repeating."""


class DiskFullError(StorageError):
    """Less space is free than `SIDECAR_MIN_FREE` demands."""


class IntegrityError(StorageError):
    """A file is missing or is not what its row says."""


class DataDirectoryBusyError(StorageError):
    """Another process holds the data directory."""


class CommandError(SidecarError):
    """A command of a person that is refused."""


class NotFoundError(CommandError):
    """No such photo, version or recipe belongs to this owner."""


class StaleVersionError(CommandError):
    """The command names a version that is no longer the current one."""


class ConflictError(CommandError):
    """The state of the photo does not allow the command."""


class ImmichError(SidecarError):
    """Immich did not do what was asked."""


class ImmichAwayError(ImmichError):
    """Immich does not answer, or says "later": timeouts, 502 to 504, maintenance mode."""


class ImmichServerError(ImmichError):
    """Immich answered with an unexpected 5xx; worth repeating."""


class ImmichTransferError(ImmichServerError):
    """A file did not get through: cut on its way, or 502 to 504 instead of an answer. Immich itself may be well."""


class ImmichCredentialsError(ImmichError):
    """The API key is unknown, revoked, or belongs to another user than before (401)."""


class ImmichPermissionError(ImmichError):
    """The API key lacks a permission (403)."""


class ImmichQuotaError(ImmichError):
    """The user's quota or an upload limit on the way is exhausted (400 quota, 413)."""


class ImmichGoneError(ImmichError):
    """The asset, stack or album is not there, or not there any more."""


class ImmichRefusedError(ImmichError):
    """Any other 4xx."""


class ImmichVersionError(ImmichError):
    """The server's version is not supported."""
