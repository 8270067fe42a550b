"""Everything that is measured in one photo, in one call."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from immich_sidecar.analysis.measure.exposure import Exposure, measure_exposure
from immich_sidecar.analysis.measure.horizon import Tilt, measure_tilt
from immich_sidecar.analysis.measure.kind import Kind, measure_kind
from immich_sidecar.analysis.measure.look import Look, fit_look
from immich_sidecar.analysis.measure.noise import Noise, measure_noise
from immich_sidecar.analysis.measure.sharpness import Sharpness, measure_sharpness
from immich_sidecar.analysis.measure.white_balance import Cast, measure_cast
from immich_sidecar.develop.probe import FileFacts, probe
from immich_sidecar.develop.proxy import Proxy, load_proxy

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Formats that keep drawn areas exactly.
_LOSSLESS = frozenset({"png", "bmp", "tiff"})


class Facts(BaseModel):
    """What the file says of itself, as far as advice depends on it."""

    model_config = ConfigDict(frozen=True)

    #: Format by content, as `jpeg` or `raw`.
    format: str
    #: Whether the file holds sensor values.
    is_raw: bool
    #: Width in pixels, after orientation.
    width: int
    #: Height in pixels, after orientation.
    height: int
    #: Maker of the camera.
    make: str | None = None
    #: Model of the camera.
    model: str | None = None
    #: ISO speed.
    iso: int | None = None
    #: The program that wrote the file, or the camera's firmware.
    software: str | None = None
    #: Whether the file carries a gain map for HDR screens.
    has_gain_map: bool = False
    #: Whether the file carries a video of the moment.
    is_motion_photo: bool = False
    #: Whether the file is marked as a panorama.
    is_panorama: bool = False


class Analysis(BaseModel):
    """What is in a photo; goes to JSON and back unchanged."""

    model_config = ConfigDict(frozen=True)

    facts: Facts
    kind: Kind
    tilt: Tilt
    exposure: Exposure
    cast: Cast
    noise: Noise
    sharpness: Sharpness
    #: RAW files only: how linear values become a picture.
    look: Look | None = None
    #: Seconds that each part took.
    seconds: dict[str, float] = {}

    def to_json(self) -> str:
        """The analysis as JSON with sorted keys."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Analysis":
        """Read what `to_json` wrote."""
        return cls.model_validate_json(text)


def analyse(path: Path, *, on_progress: Callable[[float], None] | None = None) -> Analysis:
    """Measure a photo file.

    Everything is measured on a picture of about 1000 pixels and a few pieces at full size; for RAW files the
    measurements describe the picture after its look (`Analysis.look`), so that advice means the same for both.

    Parameters
    ----------
    path
        The original; only read.
    on_progress
        Told the finished part 0..1.

    Raises
    ------
    PhotoError
        Whatever `probe` and `load_proxy` raise: the file is damaged, no photo, or not supported.
    """
    clock = _Clock(on_progress)
    facts = probe(path)
    clock.lap("probe", 0.05)
    proxy = load_proxy(path, facts=facts)
    clock.lap("decode", 0.4)
    look = fit_look(proxy.linear, proxy.embedded) if facts.is_raw else None
    display, linear = (proxy.display, proxy.linear) if look is None else developed(proxy.linear, look)
    if look is not None:
        clock.lap("look", 0.5)
    kind = _kind(proxy, facts, display)
    clock.lap("kind", 0.55)
    exposure = measure_exposure(display, linear)
    clock.lap("exposure", 0.6)
    cast = measure_cast(display, linear)
    clock.lap("white_balance", 0.7)
    tilt = measure_tilt(display)
    clock.lap("horizon", 0.9)
    noise = measure_noise(proxy.detail_patches, proxy.chroma_patches)
    sharpness = measure_sharpness(proxy.detail_patches)
    clock.lap("detail", 1.0)
    return Analysis(
        facts=Facts.model_validate(facts, from_attributes=True),
        kind=kind,
        tilt=tilt,
        exposure=exposure,
        cast=cast,
        noise=noise,
        sharpness=sharpness,
        look=look,
        seconds=clock.seconds,
    )


def developed(linear: "NDArray[np.float32]", look: Look) -> "tuple[NDArray[np.uint8], NDArray[np.float32]]":
    """A RAW proxy with its look: display values (uint8) and the same picture in linear sRGB 0..1.

    As the engine does it: the curve acts on the largest and the smallest channel, the middle one keeps its
    relative place between them.
    """
    import numpy as np

    x, y = np.array(look.tone_curve, np.float32).T
    exposed = np.maximum(linear, 0) * np.float32(2**look.baseline_ev)
    high, low = exposed.max(axis=2, keepdims=True), exposed.min(axis=2, keepdims=True)
    high_out, low_out = np.interp(high, x, y), np.interp(low, x, y)
    place = (exposed - low) / np.maximum(high - low, 1e-6)
    shown = np.clip(low_out + place * (high_out - low_out), 0, 1).astype(np.float32)
    encoded = np.where(shown <= 0.0031308, shown * 12.92, 1.055 * shown ** (1 / 2.4) - 0.055)
    return np.round(encoded * 255).astype(np.uint8), shown


def _kind(proxy: Proxy, facts: FileFacts, display: "NDArray[np.uint8]") -> Kind:
    if facts.is_raw:
        return Kind.PHOTO
    return measure_kind(
        display,
        size=(facts.width, facts.height),
        from_camera=facts.make is not None or facts.model is not None,
        lossless=facts.format in _LOSSLESS,
        software=facts.software,
    )


class _Clock:
    """Seconds of each part, and the share that is done."""

    def __init__(self, on_progress: Callable[[float], None] | None) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()
        self._on_progress = on_progress

    def lap(self, part: str, done: float) -> None:
        now = time.perf_counter()
        self.seconds[part] = round(now - self._last, 4)
        self._last = now
        if self._on_progress is not None:
            self._on_progress(done)
