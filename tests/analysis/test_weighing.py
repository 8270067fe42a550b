"""The network that weighs directions: its answer, its size, and NumPy beside torch."""

import cv2
import numpy as np
import pytest

from immich_sidecar.analysis.measure.tilt import views, weighing
from immich_sidecar.analysis.measure.tilt.candidates import candidates
from immich_sidecar.analysis.measure.tilt.maps import (
    LEVEL_REACH,
    LEVELS,
    REST,
    SQUARE,
    UPRIGHT_REACH,
    UPRIGHTS,
    looked_at,
    maps,
)
from immich_sidecar.analysis.measure.tilt.weighing import LEANS, WEIGHTS, forward, log_likelihood, seen
from tests.photos.make import Display, scene, tilted


def described(picture: Display) -> np.ndarray:
    return maps(looked_at(picture))


@pytest.mark.parametrize("size", [(96, 96), (97, 131), (683, 1024), (1024, 683), (96, 9000), (3000, 97), (4000, 3000)])
def test_every_size_is_looked_at_in_squares(size: tuple[int, int]) -> None:
    picture = np.random.default_rng(2).integers(0, 255, (*size, 3), dtype=np.uint8)
    small = looked_at(picture)
    height, width = small.shape[:2]

    assert height % SQUARE == width % SQUARE == 0
    assert 0.4 < height * width / (384 * 288) < 1.7
    assert maps(small).shape == (LEVELS + UPRIGHTS + REST, height // SQUARE, width // SQUARE)


@pytest.mark.parametrize("degrees", [-7.0, 0.0, 4.0])
def test_directions_are_those_of_the_picture(degrees: float) -> None:
    told = described(tilted(scene(), degrees)) ** 2

    assert told[:LEVELS].sum(axis=(1, 2)).argmax() - LEVEL_REACH == degrees
    assert told[LEVELS : LEVELS + UPRIGHTS].sum(axis=(1, 2)).argmax() - UPRIGHT_REACH == degrees


def test_nothing_has_no_direction() -> None:
    for value in (0, 128, 255):
        told = described(np.full((300, 400, 3), value, np.uint8))
        assert not told[: LEVELS + UPRIGHTS].any()
        assert np.isfinite(log_likelihood(told)).all()


@pytest.mark.parametrize("degrees", [-6.0, -2.0, 0.0, 3.5])
def test_a_turned_scene_is_told(degrees: float) -> None:
    told = log_likelihood(described(tilted(scene(), degrees)))

    assert np.exp(told).sum() == pytest.approx(1.0)
    assert LEANS[told.argmax()] == pytest.approx(degrees, abs=0.75)


def test_the_same_picture_gets_the_same_answer() -> None:
    picture = tilted(scene(), 2.0)
    first, second = candidates(picture), candidates(picture.copy())

    assert [one.evidence for one in first] == [one.evidence for one in second]


def test_evidence_leads_where_the_likelihood_does() -> None:
    told = np.log(np.exp(-0.5 * (LEANS - 2.0) ** 2) / np.exp(-0.5 * (LEANS - 2.0) ** 2).sum())
    right, wrong = seen([2.0, -3.0], told)

    assert right["seen"] > wrong["seen"]
    assert right["lead_seen"] > 0 > wrong["lead_seen"]
    assert right["seen_peak"] == 0
    assert right["seen_near"] > 0.7
    assert wrong["seen_near"] < 0.1
    assert wrong["seen_off"] == 5.0
    assert right["seen_spread"] == wrong["seen_spread"] == pytest.approx(1.0, abs=0.01)
    assert seen([], told) == []
    assert seen([2.0], told)[0]["lead_seen"] > 0


def test_mirrored_maps_are_those_of_the_mirrored_picture() -> None:
    picture = looked_at(tilted(scene(), 2.0))
    straight = maps(picture)
    mirrored = views.mirrored(straight)

    assert mirrored == pytest.approx(maps(np.ascontiguousarray(picture[:, ::-1])), abs=0.02)
    assert np.abs(mirrored - straight).max() > 0.2


@pytest.mark.parametrize("degrees", [-4.0, 3.0])
def test_a_picture_turns_inside_itself(degrees: float) -> None:
    picture = scene()
    view = views.turned_inside(picture, degrees)
    told = described(view) ** 2

    assert told[:LEVELS].sum(axis=(1, 2)).argmax() - LEVEL_REACH == degrees
    assert all(0.7 * whole < part < whole for part, whole in zip(view.shape[:2], picture.shape[:2], strict=True))
    assert views.turned_inside(np.full((200, 300, 3), 90, np.uint8), degrees).min() == 90


@pytest.mark.parametrize("degrees", [-5.0, 0.0, 2.5])
def test_every_view_tells_the_lean_of_the_picture_itself(degrees: float) -> None:
    told = views.answers(tilted(scene(), degrees))

    assert LEANS[told.argmax(axis=1)] == pytest.approx(degrees, abs=0.75)
    assert len(np.unique(told, axis=0)) == len(told) == 4


@pytest.mark.parametrize("size", [(96, 96), (97, 3000), (3000, 97), (400, 500)])
def test_views_of_every_size_say_something(size: tuple[int, int]) -> None:
    picture = np.random.default_rng(4).integers(0, 255, (*size, 3), dtype=np.uint8)

    assert np.isfinite(views.answers(picture)).all()


def test_a_lean_that_one_view_denies_is_less_likely() -> None:
    def likely(lean: float) -> np.ndarray:
        told = -0.5 * (LEANS - lean) ** 2
        return np.asarray(told - np.log(np.exp(told).sum()))

    agreed = views.evidence([2.0], np.stack([likely(2.0)] * 4))[0]
    denied = views.evidence([2.0], np.stack([*[likely(2.0)] * 3, likely(-1.0)]))[0]

    assert agreed["seen_varies"] == pytest.approx(0.0, abs=1e-9)
    assert agreed["seen_least"] == pytest.approx(agreed["seen"])
    assert denied["seen_varies"] > 1
    assert denied["seen_least"] == pytest.approx(agreed["seen"] - 4.5, abs=0.01)
    assert denied["seen"] < agreed["seen"]


def test_the_weights_are_small() -> None:
    assert WEIGHTS.stat().st_size < 150_000


def test_numpy_says_what_torch_says() -> None:
    torch = pytest.importorskip("torch")
    from tests.benchmarks.weighing_net import net, plain_weights

    torch.manual_seed(3)
    network = net()
    pictures = [cv2.resize(tilted(scene(seed=i), 2.0 * i), (384, 288)) for i in range(4)]
    told = np.stack([maps(np.asarray(picture, np.uint8)) for picture in pictures])
    network.train()
    network(torch.from_numpy(told))
    network.eval()
    with torch.no_grad():
        theirs = network(torch.from_numpy(told)).numpy()
    ours = np.stack([forward(one, plain_weights(network)) for one in told])

    assert theirs.std() > 0.01
    assert np.abs(ours - theirs).max() < 1e-4


def test_turning_the_votes_moves_the_answer() -> None:
    """Uprights of a level picture, moved by a degree, are those of a picture that leans by it."""
    columns = 24
    upright = np.zeros((columns, UPRIGHTS), np.float32)
    upright[:, UPRIGHT_REACH + 3] = 1
    profile = weighing.upright_shares(18, columns) @ upright.ravel()
    parallel = profile.reshape(weighing.MEETINGS.size, LEANS.size)[weighing.MEETINGS.size // 2]

    assert LEANS[parallel.argmax()] == 3.0
