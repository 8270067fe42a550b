"""Slowing down whoever guesses."""

import hashlib
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable

from aiohttp import web

#: Failures of one address that cost no waiting.
FREE_ATTEMPTS = 4
#: The same of one account: its user must not be kept out by others for long.
FREE_ATTEMPTS_OF_ACCOUNT = 10
#: Longest waiting time after a failure, in seconds.
MAX_WAIT = 60.0
#: Addresses and accounts whose failures are remembered.
MAX_ADDRESSES = 10_000


class Attempts:
    """Slows guessing: after a few failures an address waits, twice as long each time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait(self, who: str) -> float:
        """Seconds that an address or account has to wait before its next attempt; 0: go on."""
        return max(0.0, self._failures.get(who, (0, 0.0))[1] - self._clock())

    def check(self, *who: str) -> None:
        """Let them go on.

        Raises
        ------
        web.HTTPTooManyRequests
            If one of them has to wait.
        """
        if wait := max((self.wait(name) for name in who), default=0.0):
            raise too_many(wait)

    def failed(self, who: str, free: int = FREE_ATTEMPTS) -> None:
        """Count a failure; the first `free` ones cost no waiting."""
        count = self._failures.pop(who, (0, 0.0))[0] + 1
        delay = 0.0 if count <= free else min(MAX_WAIT, 2.0 ** min(count - free, 20))
        self._failures[who] = (count, self._clock() + delay)
        while len(self._failures) > MAX_ADDRESSES:
            self._failures.popitem(last=False)

    def succeeded(self, *who: str) -> None:
        """Forget the failures of an address or account."""
        for name in who:
            self._failures.pop(name, None)


ATTEMPTS = web.AppKey("attempts", Attempts)


def attempts_of(request: web.Request) -> Attempts:
    """The failures of this service."""
    return request.config_dict[ATTEMPTS]


def account(email: str) -> str:
    """What the failures of an account are counted under."""
    return f"account {hashlib.sha256(email.strip().casefold().encode('utf-8', 'surrogatepass')).hexdigest()}"


def same_password(given: str, password: str) -> bool:
    """Compare in a time that does not depend on where the two differ, nor on their lengths."""
    one, other = (hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in (given, password))
    return hmac.compare_digest(one, other)


def too_many(wait: float) -> web.HTTPTooManyRequests:
    """The answer to who guesses too fast."""
    seconds = max(1, round(wait))
    return web.HTTPTooManyRequests(
        text=f"Too many wrong attempts. Try again in {seconds} seconds.", headers={"Retry-After": str(seconds)}
    )
