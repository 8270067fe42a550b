# syntax=docker/dockerfile:1
ARG PYTHON=3.12

FROM python:${PYTHON}-slim-bookworm AS build
# Anything but empty: with the libraries of models, about 6 GB larger.
ARG AI=
# Address of another index for torch and torchvision, such as PyTorch's own for processors alone or for ROCm.
ARG TORCH_INDEX=
RUN apt-get update \
    && apt-get install -y --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
# The browser library first, held to its SHA-512; then the wheel that carries it, then everything into one folder.
RUN make static/vendor/htmx.min.js VENV=/tmp/tools \
    && python -m venv /opt/sidecar \
    && if [ -n "$AI" ] && [ -n "$TORCH_INDEX" ]; then \
        /opt/sidecar/bin/pip install --no-cache-dir --index-url "$TORCH_INDEX" torch torchvision; \
    fi \
    && /opt/sidecar/bin/pip install --no-cache-dir ".${AI:+[ai]}" \
    && if [ -n "$AI" ]; then make ai-apart VENV=/opt/sidecar; fi

FROM python:${PYTHON}-slim-bookworm
LABEL org.opencontainers.image.title="immich-sidecar" \
      org.opencontainers.image.licenses="AGPL-3.0-or-later"
COPY --from=build /opt/sidecar /opt/sidecar
ENV PATH=/opt/sidecar/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    SIDECAR_DATA_DIR=/data \
    SIDECAR_HOST=0.0.0.0 \
    SIDECAR_PORT=2380 \
    NUMBA_CACHE_DIR=/cache/numba \
    XDG_CACHE_HOME=/cache \
    HOME=/tmp \
    PUID=1000 \
    PGID=1000
# Started as root it gives the two folders to PUID:PGID and becomes that user; started as anyone else it stays so.
COPY --chmod=755 <<'ENTRYPOINT' /usr/local/bin/entrypoint
#!/bin/sh
set -eu
# An empty TZ would mean UTC and hide the mounted /etc/localtime.
[ -n "${TZ:-}" ] || unset TZ
if [ "$(id -u)" = 0 ]; then
    mkdir -p /data /cache
    for folder in /data /cache; do
        if [ "$(stat -c %u:%g "$folder")" != "$PUID:$PGID" ]; then
            chown -R "$PUID:$PGID" "$folder" || echo "cannot give $folder to $PUID:$PGID; going on" >&2
        fi
    done
    exec setpriv --reuid="$PUID" --regid="$PGID" --clear-groups "$@"
fi
exec "$@"
ENTRYPOINT
RUN mkdir -p /data /cache && chown 1000:1000 /data /cache
VOLUME ["/data", "/cache"]
EXPOSE 2380
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["immich-sidecar", "health"]
ENTRYPOINT ["entrypoint"]
CMD ["immich-sidecar", "run"]
