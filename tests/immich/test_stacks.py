"""Stacking: the two end up together, what the user arranged stays, and repeating changes nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from immich_py_client.api.stacks import remove_asset_from_stack

from immich_sidecar.errors import ImmichAwayError, ImmichError, ImmichGoneError, ImmichServerError
from immich_sidecar.immich.publish import Publisher, StackResult
from tests.immich.stage import picture
from tests.immich_server import Asset, ImmichServer, User


class Shelf:
    """Assets by name, and stacks as lists of names with the primary first."""

    def __init__(self, immich: ImmichServer, user: User, publisher: Publisher) -> None:
        self.immich, self.user, self.publisher = immich, user, publisher
        self._named: dict[str, Asset] = {}

    def asset(self, name: str, **attributes: Any) -> Asset:
        content = picture(len(self.immich.assets) + 10)
        self._named[name] = self.immich.add_asset(self.user, content, f"{name}.jpg", **attributes)
        return self._named[name]

    def __getitem__(self, name: str) -> str:
        return self._named[name].id

    def stack_of(self, name: str) -> list[str]:
        members = self.immich.stack_of(self._named[name])
        first, *others = [asset.name.removesuffix(".jpg") for asset in members] or [""]
        return [first, *sorted(others)] if first else []

    async def stack(self, want: Any, *, version: str = "v1", before: str | None = None, **more: Any) -> StackResult:
        ours = frozenset(asset.id for name, asset in self._named.items() if name.startswith("v"))
        return await self.publisher.stack(
            self["original"],
            self[version],
            want_primary=want,
            primary_before=before,
            our_ids=ours,
            **more,
        )

    def calls(self, *methods: str) -> list[tuple[str, str]]:
        """The calls that changed something."""
        return [(seen.method, seen.path) for seen in self.immich.requests if seen.method in methods]

    def writes(self) -> int:
        return len([1 for method, path in self.calls("POST", "PUT", "DELETE") if "search" not in path])


@pytest.fixture
def shelf(immich: ImmichServer, ada: User, publisher: Publisher) -> Shelf:
    made = Shelf(immich, ada, publisher)
    made.asset("original")
    made.asset("v1")
    return made


@pytest.mark.parametrize(("want", "top"), [("keep", "original"), ("ours", "v1"), ("restore", "original")])
async def test_neither_is_in_a_stack(shelf: Shelf, want: str, top: str) -> None:
    result = await shelf.stack(want)
    assert shelf.stack_of("original")[0] == top
    assert len(shelf.stack_of("original")) == 2
    assert (result.primary_before, result.primary_now) == (shelf["original"], shelf[top])
    writes = shelf.writes()
    assert await shelf.stack(want, before=result.primary_before) == result
    assert shelf.writes() == writes


@pytest.mark.parametrize(
    ("burst", "want", "expected"),
    [
        # The original on top of the user's stack.
        (["original", "b", "c"], "keep", ["original", "b", "c", "v1"]),
        (["original", "b", "c"], "ours", ["v1", "b", "c", "original"]),
        # Only one of the user's burst: the user's choice stays on top.
        (["b", "c", "original"], "keep", ["b", "c", "original", "v1"]),
        (["b", "c", "original"], "ours", ["b", "c", "original", "v1"]),
    ],
)
async def test_the_original_is_in_a_stack_already(
    immich: ImmichServer, shelf: Shelf, burst: list[str], want: str, expected: list[str]
) -> None:
    shelf.asset("b")
    shelf.asset("c")
    stack = immich.add_stack(*(shelf._named[name] for name in burst))
    result = await shelf.stack(want)
    assert shelf.stack_of("v1") == expected
    # The user's stack keeps its id.
    assert result.stack_id == stack.id
    assert result.primary_before == shelf[burst[0]]
    writes = shelf.writes()
    assert await shelf.stack(want, before=result.primary_before) == result
    assert shelf.writes() == writes
    # And back.
    await shelf.stack("restore", before=result.primary_before)
    assert shelf.stack_of("v1")[0] == burst[0]


async def test_the_life_of_a_photo(shelf: Shelf) -> None:
    first = await shelf.stack("keep")
    approved = await shelf.stack("ours", before=first.primary_before)
    assert shelf.stack_of("original") == ["v1", "original"]
    # Another version: the earlier one stays in the stack.
    shelf.asset("v2")
    second = await shelf.stack("ours", version="v2", before=approved.primary_before)
    assert shelf.stack_of("original") == ["v2", "original", "v1"]
    assert second.primary_before == shelf["original"]
    # Undone to the first.
    back = await shelf.stack("ours", version="v1", before=second.primary_before, stacked_before=True)
    assert shelf.stack_of("original") == ["v1", "original", "v2"]
    rejected = await shelf.stack("restore", version="v1", before=back.primary_before, stacked_before=True)
    assert shelf.stack_of("original") == ["original", "v1", "v2"]
    assert rejected.stack_id == first.stack_id
    assert shelf.calls("POST").count(("POST", "/api/stacks")) == 1


async def test_a_second_version_beneath_an_approved_first(shelf: Shelf) -> None:
    await shelf.stack("ours")
    shelf.asset("v2")
    result = await shelf.stack("keep", version="v2", before=shelf["original"])
    assert shelf.stack_of("original") == ["v1", "original", "v2"]
    assert result.primary_before == shelf["original"]


async def test_what_the_user_puts_on_top_stays(immich: ImmichServer, shelf: Shelf) -> None:
    shelf.asset("b")
    immich.add_stack(shelf._named["original"], shelf._named["b"])
    first = await shelf.stack("ours")
    assert first.stack_id is not None
    immich.stacks[first.stack_id].primary_asset_id = shelf["b"]
    for want in ("restore", "ours", "keep"):
        result = await shelf.stack(want, before=first.primary_before, stacked_before=True)
        assert shelf.stack_of("v1")[0] == "b"
        assert result.primary_before == shelf["b"]


async def test_a_stack_that_the_user_dissolved_stays_so(immich: ImmichServer, shelf: Shelf) -> None:
    first = await shelf.stack("ours")
    await shelf.publisher._api.call(remove_asset_from_stack, first.stack_id, shelf["original"], tried="take them apart")
    for want in ("ours", "keep", "restore"):
        result = await shelf.stack(want, before=first.primary_before, stacked_before=True)
        assert result.stack_id is None
        assert shelf.stack_of("original") == []


async def test_a_version_that_the_user_stacked_elsewhere_stays_there(immich: ImmichServer, shelf: Shelf) -> None:
    shelf.asset("b")
    immich.add_stack(shelf._named["v1"], shelf._named["b"])
    shelf.asset("c")
    immich.add_stack(shelf._named["original"], shelf._named["c"])
    assert (await shelf.stack("ours")).stack_id is None
    assert shelf.stack_of("v1") == ["v1", "b"]
    assert shelf.stack_of("original") == ["original", "c"]


@pytest.mark.parametrize("burst", [["original", "b"], ["b", "original"]])
async def test_in_the_archive_where_assets_do_not_name_their_stack(
    immich: ImmichServer, shelf: Shelf, burst: list[str]
) -> None:
    shelf.asset("b")
    for asset in shelf._named.values():
        asset.visibility = "archive"
    stack = immich.add_stack(*(shelf._named[name] for name in burst))
    result = await shelf.stack("keep")
    assert result.stack_id == stack.id
    assert shelf.stack_of("v1") == [burst[0], *sorted({"original", "b", "v1"} - {burst[0]})]


async def test_a_stack_whose_other_members_are_in_the_trash(immich: ImmichServer, shelf: Shelf) -> None:
    b = shelf.asset("b")
    stack = immich.add_stack(shelf._named["original"], b)
    immich.trash(b)
    result = await shelf.stack("keep")
    # Such an asset says that it is in no stack; making one would tear the user's apart.
    assert result.stack_id == stack.id
    assert shelf.stack_of("original") == ["original", "b", "v1"]


async def test_our_version_in_the_trash_on_top_gives_the_place_back(immich: ImmichServer, shelf: Shelf) -> None:
    first = await shelf.stack("ours")
    immich.trash(shelf._named["v1"])
    result = await shelf.stack("restore", before=first.primary_before, stacked_before=True)
    # Immich hides the whole stack while its primary is in the trash.
    assert shelf.stack_of("original")[0] == "original"
    assert result.primary_now == shelf["original"]


async def test_the_former_primary_is_gone(immich: ImmichServer, shelf: Shelf) -> None:
    await shelf.stack("ours")
    result = await shelf.stack("restore", before="2f1c5a52-6a1c-4d6f-8f0e-8f3f0d8f7a11")
    assert shelf.stack_of("original")[0] == "original"
    assert result.primary_now == shelf["original"]


@pytest.mark.parametrize("name", ["original", "v1"])
async def test_what_is_gone_or_in_the_trash_is_told(immich: ImmichServer, shelf: Shelf, name: str) -> None:
    immich.trash(shelf._named[name])
    with pytest.raises(ImmichGoneError, match="trash"):
        await shelf.stack("keep")
    immich.delete(shelf._named[name])
    with pytest.raises(ImmichGoneError):
        await shelf.stack("keep")


@pytest.mark.parametrize("burst", [[], ["original", "b"], ["b", "original"]])
@pytest.mark.parametrize("fault", ["/api/stacks", "/api/assets/copy", "/api/assets/"])
async def test_immich_fails_a_few_times(
    immich: ImmichServer, shelf: Shelf, monkeypatch: pytest.MonkeyPatch, *, burst: list[str], fault: str
) -> None:
    monkeypatch.setattr("immich_sidecar.immich.stacks._FIRST_WAIT_SECONDS", 0.001)
    shelf.asset("b")
    if burst:
        immich.add_stack(*(shelf._named[name] for name in burst))
    immich.answer_next(fault, 500, {"message": "Failed to create stack"}, times=3)
    await shelf.stack("ours")
    assert "original" in shelf.stack_of("v1")


async def test_immich_fails_for_good(immich: ImmichServer, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("immich_sidecar.immich.stacks._FIRST_WAIT_SECONDS", 0.001)
    immich.answer_next("/api/stacks", 500, {"message": "Failed to create stack"}, method="POST", times=None)
    with pytest.raises(ImmichServerError):
        await shelf.stack("ours")


@pytest.mark.parametrize("burst", [[], ["original", "b"], ["b", "original"]])
@pytest.mark.parametrize("want", ["ours", "keep", "restore"])
async def test_interrupted_after_any_call_and_repeated(
    immich: ImmichServer,
    ada: User,
    publisher: Publisher,
    monkeypatch: pytest.MonkeyPatch,
    *,
    burst: list[str],
    want: str,
) -> None:
    """The answer to the nth call is lost, and with it all that was known; repeating gives the same stack."""
    send = publisher._api._send
    left = -1

    async def interrupted(*arguments: Any, **named: Any) -> Any:
        nonlocal left
        answer = await send(*arguments, **named)
        left -= 1
        if left == 0:
            raise ImmichAwayError("killed")
        return answer

    monkeypatch.setattr(publisher._api, "_send", interrupted)
    on_top = burst[0] if burst else "original"
    expected_top = "v1" if want == "ours" and on_top == "original" else on_top
    members = {"original", "v1", *burst}
    for nth in range(1, 20):
        shelf = Shelf(immich, ada, publisher)
        for name in ("original", "v1", "b"):
            shelf.asset(name)
        if burst:
            immich.add_stack(*(shelf._named[name] for name in burst))
        left = nth
        try:
            await shelf.stack(want)
        except ImmichAwayError:
            pass
        else:
            break
        result = await shelf.stack(want)
        assert shelf.stack_of("v1") == [expected_top, *sorted(members - {expected_top})]
        assert result.primary_before == shelf[on_top]
    assert nth > 4
    assert nth < 12


async def test_a_whole_burst_at_the_same_time(immich: ImmichServer, shelf: Shelf) -> None:
    """Every photo of the user's burst gets its version; the stack stays one."""
    names = [f"burst{n}" for n in range(5)]
    stack = immich.add_stack(*(shelf.asset(name) for name in names))
    for n in range(5):
        shelf.asset(f"v-{n}")
    results = await asyncio.gather(
        *(
            shelf.publisher.stack(
                shelf[name],
                shelf[f"v-{n}"],
                want_primary="ours",
                primary_before=None,
                our_ids=frozenset({shelf[f"v-{n}"]}),
            )
            for n, name in enumerate(names)
        )
    )
    assert {result.stack_id for result in results} == {stack.id}
    # Only the one whose original was on top is there now.
    assert shelf.stack_of("burst0") == ["v-0", *sorted([*names, *(f"v-{n}" for n in range(1, 5))])]


async def test_another_users_assets_cannot_be_stacked(immich: ImmichServer, shelf: Shelf) -> None:
    theirs = immich.add_asset(immich.add_user("Bob"), picture(99), "his.jpg")
    with pytest.raises(ImmichError):
        await shelf.publisher.stack(theirs.id, shelf["v1"], want_primary="keep", primary_before=None)
    assert shelf.stack_of("v1") == []


async def test_the_user_merges_our_stack_into_a_burst(immich: ImmichServer, shelf: Shelf) -> None:
    first = await shelf.stack("ours")
    for name in ("b", "c"):
        shelf.asset(name)
    # The web stacks what was selected: our version was on top of a stack, and brings it along.
    merged = immich.add_stack(*(shelf._named[name] for name in ("b", "c", "v1")))
    result = await shelf.stack("ours", before=first.primary_before, stacked_before=True)
    assert result.stack_id == merged.id
    assert shelf.stack_of("original") == ["b", "c", "original", "v1"]
    assert result.primary_before == shelf["b"]
    # A newer version goes there, too, and leaves the user's choice on top.
    shelf.asset("v2")
    earlier = frozenset({shelf["v1"]})
    await shelf.stack("ours", version="v2", before=result.primary_before, earlier_ids=earlier)
    assert shelf.stack_of("original") == ["b", "c", "original", "v1", "v2"]


async def test_the_user_moves_our_version_into_another_stack(immich: ImmichServer, shelf: Shelf) -> None:
    first = await shelf.stack("keep")
    shelf.asset("b")
    elsewhere = immich.add_stack(shelf._named["b"], shelf._named["v1"])
    for want in ("ours", "keep"):
        result = await shelf.stack(want, before=first.primary_before, stacked_before=True)
        assert result.stack_id is None
    assert shelf.stack_of("v1") == ["b", "v1"]
    # Its successor is not put where its owner took it from, nor into a stack that it was never in.
    shelf.asset("v2")
    result = await shelf.stack("ours", version="v2", earlier_ids=frozenset({shelf["v1"]}))
    assert result.stack_id is None
    assert shelf.stack_of("v2") == []
    assert immich.stacks[elsewhere.id].primary_asset_id == shelf["b"]


async def test_a_successor_is_stacked_where_nothing_is_left_that_was_taken_apart(
    immich: ImmichServer, shelf: Shelf
) -> None:
    await shelf.stack("keep")
    immich.delete(shelf._named["v1"])
    shelf.asset("v2")
    # On 2.7 a stack of the original alone is left, on 3.1 none: either way there is one stack in the end.
    earlier = frozenset({"2f1c5a52-6a1c-4d6f-8f0e-8f3f0d8f7a11"})
    result = await shelf.stack("ours", version="v2", before=shelf["original"], earlier_ids=earlier)
    assert shelf.stack_of("original") == ["v2", "original"]
    assert len(immich.stacks) == 1
    assert result.stack_id in immich.stacks


async def test_a_successor_joins_while_its_predecessor_is_in_the_trash(immich: ImmichServer, shelf: Shelf) -> None:
    await shelf.stack("ours")
    immich.trash(shelf._named["v1"])
    shelf.asset("v2")
    await shelf.stack("ours", version="v2", before=shelf["original"], earlier_ids=frozenset({shelf["v1"]}))
    assert shelf.stack_of("original")[0] == "v2"
    assert len(immich.stacks) == 1


async def test_photos_stacked_by_others_at_the_same_moment(
    immich: ImmichServer, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Immich refuses one of two stacks with one primary; what we wanted is reached all the same."""
    monkeypatch.setattr("immich_sidecar.immich.stacks._FIRST_WAIT_SECONDS", 0.01)
    immich.race_stacks(0.05)
    other = shelf.publisher._api.make_stack([shelf["original"], shelf.asset("phone").id])
    results = await asyncio.gather(shelf.stack("keep"), other, return_exceptions=True)
    assert isinstance(results[0], StackResult)
    assert {"original", "v1"} <= set(shelf.stack_of("v1"))
    immich.race_stacks(0)


async def test_making_way(immich: ImmichServer, shelf: Shelf) -> None:
    result = await shelf.stack("ours")
    stacker = shelf.publisher._stacker
    writes = shelf.writes()
    # Not on top: nothing to do. Alone, or in no stack: nothing that could be done.
    await stacker.make_way(shelf["original"], shelf["v1"])
    await stacker.make_way(shelf.asset("single").id, shelf["v1"])
    await stacker.make_way("2f1c5a52-6a1c-4d6f-8f0e-8f3f0d8f7a11", shelf["v1"])
    assert shelf.writes() == writes
    await stacker.make_way(shelf["v1"], shelf["original"])
    assert shelf.stack_of("v1") == ["original", "v1"]
    assert immich.stacks[result.stack_id or ""].primary_asset_id == shelf["original"]
    # What is in the trash cannot come on top.
    await stacker.make_way(shelf["original"], shelf["single"])
    assert shelf.stack_of("v1")[0] == "v1"
