from typing import Literal

SearchOrder = Literal["asc", "desc"]

SEARCH_ORDER_VALUES: set[SearchOrder] = {
    "asc",
    "desc",
}


def check_search_order(value: str) -> SearchOrder:
    if value in SEARCH_ORDER_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {SEARCH_ORDER_VALUES!r}")
