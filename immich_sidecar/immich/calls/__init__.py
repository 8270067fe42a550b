"""The calls to Immich by subject; `immich_sidecar.immich.api` puts them together."""
