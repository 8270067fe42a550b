"""`sky`: light and colour of the sky."""

from immich_sidecar.recipe.masked import masked

OPERATION = masked("sky")
