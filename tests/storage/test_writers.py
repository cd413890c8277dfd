"""The queue of writers: first come, first served, and nobody is left behind."""

import threading
import time

import pytest

from alloc_service.storage.writers import WriterQueue, queue_of


def wait_until(queue: WriterQueue, waiting: int) -> None:
    until = time.monotonic() + 10
    while len(queue._tickets) < waiting:
        assert time.monotonic() < until
        time.sleep(0.001)


def test_writers_are_served_in_the_order_they_came() -> None:
    queue = WriterQueue()
    served: list[int] = []

    def write(number: int) -> None:
        assert queue.enter(10)
        served.append(number)
        queue.leave()

    assert queue.enter(10)
    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for number, thread in enumerate(threads):
        thread.start()
        wait_until(queue, number + 1)
    queue.leave()
    for thread in threads:
        thread.join()

    assert served == list(range(8))


def enter_elsewhere(queue: WriterQueue, patience: float) -> bool:
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(queue.enter(patience)))
    thread.start()
    thread.join()
    return answers[0]


def test_a_writer_who_waited_too_long_leaves_the_queue_whole() -> None:
    queue = WriterQueue()
    assert queue.enter(1)
    assert not enter_elsewhere(queue, 0.01)
    queue.leave()

    assert queue.enter(0.01)
    queue.leave()


def test_a_turn_that_comes_just_as_somebody_stops_waiting_is_passed_on() -> None:
    queue = WriterQueue()
    assert queue.enter(1)
    late = queue._draw_ticket()
    queue.leave()  # the turn is the late one's now
    queue._hand_back(late)

    assert queue.enter(0.01)


def test_a_thread_that_holds_the_turn_is_told_instead_of_waiting_for_itself() -> None:
    queue = WriterQueue()
    assert queue.enter(1)

    with pytest.raises(RuntimeError, match="inside another"):
        queue.enter(1)


def test_a_database_has_one_queue_in_a_process() -> None:
    assert queue_of("/a", 1) is queue_of("/a", 1)
    assert queue_of("/a", 1) is not queue_of("/b", 1)


def test_as_many_are_inside_as_there_are_places() -> None:
    queue = WriterQueue(places=2)
    inside, leave = threading.Event(), threading.Event()

    def stay() -> None:
        assert queue.enter(1)
        inside.set()
        leave.wait()
        queue.leave()

    staying = threading.Thread(target=stay)
    staying.start()
    inside.wait()
    assert queue.enter(1)
    assert not enter_elsewhere(queue, 0.01)
    leave.set()
    staying.join()

    assert enter_elsewhere(queue, 0.01)
