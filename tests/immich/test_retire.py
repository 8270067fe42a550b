"""The guard before the trash: what is retired is ours in every respect; what fools one of its checks is kept."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import immich_sidecar
from immich_sidecar.errors import ImmichGoneError, ImmichServerError
from immich_sidecar.immich import marks
from immich_sidecar.immich.compatibility import NEEDED_PERMISSIONS
from immich_sidecar.immich.publish import Publisher
from immich_sidecar.immich.retire import FOUND_THERE, Fate, may_retire
from immich_sidecar.library.tables import PhotoRow, Source, VersionRow
from tests.immich.stage import NOBODY, Library, connect, picture
from tests.immich_server import Asset, ImmichServer, User

HERE = "this-installation"
SHA256 = "ab" * 32


@dataclass
class Scene:
    """An original and two versions of it in Immich, stacked; the second took the place of the first."""

    immich: ImmichServer
    user: User
    publisher: Publisher
    original: Asset
    first: Asset
    second: Asset
    photo: PhotoRow
    version: VersionRow

    async def retire(self, **more: Any) -> tuple[str, str | None]:
        arguments: dict[str, Any] = {"instead_id": self.second.id, "installation": HERE, "taken_over": True}
        result = await self.publisher.retire(self.photo, self.version, **(arguments | {"trash": True} | more))
        return result.fate.value, result.reason

    async def reason(self, **more: Any) -> str | None:
        """What the guard says of the asset that the row names."""
        asset = await self.publisher.connection.api.asset(self.version.immich_asset_id or "")
        mark = await self.publisher.connection.api.metadata(asset.id or "", marks.KEY)
        arguments: dict[str, Any] = {"user_id": self.user.id, "installation": HERE, "taken_over": True}
        return may_retire(asset, mark, self.version, self.photo, **(arguments | more))

    def mark(self, asset: Asset, **fields: Any) -> None:
        """Put our mark of the first version at an asset, changed as a test needs it."""
        mark = marks.mark_of_version(
            original_asset_id=self.original.id,
            recipe_id="r1",
            recipe={"operations": []},
            ai_analysis={},
            version=1,
            review="superseded",
            sha256=SHA256,
            installation=HERE,
        )
        asset.metadata[marks.KEY] = (mark | fields, self.immich.store.now())

    def trashed(self) -> list[str]:
        return [asset.name for asset in self.immich.assets.values() if asset.deleted_at is not None]


@pytest.fixture
def scene(immich: ImmichServer, ada: User, publisher: Publisher) -> Scene:
    original = immich.add_asset(ada, picture(1), "IMG_1.jpg")
    first = immich.add_asset(ada, picture(2), "IMG_1_processed_v1.jpg")
    second = immich.add_asset(ada, picture(3), "IMG_1_processed_v2.jpg")
    immich.add_stack(second, original, first)
    photo = PhotoRow(
        owner_id="local",
        sha256=SHA256,
        sha1=hashlib.sha1(picture(1)).hexdigest(),
        size=1,
        file_name="IMG_1.jpg",
        source=Source.IMMICH,
        path=None,
        immich_asset_id=original.id,
        version=2,
    )
    version = VersionRow(
        owner_id="local",
        photo=SHA256,
        n=1,
        recipe_id="r1",
        path="",
        size=1,
        sha256="cd" * 32,
        sha1=hashlib.sha1(picture(2)).hexdigest(),
        width=1,
        height=1,
        immich_asset_id=first.id,
    )
    made = Scene(immich, ada, publisher, original, first, second, photo, version)
    made.mark(first)
    return made


# ---- what is allowed


async def test_a_version_of_ours_goes_to_the_trash(scene: Scene) -> None:
    assert await scene.reason() is None
    assert await scene.retire() == ("trashed", None)
    assert scene.trashed() == ["IMG_1_processed_v1.jpg"]
    deletions = [seen for seen in scene.immich.requests if seen.method == "DELETE"]
    assert [seen.path for seen in deletions] == ["/api/assets"]


async def test_the_place_on_top_is_given_away_first(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("immich_sidecar.immich.stacks._FIRST_WAIT_SECONDS", 0.001)
    assert scene.first.stack_id is not None
    stack = scene.immich.stacks[scene.first.stack_id]
    stack.primary_asset_id = scene.first.id
    scene.immich.answer_next("/api/stacks/", 500, {"message": "no"}, method="PUT", times=None)
    with pytest.raises(ImmichServerError):
        await scene.retire()
    # A trashed primary would hide the whole stack.
    assert scene.trashed() == []
    scene.immich.no_faults()
    assert await scene.retire() == ("trashed", None)
    assert stack.primary_asset_id == scene.second.id


async def test_where_what_replaces_it_stands_elsewhere_any_other_member_comes_on_top(scene: Scene) -> None:
    assert scene.first.stack_id is not None
    stack = scene.immich.stacks[scene.first.stack_id]
    stack.primary_asset_id = scene.first.id
    scene.second.stack_id = None
    await scene.retire()
    assert stack.primary_asset_id == scene.original.id


async def test_without_the_trash_it_is_tagged(scene: Scene) -> None:
    assert await scene.retire(trash=False) == ("tagged", None)
    asset = await scene.publisher.connection.api.asset(scene.first.id)
    assert [tag.value for tag in asset.tags or ()] == ["Sidecar/Superseded"]
    assert scene.trashed() == []
    scene.version.retired = Fate.TAGGED
    await scene.publisher.bring_back(scene.version, original_id=scene.original.id)
    assert not (await scene.publisher.connection.api.asset(scene.first.id)).tags


@pytest.mark.parametrize(
    ("lacking", "fate"),
    [("asset.delete", "tagged"), ("asset.delete tag.create", "marked"), ("asset.delete tag.asset", "marked")],
)
@pytest.mark.parametrize("known", [True, False])
async def test_what_the_key_may_not_do_is_not_tried_or_does_no_harm(
    scene: Scene, library: Library, key: str, *, lacking: str, fate: str, known: bool
) -> None:
    granted = [*NEEDED_PERMISSIONS, "asset.delete", "tag.create", "tag.asset", "tag.read", "album.read"]
    scene.immich.set_permissions(key, [one for one in granted if one not in lacking.split()])
    if known:
        await scene.publisher.connection.refresh(library.database)
    assert await scene.retire() == (fate, None)
    assert scene.trashed() == []


async def test_repeating_it_after_a_crash_changes_nothing(scene: Scene) -> None:
    scene.version.retired = Fate.TRASHING
    await scene.retire()
    # The service ended before it could write down what came of it.
    assert await scene.retire() == ("trashed", None)
    scene.version.retired = Fate.TRASHED
    await scene.publisher.bring_back(scene.version, original_id=scene.original.id)
    await scene.publisher.bring_back(scene.version, original_id=scene.original.id)
    assert scene.trashed() == []
    assert scene.first.stack_id == scene.second.stack_id


@pytest.mark.parametrize("where", ["timeline", "archive"])
async def test_what_was_hidden_comes_back_beside_its_original(scene: Scene, where: str) -> None:
    """What its owner keeps out of sight does not come into sight."""
    scene.original.visibility = scene.first.visibility = where
    assert await scene.retire(trash=False, hide=True) == ("archived", None)
    assert scene.first.visibility == "archive"
    scene.version.retired = Fate.ARCHIVED
    await scene.publisher.bring_back(scene.version, original_id=scene.original.id)
    assert scene.first.visibility == where


async def test_what_its_owner_threw_away_is_not_ours_to_bring_back(scene: Scene) -> None:
    scene.immich.trash(scene.first)
    assert await scene.retire() == ("gone", None)
    scene.version.retired = Fate.GONE
    await scene.publisher.bring_back(scene.version, original_id=scene.original.id)
    assert scene.trashed() == ["IMG_1_processed_v1.jpg"]
    scene.immich.delete(scene.first)
    assert await scene.retire() == ("gone", None)


async def test_what_was_deleted_for_good_cannot_come_back(scene: Scene) -> None:
    await scene.retire()
    scene.immich.delete(scene.first)
    scene.version.retired = Fate.TRASHED
    with pytest.raises(ImmichGoneError, match="new version"):
        await scene.publisher.bring_back(scene.version, original_id=scene.original.id)


# ---- what would fool it


def _mark(**fields: Any) -> Callable[[Scene], None]:
    return lambda scene: scene.mark(scene.first, **fields)


def _set(**attributes: Any) -> Callable[[Scene], None]:
    def change(scene: Scene) -> None:
        for name, value in attributes.items():
            setattr(scene.first, name, value)

    return change


def _row(**columns: Any) -> Callable[[Scene], None]:
    def change(scene: Scene) -> None:
        for name, value in columns.items():
            setattr(scene.version, name, value)

    return change


def _copied_mark(scene: Scene) -> None:
    """The user copied our mark to a photo of their own, and a row names that."""
    theirs = scene.immich.add_asset(scene.user, picture(9), "holiday.jpg")
    scene.mark(theirs)
    scene.version.immich_asset_id = theirs.id


def _same_name(scene: Scene) -> None:
    theirs = scene.immich.add_asset(scene.user, picture(9), scene.first.name)
    scene.version.immich_asset_id = theirs.id


def _the_original(scene: Scene) -> None:
    scene.mark(scene.original)
    scene.version.immich_asset_id = scene.original.id
    scene.version.sha1 = scene.photo.sha1


def _an_original_of_other_bytes(scene: Scene) -> None:
    """Rows were mixed up so that the original's asset is said to be another."""
    scene.photo.immich_asset_id = scene.second.id
    _the_original(scene)
    scene.photo.immich_asset_id = scene.second.id
    scene.mark(scene.original, original_asset_id=scene.second.id)


def _swapped_rows(scene: Scene) -> None:
    scene.version.immich_asset_id = scene.second.id


def _swapped_with_its_mark(scene: Scene) -> None:
    scene.mark(scene.second)
    scene.version.immich_asset_id = scene.second.id


def _bobs(scene: Scene) -> None:
    scene.first.owner = scene.immich.add_user("Bob")


FOOLED: dict[str, Callable[[Scene], None]] = {
    "our mark was copied to the user's own photo": _copied_mark,
    "a photo of the user's has the same name": _same_name,
    "it is the original": _the_original,
    "it is the original under another id": _an_original_of_other_bytes,
    "the row names the other version": _swapped_rows,
    "the row names the other version, and so does its mark": _swapped_with_its_mark,
    "its bytes were replaced": _set(checksum=hashlib.sha1(b"other").digest()),
    "its mark is gone": lambda scene: scene.first.metadata.clear(),
    "its mark names another photo": _mark(sha256="ff" * 32),
    "its mark names another version": _mark(version=2),
    "its mark names another original": _mark(original_asset_id=NOBODY),
    "its mark names another recipe": _mark(processing_recipe_id="r2"),
    "its mark is that of an original": _mark(is_original=True),
    "its mark does not say that we made it": _mark(is_processed=False),
    "its mark is that of another installation": _mark(installation="elsewhere"),
    "its mark names no installation": _mark(installation=None),
    "it was there before we uploaded it": _row(written={FOUND_THERE: True}),
    "the row is one of another photo": _row(photo="ff" * 32),
    "the row is another owner's": _row(owner_id="bob"),
    "it lies in an external library": _set(library_id=NOBODY),
    "it was edited in Immich": _set(is_edited=True),
    "it was made a live photo": _set(live_photo_video_id=NOBODY),
    "it was hidden": _set(visibility="hidden"),
    "it became a film": _set(type="VIDEO"),
}


# What the guard looks at is the same in all versions.
@pytest.mark.parametrize("immich_version", ["3.1.0"])
@pytest.mark.parametrize("how", FOOLED)
@pytest.mark.parametrize("trash", [True, False])
async def test_whatever_fools_one_check_is_kept(scene: Scene, how: str, trash: bool) -> None:
    FOOLED[how](scene)
    before = {asset.id: (asset.deleted_at, asset.visibility, asset.stack_id) for asset in scene.immich.assets.values()}
    assert await scene.reason() is not None
    fate, reason = await scene.retire(trash=trash)
    assert fate == "kept"
    assert reason
    after = {asset.id: (asset.deleted_at, asset.visibility, asset.stack_id) for asset in scene.immich.assets.values()}
    assert after == before
    assert not any(seen.method == "DELETE" or "/tags" in seen.path for seen in scene.immich.requests)


async def test_another_users_asset_is_not_even_seen(scene: Scene) -> None:
    _bobs(scene)
    assert await scene.retire() == ("gone", None)
    assert scene.trashed() == []


@pytest.mark.parametrize("immich_version", ["3.1.0"])
@pytest.mark.parametrize(
    "wrong",
    [{"user_id": None}, {"user_id": NOBODY}, {"installation": None}, {"installation": "elsewhere"}],
    ids=str,
)
async def test_it_has_to_be_known_who_we_are(scene: Scene, wrong: dict[str, Any]) -> None:
    assert await scene.reason(**wrong) is not None


async def test_a_key_of_another_user_retires_nothing(scene: Scene, library: Library) -> None:
    bob = connect(scene.immich, scene.immich.add_key(scene.immich.add_user("Bob")), "bob")
    await bob.refresh(library.database)
    his = library.publisher(bob)
    result = await his.retire(
        scene.photo, scene.version, instead_id=scene.second.id, installation=HERE, taken_over=True, trash=True
    )
    await bob.close()
    assert result.fate is Fate.GONE
    assert scene.trashed() == []


async def test_what_the_user_made_of_it_stays_unless_it_went_over(scene: Scene) -> None:
    scene.first.is_favorite = True
    assert (await scene.retire(taken_over=False))[0] == "kept"
    scene.first.is_favorite = False
    album_id = await scene.publisher.connection.api.make_album("Best of")
    await scene.publisher.connection.api.add_to_album(album_id, [scene.first.id])
    assert await scene.retire(taken_over=False) == ("kept", "it is in the album Best of")
    # Not where we put it in ourselves, and not where it went over to the version that took its place.
    assert await scene.retire(taken_over=False, own_albums=frozenset({album_id})) == ("trashed", None)


async def test_favourites_and_albums_that_went_over_are_no_reason_to_keep_it(scene: Scene) -> None:
    scene.first.is_favorite = True
    album_id = await scene.publisher.connection.api.make_album("Best of")
    await scene.publisher.connection.api.add_to_album(album_id, [scene.first.id])
    assert await scene.retire(taken_over=True) == ("trashed", None)


@pytest.mark.parametrize("how", ["trashed", "deleted", "unknown"])
async def test_without_what_takes_its_place_it_stays(scene: Scene, how: str) -> None:
    if how == "trashed":
        scene.immich.trash(scene.second)
    elif how == "deleted":
        scene.immich.delete(scene.second)
    fate, reason = await scene.retire(**({"instead_id": NOBODY} if how == "unknown" else {}))
    assert fate == "kept"
    assert "take its place" in (reason or "")
    assert scene.first.deleted_at is None


# ---- the one place


def _calls(name: str) -> list[tuple[str, ast.Call]]:
    package = Path(immich_sidecar.__file__).parent
    found = []
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == name:
                found.append((str(path.relative_to(package)), node))
    return found


def test_there_is_one_place_that_trashes_and_none_that_deletes_for_good() -> None:
    ((where, call),) = _calls("delete_assets")
    assert where == "immich/retire.py"
    (force,) = [keyword.value for keyword in call.keywords if keyword.arg == "force"]
    assert isinstance(force, ast.Constant)
    assert force.value is False
    sources = {path: path.read_text() for path in Path(immich_sidecar.__file__).parent.rglob("*.py")}
    assert [path.name for path, text in sources.items() if "force=True" in text] == []
    # Neither do others get at the generated call, nor at what empties the trash.
    assert [path.name for path, text in sources.items() if "import delete_assets" in text] == []
    users = [path.name for path, text in sources.items() if "    delete_assets,\n" in text]
    assert users == ["assets.py"]
    assert not any("trash/empty" in text or "empty_trash" in text for text in sources.values())


def test_only_the_guard_lets_pass() -> None:
    ((where, _),) = [(where, call) for where, call in _calls("retire") if where == "immich/publish.py"]
    assert where == "immich/publish.py"
    text = (Path(immich_sidecar.__file__).parent / "immich" / "retire.py").read_text()
    function = text[text.index("    async def retire(") : text.index("    async def bring_back(")]
    assert function.index("may_retire(") < function.index("return Retired(Fate.KEPT") < function.index("delete_assets(")
