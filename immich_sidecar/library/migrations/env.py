"""Run by Alembic inside the process: migrates the connection that `library.database` hands over."""

from alembic import context
from sqlmodel import SQLModel

from immich_sidecar.library import tables  # noqa: F401 - fill the metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
