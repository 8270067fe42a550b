"""Everything that is measured in one photo, in one call."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from immich_sidecar.analysis.findings import Findings, Mask
from immich_sidecar.analysis.measure.exposure import Exposure, measure_exposure
from immich_sidecar.analysis.measure.glance import Glance, measure_glance
from immich_sidecar.analysis.measure.kind import Kind, measure_kind
from immich_sidecar.analysis.measure.lens import Lens, focal_length_35mm, measure_lens
from immich_sidecar.analysis.measure.light import Light, measure_light
from immich_sidecar.analysis.measure.look import Look, LookSource, developed, fit_look
from immich_sidecar.analysis.measure.noise import Noise, measure_noise
from immich_sidecar.analysis.measure.raw_white import RawWhite, balanced, measure_raw_white
from immich_sidecar.analysis.measure.sharpness import Sharpness, measure_sharpness
from immich_sidecar.analysis.measure.sky import measure_sky
from immich_sidecar.analysis.measure.tilt import Tilt, measure_tilt
from immich_sidecar.develop.optics import read_optics
from immich_sidecar.develop.probe import FileFacts, probe
from immich_sidecar.develop.proxy import Proxy, load_proxy

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Formats that keep drawn areas exactly.
_LOSSLESS = frozenset({"png", "bmp", "tiff"})


#: From this confidence on the white of a RAW file is put right before anything else is measured.
_SURE = 0.6


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
    #: Exposure time in seconds, and the f-number.
    exposure_seconds: float | None = None
    f_number: float | None = None
    #: Whether the camera took it as one of an exposure bracket.
    is_bracketed: bool = False
    #: The program that wrote the file, or the camera's firmware.
    software: str | None = None
    #: Whether the file carries a gain map for HDR screens.
    has_gain_map: bool = False
    #: Whether a developed JPEG keeps it, and if not, a few words about it that say why.
    keeps_gain_map: bool = False
    gain_map_problem: str = ""
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
    noise: Noise
    sharpness: Sharpness
    #: None in analyses that were stored before it was measured.
    light: Light | None = None
    #: The photo in very few pixels; None in analyses that were stored before there was one.
    glance: Glance | None = None
    #: A blue sky; None where none is sure.
    sky: Mask | None = None
    #: RAW files only: how linear values become a picture.
    look: Look | None = None
    #: RAW files only: what the camera seems to have got wrong about the light.
    raw_white: RawWhite | None = None
    #: The lens, where it is known.
    lens: Lens | None = None
    #: Focal length in mm as on 36 x 24 mm.
    focal_length_35mm: float | None = None
    #: What models found; None where none were asked, and in analyses that were stored before there were any.
    findings: Findings | None = None
    #: Seconds that each part took.
    seconds: dict[str, float] = {}

    def to_json(self) -> str:
        """The analysis as JSON with sorted keys."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Analysis":
        """Read what `to_json` wrote."""
        return cls.model_validate_json(text)


def analyse(
    path: Path,
    *,
    facts: FileFacts | None = None,
    proxy: Proxy | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> Analysis:
    """Measure a photo file.

    Everything is measured on a picture of about 1000 pixels and a few pieces at full size; for RAW files the
    measurements describe the picture after its look (`Analysis.look`) and, where the camera surely was wrong about the
    light, after that was put right, so that advice means the same for both.

    Parameters
    ----------
    path
        The original; only read.
    facts
        What `probe` says of it, where it has been asked already.
    proxy
        What `load_proxy` makes of it, where that has been done already.
    on_progress
        Told the finished part 0..1.

    Raises
    ------
    PhotoError
        Whatever `probe` and `load_proxy` raise: the file is damaged, no photo, or not supported.
    """
    clock = _Clock(on_progress)
    facts = facts or probe(path)
    clock.lap("probe", 0.05)
    optics = read_optics(path)
    lens = measure_lens(path, facts, optics)
    clock.lap("lens", 0.07)
    proxy = proxy or load_proxy(path, facts=facts)
    clock.lap("decode", 0.4)
    display, linear, look, white = proxy.display, proxy.linear, None, None
    if facts.is_raw:
        camera = proxy.camera
        white = measure_raw_white(linear, camera) if camera is not None else None
        clock.lap("raw_white", 0.45)
        look = fit_look(linear, proxy.embedded, camera.to_srgb if camera is not None else None)
        if camera is not None and white is not None and white.confidence >= _SURE:
            linear = balanced(linear, camera, white)
            look = look if look.source is LookSource.PAIRS else fit_look(linear, None, camera.to_srgb)
        look = look.model_copy(update={"white_balance": proxy.white_balance})
        display, linear = developed(linear, look)
        clock.lap("look", 0.5)
    kind = _kind(proxy, facts, display)
    clock.lap("kind", 0.55)
    exposure = measure_exposure(display, linear)
    clock.lap("exposure", 0.6)
    light = measure_light(linear)
    clock.lap("light", 0.7)
    glance = measure_glance(display)
    sky = measure_sky(display)
    clock.lap("glance", 0.72)
    tilt = measure_tilt(display)
    clock.lap("horizon", 0.9)
    luma, chroma = (proxy.detail_patches, proxy.chroma_patches) if look is None else _developed_patches(proxy, look)
    noise = measure_noise(luma, chroma, binned=look is not None and proxy.patch_scale < 1)
    sharpness = measure_sharpness(luma)
    clock.lap("detail", 1.0)
    return Analysis(
        facts=Facts.model_validate(facts, from_attributes=True),
        kind=kind,
        tilt=tilt,
        exposure=exposure,
        noise=noise,
        sharpness=sharpness,
        light=light,
        glance=glance,
        sky=sky,
        look=look,
        raw_white=white,
        lens=lens,
        focal_length_35mm=focal_length_35mm(facts, optics),
        seconds=clock.seconds,
    )


def _developed_patches(proxy: Proxy, look: Look) -> "tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]]":
    """The pieces of a RAW file with its look, as brightness and colour differences."""
    import numpy as np

    luma, chroma = [], []
    for brightness, difference in zip(proxy.detail_patches, proxy.chroma_patches, strict=True):
        blue, red = brightness + 1.772 * difference[..., 0], brightness + 1.402 * difference[..., 1]
        green = (brightness - 0.299 * red - 0.114 * blue) / 0.587
        code = np.clip(np.stack([red, green, blue], axis=-1), 0, 1)
        linear = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
        rgb = developed(linear.astype(np.float32), look)[0].astype(np.float32) / np.float32(255)
        y = (rgb @ np.array([0.299, 0.587, 0.114], np.float32)).astype(np.float32)
        luma.append(y)
        chroma.append(np.stack([(rgb[..., 2] - y) / 1.772, (rgb[..., 0] - y) / 1.402], axis=-1).astype(np.float32))
    return luma, chroma


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
