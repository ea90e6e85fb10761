"""`python -m bench.freshness`: what it costs a call to know that what it remembers still holds, in microseconds."""

import tempfile
import timeit
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import redis

from mcpweb import clock
from mcpweb.crypto import Keyring, hash_secret, mint_token, new_encryption_key
from mcpweb.instances.access import Access, TokenAccess
from mcpweb.instances.access_cache import AccessCache, _Entry
from mcpweb.instances.generations import Generations
from mcpweb.instances.propagation import Propagation

ROUNDS, TIMES = 7, 100_000


def main() -> None:
    """Time the look-up with all its checks beside one that believes what it finds; prints the medians."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        propagation = Propagation(Generations(folder / "generations"), redis.Redis(), folder)
        cache = AccessCache({}, Keyring.parse(new_encryption_key()), nullcontext, propagation)
        access, token, bearer = _remembered(cache)
        checked = _median(lambda: cache.get_again(access, token, bearer))
        believed = _median(lambda: cache._entries.get(access.instance_id))
    print(f"the check: {checked - believed:.2f} µs a look-up, two look-ups a call: {2 * (checked - believed):.2f} µs")


def _remembered(cache: AccessCache) -> tuple[Access, TokenAccess, str]:
    """An access that holds for as long as this runs."""
    bearer, token = mint_token(), TokenAccess(1, None)
    service: Any = None
    end = clock.utcnow() + timedelta(days=1)
    access = Access(uuid4(), 1, "bench", service, {}, "active", end, None, {hash_secret(bearer): token})
    propagation = cache._propagation
    propagation.generations.trust_until(clock.monotonic() + 3600)
    cache._database._answered_at = clock.monotonic() + 3600
    generation = propagation.generations.current(access.instance_id)
    cache._entries[access.instance_id] = _Entry(access, generation, clock.monotonic())
    assert cache.get_again(access, token, bearer) is access and cache.stats.hits == 1
    return access, token, bearer


def _median(look: Any) -> float:
    return sorted(timeit.timeit(look, number=TIMES) / TIMES * 1e6 for _ in range(ROUNDS))[ROUNDS // 2]


if __name__ == "__main__":
    main()
