"""Calls about the server, accounts and workflows with what goes over the wire, the answer, and what is made of it."""

from __future__ import annotations

from immich_sidecar.immich.api import (
    ImmichUser,
    WorkflowStep,
)
from tests.immich.calls import THING, Expected

CALLS: dict[str, Expected] = {
    "logout": (
        lambda api: api.logout(),
        ("POST", "/auth/logout", None),
        (200, {"successful": True, "redirectUri": "/auth/login"}),
        lambda result: result,
        None,
    ),
    "token_accepted": (
        lambda api: api.token_accepted(),
        ("POST", "/auth/validateToken", None),
        (200, {"authStatus": True}),
        lambda result: result,
        True,
    ),
    "me": (
        lambda api: api.me(),
        ("GET", "/users/me", None),
        (
            200,
            {
                "id": THING,
                "name": "",
                "email": "a@example.test",
                "isAdmin": True,
                "quotaSizeInBytes": 1000,
                "quotaUsageInBytes": 400,
            },
        ),
        lambda user: (user, user.free_bytes),
        (ImmichUser(THING, "a@example.test", "a@example.test", True, 1000, 400), 600),
    ),
    "me without a limit": (
        lambda api: api.me(),
        ("GET", "/users/me", None),
        (200, {"id": THING, "name": "Ada", "quotaSizeInBytes": None, "quotaUsageInBytes": None}),
        lambda user: (user.name, user.is_admin, user.quota_bytes, user.used_bytes, user.free_bytes),
        ("Ada", False, None, None, None),
    ),
    "keys": (
        lambda api: api.keys(),
        ("GET", "/api-keys", None),
        (200, [{"id": THING, "name": "one", "permissions": ["asset.read", "of.later"]}]),
        lambda keys: [(key.id, key.name, key.permissions) for key in keys],
        [(THING, "one", ["asset.read", "of.later"])],
    ),
    "make_key": (
        lambda api: api.make_key("sidecar", ("asset.read", "user.read")),
        ("POST", "/api-keys", {"name": "sidecar", "permissions": ["asset.read", "user.read"]}),
        (201, {"secret": "s", "apiKey": {"id": THING, "name": "sidecar", "permissions": ["asset.read", "user.read"]}}),
        lambda key: (key.id, key.name, key.secret, key.permissions, "'s'" in repr(key)),
        (THING, "sidecar", "s", ("asset.read", "user.read"), False),
    ),
    "change_key": (
        lambda api: api.change_key(THING, permissions=["asset.read"]),
        ("PUT", f"/api-keys/{THING}", {"permissions": ["asset.read"]}),
        (200, {"id": THING}),
        lambda key: key.id,
        THING,
    ),
    "delete_key": (
        lambda api: api.delete_key(THING),
        ("DELETE", f"/api-keys/{THING}", None),
        (204, None),
        lambda result: result,
        None,
    ),
    "delete_key that is gone": (
        lambda api: api.delete_key(THING),
        ("DELETE", f"/api-keys/{THING}", None),
        (400, {"message": "API Key not found"}),
        lambda result: result,
        None,
    ),
    "notify": (
        lambda api: api.notify(THING, title="12 photos", description="wait", level="success"),
        (
            "POST",
            "/admin/notifications",
            {"userId": THING, "title": "12 photos", "description": "wait", "level": "success"},
        ),
        (201, {"id": THING}),
        lambda result: result,
        None,
    ),
    "about": (
        lambda api: api.about(),
        ("GET", "/server/about", None),
        (200, {"version": "v3.1.0", "licensed": False, "thirdPartySupportUrl": "/develop/"}),
        lambda about: (about.version, about.third_party_support_url),
        ("v3.1.0", "/develop/"),
    ),
    "features": (
        lambda api: api.features(),
        ("GET", "/server/features", None),
        (200, {"passwordLogin": False, "oauth": True}),
        lambda features: (features.password_login, features.oauth),
        (False, True),
    ),
    "config": (
        lambda api: api.config(),
        ("GET", "/server/config", None),
        (200, {"externalDomain": "https://photos.example", "trashDays": 30}),
        lambda config: (config.external_domain, config.trash_days),
        ("https://photos.example", 30),
    ),
    "media_types": (
        lambda api: api.media_types(),
        ("GET", "/server/media-types", None),
        (200, {"image": [".jpg"], "sidecar": [".xmp"], "video": [".mp4"]}),
        lambda types: (types.image, types.sidecar),
        ([".jpg"], [".xmp"]),
    ),
    "workflows": (
        lambda api: api.workflows(),
        ("GET", "/workflows", None),
        (
            200,
            [
                {
                    "id": THING,
                    "name": None,
                    "description": None,
                    "enabled": True,
                    "trigger": "OfLater",
                    "steps": [{"method": "core#webhook", "config": {"url": "http://us"}}, {"config": None}],
                }
            ],
        ),
        lambda flows: [(flow.id, flow.trigger, flow.steps[0].config.to_dict(), flow.steps[1].config) for flow in flows],
        [(THING, "OfLater", {"url": "http://us"}, None)],
    ),
    "workflow": (
        lambda api: api.workflow(THING),
        ("GET", f"/workflows/{THING}", None),
        (200, {"id": THING, "enabled": False, "steps": []}),
        lambda flow: (flow.id, flow.enabled),
        (THING, False),
    ),
    "make_workflow": (
        lambda api: api.make_workflow(
            trigger="AssetCreate", name="n", description="d", steps=[WorkflowStep("core#webhook", {"headerValue": "x"})]
        ),
        (
            "POST",
            "/workflows",
            {
                "trigger": "AssetCreate",
                "name": "n",
                "description": "d",
                "enabled": True,
                "steps": [{"method": "core#webhook", "config": {"headerValue": "x"}, "enabled": True}],
            },
        ),
        (201, {"id": THING, "steps": []}),
        lambda result: result,
        THING,
    ),
    "change_workflow": (
        lambda api: api.change_workflow(THING, enabled=False),
        ("PUT", f"/workflows/{THING}", {"enabled": False}),
        (200, {"id": THING}),
        lambda result: result,
        None,
    ),
    "delete_workflow": (
        lambda api: api.delete_workflow(THING),
        ("DELETE", f"/workflows/{THING}", None),
        (204, None),
        lambda result: result,
        None,
    ),
    "delete_workflow that is gone": (
        lambda api: api.delete_workflow(THING),
        ("DELETE", f"/workflows/{THING}", None),
        (400, {"message": "Not found or no workflow.delete access"}),
        lambda result: result,
        None,
    ),
    "workflow_triggers": (
        lambda api: api.workflow_triggers(),
        ("GET", "/workflows/triggers", None),
        (200, [{"trigger": "AssetCreate", "types": ["AssetV1"]}, {"trigger": "AssetMetadataExtraction"}]),
        lambda result: result,
        ("AssetCreate", "AssetMetadataExtraction"),
    ),
}
