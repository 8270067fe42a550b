"""Masks as text: lengths of runs down the columns of a grid, outside first, written as COCO's annotations write them.

From the third run on a length is written as its difference to the one before the last; numbers are cut into groups
of five bits, lowest first, of which each but the last is marked by a sixth, and 48 is added to make a character of
each. A number is negative where the highest of its bits is set.
"""

from collections.abc import Sequence

#: Columns and rows that a grid has at most; a mask that is softened along edges anyway needs no more.
LARGEST_GRID = 4096
_FIRST_CHARACTER, _GROUP, _MORE, _SIGN = 48, 5, 0x20, 0x10
#: Groups that a number has at most; more would be no length of a grid.
_MOST_GROUPS = 6


def written(runs: Sequence[int]) -> str:
    """Lengths of runs as text."""
    characters = []
    for place, length in enumerate(runs):
        number = length - runs[place - 2] if place > 2 else length
        while True:
            group = number & 0x1F
            number >>= _GROUP
            is_last = number == (-1 if group & _SIGN else 0)
            characters.append(chr(_FIRST_CHARACTER + (group if is_last else group | _MORE)))
            if is_last:
                break
    return "".join(characters)


def read(counts: str, width: int, height: int) -> tuple[int, ...]:
    """The lengths of runs that a text holds, which cover a grid of `width` columns and `height` rows.

    Raises
    ------
    ValueError
        If it is no such text, or its runs are negative or cover another number of cells.
    """
    if not (0 < width <= LARGEST_GRID and 0 < height <= LARGEST_GRID):
        raise ValueError(f"a grid has 1 to {LARGEST_GRID} columns and rows, not {width} x {height}")
    cells, covered = width * height, 0
    runs: list[int] = []
    number = groups = 0
    for character in counts:
        group = ord(character) - _FIRST_CHARACTER
        if not 0 <= group < 2 * _MORE or groups == _MOST_GROUPS:
            raise ValueError("the text holds no run lengths")
        number |= (group & 0x1F) << (_GROUP * groups)
        groups += 1
        if group & _MORE:
            continue
        if group & _SIGN:
            number -= 1 << (_GROUP * groups)
        length = number + (runs[-2] if len(runs) > 2 else 0)
        covered += length
        if length < 0 or covered > cells:
            raise ValueError("runs are negative or longer than the grid")
        runs.append(length)
        number = groups = 0
    if groups or covered != cells:
        raise ValueError(f"runs cover {covered} of {cells} cells")
    return tuple(runs)
