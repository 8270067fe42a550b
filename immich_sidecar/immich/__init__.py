"""Everything that talks to Immich, on the generated client."""
