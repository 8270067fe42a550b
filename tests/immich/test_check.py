"""`immich-sidecar check` with users who connected by themselves."""

from __future__ import annotations

import pytest

from immich_sidecar.immich.compatibility import NEEDED_PERMISSIONS
from immich_sidecar.surroundings import Finding, check_surroundings
from tests.immich.desk import Desk
from tests.immich.stage import Library
from tests.immich_server import ImmichServer, User

pytestmark = pytest.mark.parametrize("immich_version", ["3.1.0"])


async def found(desk: Desk) -> dict[str, Finding]:
    assert desk.settings is not None
    return {
        finding.what.replace(desk.immich.url, "URL"): finding
        for finding in await check_surroundings(desk.settings)
        if "folder" not in finding.what and "directory" not in finding.what
    }


async def test_every_connection_is_looked_at(immich: ImmichServer, ada: User, key: str, desk: Desk) -> None:
    bob, eve = immich.add_user("Bob"), immich.add_user("Eve")
    await desk.connect(bob)
    await desk.connect(eve)
    await desk.restart(immich_api_key=key)
    findings = await found(desk)
    assert all(finding.ok for finding in findings.values()), findings
    assert findings["Immich URL version"].words == "3.1.0"
    assert findings["API key"].words == "belongs to Ada"
    assert findings[f"API key of owner {bob.id}"].words == "belongs to Bob"
    (key_of_eve,) = immich.keys_of(eve)
    immich.set_permissions(key_of_eve.secret, [one for one in NEEDED_PERMISSIONS if one != "stack.create"])
    immich.revoke_key(immich.keys_of(bob)[0].secret)
    findings = await found(desk)
    assert {what for what, finding in findings.items() if not finding.ok} == {
        f"Immich URL for {bob.id}",
        f"Immich URL for {eve.id}",
    }
    assert "stack.create" in findings[f"Immich URL for {eve.id}"].words
    assert key_of_eve.secret not in str(findings)
    # Ended ones are not asked about.
    for user in (bob, eve):
        await desk.connections.disconnect(user.id)
    assert all(finding.ok for finding in (await found(desk)).values())


async def test_nobody_connected_yet(immich: ImmichServer, ada: User, library: Library, desk: Desk) -> None:
    findings = await found(desk)
    assert findings["Immich URL"].ok
    assert "sign in on the page" in findings["Immich URL"].words
    immich.answer_next("/server/version", 200, {"major": 1, "minor": 140, "patch": 0})
    assert "too old" in (await found(desk))["Immich URL"].words
    await immich.go_away()
    assert not (await found(desk))["Immich URL"].ok


async def test_a_lost_secret_is_found(immich: ImmichServer, ada: User, library: Library, desk: Desk) -> None:
    await desk.connect(ada)
    file = library.layout.data_dir / "secret_key"
    kept = file.read_text()
    file.unlink()
    assert "SIDECAR_SECRET_KEY" in (await found(desk))["keys of connected users"].words
    # Looking makes none.
    assert not file.exists()
    file.write_text(kept)
    assert all(finding.ok for finding in (await found(desk)).values())
