"""Edges that meet on a horizon tell its lean; edges that run to one point are known for it."""

import numpy as np
import pytest

from immich_sidecar.analysis.measure.tilt.histograms import STEPS, meetings_on_horizon
from immich_sidecar.analysis.measure.tilt.lines import Segments
from immich_sidecar.analysis.measure.tilt.vanishing import FOCAL, vanishing


def pointing(points: list[tuple[float, float]], *, each: int = 60, seed: int = 1) -> Segments:
    """Segments all over a picture, as many at each of the points."""
    random = np.random.default_rng(seed)
    x, y = random.uniform(-0.5, 0.5, each * len(points)), random.uniform(-0.375, 0.375, each * len(points))
    to_x, to_y = np.repeat(points, each, axis=0).T - np.array([x, y])
    far = np.hypot(to_x, to_y)
    return Segments(x, y, to_x / far, to_y / far, np.full(x.size, 0.1), (0.5, 0.375))


def on_horizon(lean: float, height: float, direction: float) -> tuple[float, float]:
    """The point of a horizon in a direction, all in degrees but for the height in longer edges."""
    turn, along = np.radians(lean), FOCAL * np.tan(np.radians(direction))
    return (
        float(along * np.cos(turn) + height * np.sin(turn)),
        float(height * np.cos(turn) - along * np.sin(turn)),
    )


@pytest.mark.parametrize("lean", [-4.0, 0.0, 2.5])
def test_walls_seen_at_an_angle_meet_on_the_horizon_of_the_right_lean(lean: float) -> None:
    room = vanishing(pointing([on_horizon(lean, 0.1, -50), on_horizon(lean, 0.1, 40)]))
    said = {degrees: room.evidence(degrees, 0.0, 0.0) for degrees in (lean - 3, lean, lean + 3)}

    right = said.pop(lean)
    assert right["horizon_two"] > 0.7
    assert right["horizon_square"] > 0.7
    assert right["horizon_height"] == pytest.approx(0.1, abs=0.06)
    for wrong in said.values():
        assert wrong["horizon_two"] < right["horizon_two"] - 0.2
        assert wrong["horizon_cover"] < right["horizon_cover"]


def test_a_horizon_away_from_where_uprights_tell_it_counts_less() -> None:
    room = vanishing(pointing([on_horizon(0, 0.3, -50), on_horizon(0, 0.3, 40)]))
    fits = room.evidence(0.0, 0.3 / FOCAL**2, 1.0)
    misses = room.evidence(0.0, -0.3 / FOCAL**2, 1.0)

    assert fits["horizon_tied"] > misses["horizon_tied"] + 0.2
    assert fits["horizon_off"] < 0.06 < misses["horizon_off"]


def test_edges_of_a_road_are_known_to_run_to_its_end() -> None:
    lines = pointing([(0.3, -0.1)], each=400)
    road = vanishing(lines)
    # What looks level at a lean of four degrees are edges that meet at the end of the road.
    said = road.evidence(4.0, 0.0, 0.0)

    assert (road.x, road.y) == pytest.approx((0.3, -0.1), abs=0.04)
    assert road.share > 0.9
    assert said["meeting_level"] > 0.9
    assert said["meeting_side"] == pytest.approx(0.3, abs=0.04)


def test_no_segments_say_nothing_under_the_same_names() -> None:
    nothing = vanishing(pointing([(0.0, 0.0)], each=0)).evidence(1.0, 0.0, 0.0)

    assert set(nothing) == set(vanishing(pointing([(0.0, 0.0)])).evidence(1.0, 0.0, 0.0))
    assert not any(nothing.values())


def test_segments_are_counted_where_their_lines_cross_the_horizon() -> None:
    x, y = on_horizon(3.0, 0.05, 20)
    lines = pointing([(x, y)], each=1, seed=4)
    table = np.array([lines.x, lines.y, lines.dx, lines.dy, lines.length])
    counted = meetings_on_horizon(table, np.radians(3.0), np.array([0.05, 0.3]), focal=FOCAL, deviation=0.01)

    assert counted.shape == (2, STEPS)
    assert abs(int(counted[0].argmax()) - (20 + STEPS // 2)) <= 1
    assert counted[0].max() == pytest.approx(0.1, rel=0.2)
    assert abs(int(counted[1].argmax()) - (20 + STEPS // 2)) > 3
