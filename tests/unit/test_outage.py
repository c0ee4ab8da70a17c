import asyncio

from worker.limits import RECONNECT_DELAY_MAX_S, RECONNECT_DELAY_MIN_S
from worker.outage import Backoff


def delays(backoff: Backoff, count: int) -> list[float]:
    return [backoff.next_delay_s() for _ in range(count)]


def whole(count: int) -> list[float]:
    return [min(RECONNECT_DELAY_MIN_S * 2**index, RECONNECT_DELAY_MAX_S) for index in range(count)]


def test_delays_double_up_to_the_bound_with_jitter_from_a_half_to_the_whole() -> None:
    for _ in range(50):
        for delay_s, whole_s in zip(delays(Backoff(), 12), whole(12), strict=True):
            assert whole_s / 2 <= delay_s <= whole_s
    assert whole(12)[-1] == RECONNECT_DELAY_MAX_S


def test_two_workers_do_not_wait_in_step() -> None:
    assert delays(Backoff(), 5) != delays(Backoff(), 5)


def test_the_jitter_reaches_both_ends_of_its_range() -> None:
    shares = [Backoff().next_delay_s() / RECONNECT_DELAY_MIN_S for _ in range(500)]
    assert min(shares) < 0.6
    assert max(shares) > 0.9


def test_after_a_reset_the_shortest_delay_comes_first_again() -> None:
    backoff = Backoff()
    delays(backoff, 10)
    backoff.reset()
    assert backoff.next_delay_s() <= RECONNECT_DELAY_MIN_S


async def test_waiting_takes_the_next_delay() -> None:
    loop = asyncio.get_running_loop()
    backoff = Backoff()
    began = loop.time()
    await backoff.wait()
    assert loop.time() - began >= RECONNECT_DELAY_MIN_S / 2 - 0.01
    assert backoff.next_delay_s() >= RECONNECT_DELAY_MIN_S
