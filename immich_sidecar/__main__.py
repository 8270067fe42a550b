"""`python -m immich_sidecar` and the `immich-sidecar` command."""

from immich_sidecar.cli import main

if __name__ == "__main__":
    main()
