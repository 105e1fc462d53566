"""Identities of rows."""

import random
import threading
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from x0tta6bl4.core.store.ids import Ids, made_at


class Wall:
    """A wall clock that goes through the given times, then stands."""

    def __init__(self, *times):
        self.times = list(times)

    def now(self):
        return 0.0

    def utc(self):
        return self.times.pop(0) if len(self.times) > 1 else self.times[0]


def test_it_is_a_version_7_uuid_of_the_moment():
    text = Ids(Wall(1_800_000_000.123), random.Random(1))()
    identity = uuid.UUID(text)
    assert (identity.version, identity.variant) == (7, uuid.RFC_4122)
    assert made_at(text) == 1_800_000_000.123


@given(st.lists(st.floats(0, 4e9), min_size=2, max_size=40))
def test_it_only_grows_whatever_the_wall_clock_does(times):
    ids = Ids(Wall(*times), random.Random(1))
    made = [ids() for _ in range(len(times) + 5)]
    assert made == sorted(set(made))


def test_more_than_fit_into_one_millisecond_still_grow():
    ids = Ids(Wall(1e9), random.Random(1))
    made = [ids() for _ in range(10_000)]
    assert made == sorted(set(made))
    assert all(uuid.UUID(text).version == 7 for text in made)


def test_two_runs_with_one_seed_and_clock_differ_by_their_salt():
    assert Ids(Wall(1e9), random.Random(1), 1)() != Ids(Wall(1e9), random.Random(1), 2)()
    assert Ids(Wall(1e9), random.Random(1), 1)() == Ids(Wall(1e9), random.Random(1), 1)()


def test_threads_never_get_the_same():
    ids, made = Ids(Wall(1e9), random.Random(1)), []
    threads = [threading.Thread(target=lambda: made.extend(ids() for _ in range(500))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 2000


def test_only_a_version_7_has_a_time():
    with pytest.raises(ValueError, match="version 7"):
        made_at(str(uuid.UUID(int=5)))
