"""`background`: light and colour of everything but the subject, whose mask it holds."""

from immich_sidecar.recipe.masked import masked

OPERATION = masked("background", outside=True)
