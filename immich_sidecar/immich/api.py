"""The calls that are made to Immich, typed."""

from immich_sidecar.immich.calls.account import AccountCalls, ImmichUser, NewKey, SignedIn
from immich_sidecar.immich.calls.albums import AlbumCalls
from immich_sidecar.immich.calls.assets import AssetChanges
from immich_sidecar.immich.calls.edits import Crop, EditCalls, Mirror, NativeEdit, Rotate
from immich_sidecar.immich.calls.people import PeopleCalls
from immich_sidecar.immich.calls.search import LARGEST_PAGE, AssetCounts, SearchCalls, SearchFilter
from immich_sidecar.immich.calls.stacks import StackCalls
from immich_sidecar.immich.calls.tags import TagCalls
from immich_sidecar.immich.calls.transfer import TransferCalls
from immich_sidecar.immich.calls.workflows import WorkflowCalls, WorkflowStep
from immich_sidecar.immich.compatibility import Credential
from immich_sidecar.immich.transport import Progress

__all__ = [
    "LARGEST_PAGE",
    "Api",
    "AssetChanges",
    "AssetCounts",
    "Credential",
    "Crop",
    "ImmichUser",
    "Mirror",
    "NativeEdit",
    "NewKey",
    "Progress",
    "Rotate",
    "SearchFilter",
    "SignedIn",
    "WorkflowStep",
]


class Api(
    AccountCalls,
    StackCalls,
    TransferCalls,
    AlbumCalls,
    TagCalls,
    PeopleCalls,
    EditCalls,
    WorkflowCalls,
    SearchCalls,
):
    """Immich's API as one user's key or session sees it. Every method raises errors of `ImmichError`.

    Answers that are models of the generated client lack what Immich did not send: such a field is `UNSET`, which is
    false and is not None.
    """
