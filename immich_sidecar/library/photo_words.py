"""The words that photos can be found by without any model: file name, tags, names and description."""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.library.tables import PhotoRow, PhotoWordsRow

#: Letters of one photo's words that are kept.
MOST_LETTERS = 4000
#: Words of a question that count; each has to occur.
MOST_WORDS = 12


async def put(session: AsyncSession, photo: PhotoRow) -> None:
    """Bring the words of a photo up to date with its row; to be called when its name or its findings change."""
    words = words_of(photo)
    row = await session.get(PhotoWordsRow, (photo.owner_id, photo.sha256))
    if row is None:
        row = PhotoWordsRow(owner_id=photo.owner_id, photo=photo.sha256, words=words, created_at=photo.created_at)
    elif row.words == words:
        return
    row.words = words
    session.add(row)


async def search(session: AsyncSession, owner_id: str, text: str, *, limit: int) -> list[str]:
    """SHA-256 of the owner's photos in whose words every word of the text occurs, newest first."""
    wanted = text.casefold().split()[:MOST_WORDS]
    if not wanted:
        return []
    query = (
        select(PhotoWordsRow.photo)
        .where(
            col(PhotoWordsRow.owner_id) == owner_id,
            *(func.instr(col(PhotoWordsRow.words), word) > 0 for word in wanted),
        )
        .order_by(col(PhotoWordsRow.created_at).desc(), col(PhotoWordsRow.photo))
        .limit(limit)
    )
    return list((await session.exec(query)).all())


def words_of(photo: PhotoRow) -> str:
    """Everything that a photo can be found by, in small letters."""
    return "\n".join((photo.file_name, *_found(photo.analysis or {}))).casefold()[:MOST_LETTERS]


def _found(analysis: Mapping[str, Any]) -> Iterator[str]:
    """What models said; of rows as they are, whoever wrote them."""
    findings = analysis.get("findings") or {}
    seen = set()
    for kind, name in (("tags", "word"), ("objects", "label"), ("faces", "name")):
        for item in findings.get(kind) or ():
            word = str(item.get(name) or "")
            if word and word not in seen:
                seen.add(word)
                yield word
    yield str((findings.get("words") or {}).get("description") or "")
