"""Batches go to the replica that knows their users, and nobody waits while a replica is idle."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers import request, requests

from audit.errors import TargetError
from audit.targets.routing import Router, prefixes


def waiting(router: Router) -> int:
    return len(router._waiting)


def ask_later(pool: ThreadPoolExecutor, router: Router, *batches: str):
    """Queue batches, one after the other, each of the users its letters name."""
    futures = []
    for batch in batches:
        before = waiting(router)
        futures.append(pool.submit(router.acquire, set(batch)))
        while waiting(router) == before:
            threading.Event().wait(0.001)
    return futures


@pytest.fixture
def pool():
    with ThreadPoolExecutor(8) as pool:
        yield pool


def test_a_prefix_is_the_wording_and_the_user() -> None:
    same = prefixes([request("a", history=3), request("a", history=4)])
    assert len(same) == 1
    assert len(prefixes([request("a"), request("a", instruction="Other words.")])) == 2
    assert prefixes(requests(3)) == prefixes(reversed(requests(3)))


def test_users_return_to_their_replica() -> None:
    router = Router(2)
    assert (router.acquire("ab"), router.acquire("cd")) == (0, 1)
    for free in (0, 1):
        router.release(free)
    assert (router.acquire("dc"), router.acquire("ba")) == (1, 0)


def test_a_replica_that_becomes_free_takes_its_own_users_first(pool: ThreadPoolExecutor) -> None:
    router = Router(2)
    router.acquire("ab"), router.acquire("cd")
    ab, new, cd = ask_later(pool, router, "ab", "xy", "cd")
    router.release(1)
    assert cd.result(5) == 1
    router.release(1)
    assert new.result(5) == 1  # users whom nobody knows, before those of the other replica
    router.release(0)
    assert ab.result(5) == 0


def test_an_idle_replica_takes_the_users_of_a_busy_one_and_keeps_them(pool: ThreadPoolExecutor) -> None:
    router = Router(2)
    assert router.acquire("ab") == 0
    assert router.acquire("ab") == 1
    for free in (0, 1):
        router.release(free)
    assert router.acquire("ab") == 1


def test_the_majority_of_a_batch_decides() -> None:
    router = Router(2)
    router.acquire("abc"), router.acquire("d")
    for free in (0, 1):
        router.release(free)
    assert router.home("abd") == 0
    assert router.home("ad") == 0
    assert router.home("dx") == 1
    assert router.home("xy") is None


def test_a_lost_replica_forgets_its_users_and_comes_back(pool: ThreadPoolExecutor) -> None:
    router = Router(1)
    router.acquire("ab")
    router.lose(0)
    assert router.home("ab") is None
    (again,) = ask_later(pool, router, "ab")
    assert not again.done()
    router.release(0)
    assert again.result(5) == 0


def test_when_no_replica_is_left_those_who_wait_are_told_why(pool: ThreadPoolExecutor) -> None:
    router = Router(2)
    router.acquire("a"), router.acquire("b")
    (waits,) = ask_later(pool, router, "c")
    router.lose(0)
    router.retire(0, "no memory on node 1")
    assert not waits.done()
    router.lose(1)
    router.retire(1, "no memory on node 2")
    with pytest.raises(TargetError, match="no memory on node 2"):
        waits.result(5)
    with pytest.raises(TargetError, match="no memory on node 2"):
        router.acquire("d")


def test_no_replica_is_ever_asked_two_batches_at_once(pool: ThreadPoolExecutor) -> None:
    router, lock, busy = Router(3), threading.Lock(), set()

    def ask(batch: int) -> None:
        replica = router.acquire({batch % 5})
        with lock:
            assert replica not in busy
            busy.add(replica)
        with lock:
            busy.remove(replica)
        router.release(replica)

    assert len(list(pool.map(ask, range(300)))) == 300
