"""What a key is asked for, and what its permissions allow."""

from __future__ import annotations

import pytest

from immich_sidecar.immich.compatibility import (
    ALBUM_PERMISSIONS,
    DEFAULT_FEATURES,
    FEATURES,
    INTAKE_PERMISSIONS,
    NEEDED_PERMISSIONS,
    features_of,
    missing_permissions,
    permissions_for,
)
from tests.immich_server.specs import VERSIONS, official


def test_without_features_only_what_is_needed_is_asked_for() -> None:
    assert permissions_for([]) == NEEDED_PERMISSIONS
    assert set(INTAKE_PERMISSIONS) <= set(NEEDED_PERMISSIONS)
    assert missing_permissions(permissions_for([])) == ()


def test_nothing_that_deletes_is_asked_for_unless_it_was_chosen() -> None:
    asked = permissions_for()
    assert not {"asset.delete", "all", "apiKey.delete", "asset.edit.create"} & set(asked)
    assert set(DEFAULT_FEATURES) <= set(FEATURES)
    assert "asset.delete" in permissions_for([*DEFAULT_FEATURES, "retire"])
    assert [name for name, feature in FEATURES.items() if "asset.delete" in feature.permissions] == ["retire"]


def test_each_is_asked_for_once_and_the_needed_ones_come_first() -> None:
    asked = permissions_for(["review_tags", "albums", "review_tags"])
    assert asked[: len(NEEDED_PERMISSIONS)] == NEEDED_PERMISSIONS
    assert len(set(asked)) == len(asked)
    assert missing_permissions(asked, albums=True) == ()
    assert set(ALBUM_PERMISSIONS) <= set(asked)


def test_a_key_that_may_everything_is_asked_for_nothing_else() -> None:
    assert permissions_for(["socket", "albums"]) == ("all",)


def test_what_a_version_lacks_is_not_asked_for() -> None:
    assert permissions_for(["webhook"], version=(2, 7, 5)) == NEEDED_PERMISSIONS
    assert "workflow.create" in permissions_for(["webhook"], version=(3, 0, 0))
    with pytest.raises(KeyError):
        permissions_for(["of later"])


def test_what_permissions_allow() -> None:
    assert features_of(["all"]) == set(FEATURES)
    assert features_of(NEEDED_PERMISSIONS) == set()
    assert features_of(["tag.create", "tag.read"]) == set()
    tags = ["tag.create", "tag.read", "tag.asset"]
    assert features_of([*tags, "asset.delete", "album.read"]) == {"review_tags", "retire"}
    assert features_of(permissions_for()) == set(DEFAULT_FEATURES)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_permission_is_known_to_every_version(version: str) -> None:
    known = set(official(version)["components"]["schemas"]["Permission"]["enum"])
    assert set(permissions_for([name for name in FEATURES if name != "socket"])) <= known
    assert "all" in known


def test_every_feature_says_in_a_sentence_what_it_is_for() -> None:
    for feature in FEATURES.values():
        assert feature.words[0].isupper()
        assert feature.words.endswith(".")
        assert feature.permissions
