"""Threads of a cluster that wait for each other: a deadlock is known at once, and only a deadlock is one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.layout.types import BufferType
from llmc.dialects.tile.machine import Cluster, Cta, Runners
from llmc.dialects.tile.semantics import run_kernel
from tile_kernels import start
from xdsl.dialects.builtin import f32

SOON = 20.0
"""Seconds: far more than a deadlock takes to be known on a busy machine, and less than any wait for one would be."""


def test_a_deadlock_is_found_at_once_and_says_what_is_waited_for() -> None:
    runners, begin = Runners(), time.monotonic()
    waiting: list[Callable[[], None]] = [lambda: runners.wait(lambda: "for Godot", lambda: False, None) for _ in range(3)]
    with pytest.raises(RuntimeError, match="deadlock: for Godot"):
        runners.side_by_side(waiting)
    assert time.monotonic() - begin < SOON
    assert runners.running == 1


def test_whoever_waits_is_released_when_another_fails() -> None:
    runners, begin = Runners(), time.monotonic()

    def fail() -> None:
        raise ValueError("first")

    with pytest.raises(ValueError, match="first"):
        runners.side_by_side([fail, lambda: runners.wait(lambda: "for the other", lambda: False)])
    assert time.monotonic() - begin < SOON


def test_one_that_works_for_long_is_waited_for() -> None:
    runners, done = Runners(), threading.Event()

    def work() -> None:
        time.sleep(0.5)
        done.set()

    runners.side_by_side([work, *(lambda: runners.wait(lambda: "for the work", done.is_set) for _ in range(2))])


@pytest.mark.parametrize("guarded", [True, False])
def test_turns_that_are_taken_in_order_are_no_deadlock(guarded: bool) -> None:
    runners, change, turn, threads = Runners(), threading.Condition(), [0], 4

    def play(who: int) -> None:
        for lap in range(50):
            mine = lap * threads + who
            if not guarded:
                runners.wait(lambda: f"for turn {mine}", lambda: turn[0] == mine)
                turn[0] += 1
                continue
            with change:
                runners.wait(lambda: f"for turn {mine}", lambda: turn[0] == mine, change)
                turn[0] += 1
                change.notify_all()

    runners.side_by_side([lambda who=who: play(who) for who in range(threads)])
    assert turn == [50 * threads]


def test_a_cluster_meets_as_often_as_it_likes_and_not_without_one_of_its_ctas() -> None:
    def cluster_of(meetings: list[int]) -> None:
        cluster = Cluster()
        cluster.ctas = [Cta((rank, 0, 0), 1, cluster) for rank in range(len(meetings))]
        cluster.runners.side_by_side([lambda n=n: [cluster.meet() for _ in range(n)] for n in meetings])

    cluster_of([20, 20, 20])
    with pytest.raises(RuntimeError, match="deadlock: not all CTAs of the cluster come to its barrier"):
        cluster_of([3, 3, 2])


def test_a_kernel_that_waits_for_nobody_ends_at_once() -> None:
    b = start("k", [BufferType.of([128], f32)], ["w"])
    b.mbarrier_wait(b.mbarriers(1, 1), 0, 0)
    begin = time.monotonic()
    with pytest.raises(LlmcError, match="deadlock: mbarrier 0 never completes a phase of parity 0"):
        run_kernel(b.finish(), [np.zeros(128, np.float32)], {})
    assert time.monotonic() - begin < SOON
