"""Outlines of what lies in a box or around a point: SAM 2.1 through the `sam2` package, Meta's own code."""

from pathlib import Path
from typing import Any

from immich_sidecar.analysis.models import checkpoint
from immich_sidecar.analysis.models.loading import give_memory_back, reading_weights
from immich_sidecar.analysis.models.model import Device, ModelFiles
from immich_sidecar.analysis.models.segmentation import Sam

#: Shape of the network where the entry names none; `sam2` brings these files.
USUAL_CONFIG = "configs/sam2.1/sam2.1_hiera_t.yaml"
#: What the package calls postprocessing: one mask that is not stable is replaced by the best of three.
STABILITY = {
    "dynamic_multimask_via_stability": True,
    "dynamic_multimask_stability_delta": 0.05,
    "dynamic_multimask_stability_thresh": 0.98,
}
#: Mean and deviation of ImageNet's channels, which the package's own transforms use.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Sam2Segmenter(Sam):
    """SAM 2.1 as the package builds it; its part `weights` is a `.pt` file, of which only tensors are read.

    Options of its entry: `config`, the shape of the network as the package names it
    (`configs/sam2.1/sam2.1_hiera_t.yaml`).
    """

    def __init__(self, files: ModelFiles) -> None:
        super().__init__(files)
        self._config = str(files.options.get("config", USUAL_CONFIG))
        self._mean, self._deviation = MEAN, DEVIATION
        self._model: Any = None

    def _weights(self) -> Path:
        weights = self.files.files.get("weights", self.files.folder / "weights.pt")
        checkpoint.require(self.files, weights)
        return weights

    def _parameters(self) -> int:
        # Kept in single precision, and little else is in the file.
        return self._weights().stat().st_size // 4

    def _load(self, device: Device) -> None:
        weights = self._weights()
        with reading_weights(self.files):
            import torch

            model = _built(self._config)
            held = torch.load(weights, map_location="cpu", weights_only=True)
            if not isinstance(held, dict) or "model" not in held:
                raise checkpoint.damaged(self.files, "it holds no weights of SAM 2")
            model.load_state_dict(held["model"])
            model.image_encoder.to(checkpoint.half(device))
            self._side = int(model.image_size)
            self._model = model.eval().to(device.torch_name)

    def _unload(self) -> None:
        self._model = None
        give_memory_back(self.device)

    def _features(self, pixels: Any) -> list[list[Any]]:
        model = self._model
        encoder = model.image_encoder
        levels = [level.float() for level in encoder(pixels.to(next(encoder.parameters()).dtype))["backbone_fpn"]]
        if model.use_high_res_features_in_sam:
            levels[0] = model.sam_mask_decoder.conv_s0(levels[0])
            levels[1] = model.sam_mask_decoder.conv_s1(levels[1])
        levels = levels[-model.num_feature_levels :]
        if model.directly_add_no_mem_embed:
            levels[-1] = levels[-1] + model.no_mem_embed.view(1, -1, 1, 1)
        return [[level[place : place + 1] for level in levels] for place in range(len(pixels))]

    def _answers(self, features: list[Any], boxes: Any, points: Any) -> tuple[Any, Any]:
        import torch

        model = self._model
        # The package takes a box for two points of kinds of their own, its corners.
        places = points[:, None] if boxes is None else boxes.reshape(-1, 2, 2)
        kinds = torch.tensor([1] if boxes is None else [2, 3], device=places.device).expand(len(places), -1)
        sparse, dense = model.sam_prompt_encoder(points=(places, kinds), boxes=None, masks=None)
        logits, fits, _, _ = model.sam_mask_decoder(
            image_embeddings=features[-1],
            image_pe=model.sam_prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=boxes is None,
            repeat_image=len(places) > 1,
            high_res_features=features[:-1],
        )
        return logits, fits


def _built(config: str) -> Any:
    """The network of a shape that the package brings, with the weights that chance gives it."""
    from importlib.resources import files as resources

    import sam2  # noqa: F401 - before hydra, whose absence it would tell in other words
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    path = Path(config)
    shape = path if path.is_absolute() else Path(str(resources("sam2").joinpath(config)))
    settings = OmegaConf.load(shape).model
    for name, value in STABILITY.items():
        OmegaConf.update(settings, f"sam_mask_decoder_extra_args.{name}", value, force_add=True)
    OmegaConf.resolve(settings)
    return instantiate(settings, _recursive_=True)
