"""What is set up in Immich for a connection, with its user's consent: a limited key, and a webhook on Immich 3.

The webhook is a workflow of one step. Immich shows its settings to the user alone; we keep only the SHA-256 of the
secret in them, so a workflow that was changed gets a new secret.
"""

import hashlib
import hmac
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from immich_py_client.models import Workflow
from immich_py_client.models.workflow_start import WorkflowStart

from immich_sidecar.errors import ImmichError, ImmichGoneError, ImmichRefusedError
from immich_sidecar.immich.api import Api, WorkflowStep
from immich_sidecar.library.tables import ConnectionRow

log = logging.getLogger(__name__)

#: What our workflow is called.
WORKFLOW = "immich-sidecar"
DESCRIPTION = "Tells immich-sidecar of each new photo, so that it need not wait for its next question."
#: Immich calls it when a file has arrived, before it was read: the earliest moment there is.
TRIGGER: WorkflowStart = "AssetCreate"
METHOD = "immich-plugin-core#webhook"
#: The header that carries the secret.
HEADER = "X-Sidecar-Secret"

_SECRET_BYTES = 32


@dataclass(frozen=True)
class Hook:
    """How the webhook of a connection stands."""

    #: The workflow; None: there is none.
    workflow_id: str | None
    #: Why there is none, or why it does not work, as a sentence; None: it works.
    problem: str | None = None


def key_name(host: str) -> str:
    """What the user sees in the list of their keys."""
    return f"immich-sidecar ({host})" if host else "immich-sidecar"


def digest(secret: str) -> str:
    """What is kept of a secret: its SHA-256, hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()


def hook_path(connection_id: int) -> str:
    """Where Immich finds us, below our address."""
    return f"/hooks/immich/{connection_id}"


async def ensure_hook(
    api: Api,
    address: str,
    *,
    known: Sequence[str],
    secret_sha256: str | None,
    remember: Callable[[str], Awaitable[None]],
) -> Hook:
    """Make the webhook, or find and mend the one that is there.

    One that its user switched off or deleted stays so.

    Parameters
    ----------
    api
        With the connection's key.
    address
        Where the webhook is to call us; ends with `hook_path`.
    known
        Ids of the workflows that were made before.
    secret_sha256
        What the secret of the present one is known by.
    remember
        Is given what a new secret is known by, before Immich is; so what Immich then sends is believed.

    Raises
    ------
    ImmichError
        If Immich does not do it.
    """
    mine = [workflow for workflow in await api.workflows() if _is_ours(workflow, known, address)]
    # Two were made where a crash came between making and remembering.
    for spare in mine[1:]:
        await api.delete_workflow(spare.id or "")
    if not mine:
        if known:
            return Hook(None, "Its workflow was deleted in Immich; new photos are noticed by asking.")
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        await remember(digest(secret))
        made = await api.make_workflow(
            trigger=TRIGGER, name=WORKFLOW, description=DESCRIPTION, steps=[_step(address, secret)]
        )
        await _make_sure(api, made, address, digest(secret))
        return Hook(made)
    workflow = await api.workflow(mine[0].id or "")
    found = workflow.id or ""
    if not workflow.enabled:
        return Hook(found, "Its workflow is switched off in Immich; new photos are noticed by asking.")
    if not _works(workflow, address, secret_sha256):
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        await remember(digest(secret))
        await api.change_workflow(found, steps=[*_others(workflow, address), _step(address, secret)], trigger=TRIGGER)
        await _make_sure(api, found, address, digest(secret))
    return Hook(found)


async def remove_hooks(api: Api, workflow_ids: Iterable[str]) -> tuple[str, ...]:
    """Delete workflows of ours; gives a sentence for each that is still there."""
    left = []
    for workflow_id in workflow_ids:
        try:
            await api.delete_workflow(workflow_id)
        except ImmichGoneError:
            continue
        except ImmichError as error:
            left.append(f"The workflow {WORKFLOW} is still in Immich; delete it there under Workflows ({error}).")
    return tuple(left)


async def remove_key(api: Api, key_id: str, name: str) -> tuple[str, ...]:
    """Delete a key that we made; gives a sentence where it is still there."""
    try:
        await api.delete_key(key_id)
    except ImmichError as error:
        return (f"The API key {name} is still in Immich; delete it there in the account settings ({error}).",)
    return ()


async def remove_key_of(
    row: ConnectionRow, name: str, *, own: Api | None, session: Api | None = None
) -> tuple[str, ...]:
    """Delete the key of a connection where we made it; gives a sentence where one is still there.

    A `session` of its user may do that always, the key itself (`own`) where it has the permission.
    """
    if row.key_id is None:
        return ()
    if not row.key_made_by_us:
        return ("Your own API key is forgotten here; it still exists in Immich.",)
    if session is not None:
        try:
            # Immich says of another user's key that it is not there, and that is no success.
            if (await session.me()).id == row.immich_user_id and not await remove_key(session, row.key_id, name):
                return ()
        except ImmichError as error:
            log.info("a session did not serve to delete the key of %s: %s", row.owner_id, error)
    if own is None:
        return (f"The API key {name} is still in Immich; delete it there in the account settings.",)
    return await remove_key(own, row.key_id, name)


async def _make_sure(api: Api, workflow_id: str, address: str, secret_sha256: str) -> None:
    """Read a workflow back: Immich answers without its steps, and checks none of their settings."""
    if not _works(await api.workflow(workflow_id), address, secret_sha256):
        raise ImmichRefusedError(f"Could not set up the workflow {WORKFLOW}: Immich did not keep its step")


def _step(address: str, secret: str) -> WorkflowStep:
    return WorkflowStep(METHOD, {"url": address, "headerName": HEADER, "headerValue": secret, "method": "POST"})


def _settings(step: Any) -> dict[str, Any]:
    return step.config.to_dict() if step.method == METHOD and step.config else {}


def _is_ours(workflow: Workflow, known: Sequence[str], address: str) -> bool:
    """One that we remember; or by its name, and because it calls the same connection of a service like this one."""
    if workflow.id in known:
        return True
    path = urlsplit(address).path
    return workflow.name == WORKFLOW and any(
        _settings(step).get("headerName") == HEADER and urlsplit(str(_settings(step).get("url"))).path == path
        for step in workflow.steps or ()
    )


def _works(workflow: Workflow, address: str, secret_sha256: str | None) -> bool:
    if workflow.trigger != TRIGGER or secret_sha256 is None:
        return False
    return any(
        step.enabled is not False
        and settings.get("url") == address
        and settings.get("headerName") == HEADER
        and settings.get("method") == "POST"
        and hmac.compare_digest(digest(str(settings.get("headerValue"))), secret_sha256)
        for step in workflow.steps or ()
        if (settings := _settings(step))
    )


def _others(workflow: Workflow, address: str) -> list[WorkflowStep]:
    """Steps that the user added to our workflow."""
    path = urlsplit(address).path
    return [
        WorkflowStep(step.method or "", step.config.to_dict() if step.config else {}, step.enabled is not False)
        for step in workflow.steps or ()
        if _settings(step).get("headerName") != HEADER and urlsplit(str(_settings(step).get("url"))).path != path
    ]
