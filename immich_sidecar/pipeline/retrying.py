"""How long to wait before something that may go better later is tried again."""

import random
from datetime import datetime, timedelta

from immich_sidecar.library.tables import now

#: Wait after the first failure, in seconds; doubled after each further one.
FIRST_WAIT = 5.0
#: Longest wait, in seconds.
LONGEST_WAIT = 3600.0
#: Attempts after which it is given up.
ATTEMPTS = 8
#: Part by which a wait may be longer or shorter, so that what failed together does not come back together.
SPREAD = 0.2
#: What waits for a person is tried again by itself once a day.
BLOCKED_FOR = timedelta(days=1)
#: Nothing waits as long: what is due later still was written down while the clock was wrong.
NEVER_AS_LONG = timedelta(days=2)


def wait_after(attempts: int) -> float:
    """Seconds to wait after that many failed attempts (1, 2, ...)."""
    wait = FIRST_WAIT * 2.0 ** min(max(attempts, 1) - 1, 30)
    return float(min(LONGEST_WAIT, wait * random.uniform(1 - SPREAD, 1 + SPREAD)))  # noqa: S311  no secret


def due_after(attempts: int) -> datetime:
    """When to try again after that many failed attempts."""
    return now() + timedelta(seconds=wait_after(attempts))
