"""What is done with a version between `stacked` and `marked`, and in which order."""

from immich_sidecar.pipeline.publish_annotations import annotate, follow_albums
from immich_sidecar.pipeline.publish_steps import Step, albums, carry_over, mark, retire

#: `annotate` waits for Immich to have read the file, so that what needs no waiting comes before it. `retire` looks at
#: the mark and at the albums, and comes last.
AFTER_STACKED: tuple[Step, ...] = (
    carry_over,
    mark,
    albums,
    follow_albums,
    annotate,
    retire,
)
