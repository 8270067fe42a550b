"""`subject`: light and colour of whom or what the photo is about."""

from immich_sidecar.recipe.masked import masked

OPERATION = masked("subject")
