"""How much is worked on at once, by the memory and the load of the machine."""

import asyncio

import pytest

from immich_sidecar.analysis.runtime.memory import Memory
from immich_sidecar.pipeline.resources import Allowance, Load, allow
from tests.pipeline.house import House, developed

GIB = 1 << 30


def load(free: float, total: float = 16, others: float = 0, cores: int = 4) -> Load:
    return Load(Memory(int(total * GIB), int(free * GIB)), others, cores)


@pytest.mark.parametrize(
    ("now", "busy", "allowed"),
    [
        (load(12), 0, Allowance(4)),
        (load(12), 4, Allowance(4)),
        # 16 GiB leave 1.6 to others; what is busy holds its memory already.
        (load(3.7), 0, Allowance(2, None, "there is little memory left")),
        (load(3.7), 2, Allowance(4)),
        (load(2.0), 2, Allowance(2, 1, "there is little memory left")),
        (load(1.0), 3, Allowance(2, 1, "there is little memory left")),
        (load(0.1), 1, Allowance(1, 1, "there is little memory left")),
        (load(0.1), 0, Allowance(1, 1, "there is little memory left")),
        (load(12, others=7), 4, Allowance(4)),
        (load(12, others=9), 4, Allowance(2, None, "others need the processor")),
    ],
)
def test_no_more_is_begun_than_the_machine_bears(now: Load, busy: int, allowed: Allowance) -> None:
    assert allow(now, workers=4, busy=busy) == allowed


def test_there_is_always_one_worker() -> None:
    assert allow(load(12, others=99, cores=1), workers=1, busy=0).workers == 1


async def test_the_dispatcher_holds_to_it_and_goes_on_when_there_is_room(house: House) -> None:
    house.dispatcher.limit(1)
    gate = house.executor.hold("analyse_file", 4)
    for seed in range(4):
        await house.drop(developed(seed))
    house.dispatcher.wake()
    await house.until(lambda: house.dispatcher.in_work == 1)
    await asyncio.sleep(0.3)
    assert house.dispatcher.in_work == 1
    house.dispatcher.limit(2)
    await house.until(lambda: house.dispatcher.in_work == 2)
    gate.set()
    await house.settled()
