"""How a camera turned its RAW data into the picture it shows."""

from immich_sidecar.analysis.measure.look.look import Look, LookSource, developed, fit_look

__all__ = ["Look", "LookSource", "developed", "fit_look"]
