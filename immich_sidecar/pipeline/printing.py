"""Text and JSON that a command prints, with names of files whose bytes are no UTF-8."""

import json
import re
from typing import Any

#: What Python makes of bytes that are no UTF-8, and what Windows lets stand in a name.
_NO_TEXT = re.compile("[\ud800-\udfff]")


def printable(text: str) -> str:
    r"""Text as it can be written anywhere: a byte that is no UTF-8 is written `\xe9`."""
    return _NO_TEXT.sub(lambda found: _escape(found[0]), text)


def json_text(value: Any, **options: Any) -> str:
    """JSON that every reader takes: what of a text is no UTF-8 is escaped in it as by `printable`."""
    # Such characters stand in strings alone, where a backslash is written twice.
    text = json.dumps(value, ensure_ascii=False, **options)
    return _NO_TEXT.sub(lambda found: "\\" + _escape(found[0]), text)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
