import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pynetdicom import AE, evt

from radiolucent.association import Checkpoint, keep_answers

VERIFICATION = "1.2.840.10008.1.1"


@pytest.fixture
def association() -> Iterator[Any]:
    """To a node on loopback that answers C-ECHO at once."""
    node = AE()
    node.add_supported_context(VERIFICATION)
    server = node.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_ECHO, lambda event: 0x0000)])
    ours = AE()
    ours.dimse_timeout = 2
    ours.add_requested_context(VERIFICATION)
    assert server is not None
    made = ours.associate("127.0.0.1", server.server_address[1])
    assert made.is_established
    try:
        yield made
    finally:
        made.abort()
        server.shutdown()


def held_up(kind: Any) -> Any:
    """An open checkpoint behind which the reader is held up, as on a machine with much to do."""

    class HeldUp(kind):
        def wait(self, timeout: float | None = None) -> bool:
            passed = bool(super().wait(timeout))
            time.sleep(0.3)
            return passed

    checkpoint = HeldUp()
    checkpoint.set()
    return checkpoint


@pytest.mark.parametrize(
    ("kind", "answered"), [(threading.Event, False), (Checkpoint, True)], ids=["pynetdicom's own", "ours"]
)
def test_a_reader_that_is_held_up_doesnt_take_the_answer(association: Any, kind: Any, answered: bool) -> None:
    association._reactor_checkpoint = held_up(kind)
    send = association.dimse.send_msg

    def send_and_be_held_up(*words: Any) -> None:
        send(*words)
        time.sleep(0.6)

    association.dimse.send_msg = send_and_be_held_up
    time.sleep(0.1)
    assert ("Status" in association.send_c_echo()) == answered


def test_an_association_that_keeps_its_answers_can_be_used_and_released(association: Any) -> None:
    keep_answers(association)
    assert [association.send_c_echo().Status for _ in range(20)] == [0] * 20
    association.release()
    assert association.is_released


def test_a_reader_that_was_let_go_late_doesnt_pass_a_checkpoint_that_was_closed_again() -> None:
    checkpoint, passes, done = Checkpoint(), [0], threading.Event()

    def read() -> None:
        while not done.is_set():
            checkpoint.wait()
            passes[0] += 1

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        checkpoint.clear()
        for _ in range(50):
            checkpoint.set()
            checkpoint.clear()
            before = passes[0]
            time.sleep(0.005)
            assert passes[0] == before
    finally:
        done.set()
        checkpoint.set()
        reader.join(timeout=5)


def test_a_reader_that_is_gone_isnt_waited_for_for_ever() -> None:
    checkpoint = Checkpoint()
    start = time.monotonic()
    checkpoint.clear()
    assert not checkpoint.is_set()
    assert 0.9 < time.monotonic() - start < 30


def test_a_checkpoint_holds_back_until_it_is_opened() -> None:
    checkpoint = Checkpoint()
    assert checkpoint.wait()
    waiting = threading.Timer(0.05, checkpoint.wait)
    waiting.start()
    checkpoint.clear()
    assert waiting.is_alive()
    assert not checkpoint.wait(timeout=0.01)
    checkpoint.set()
    waiting.join(timeout=5)
    assert not waiting.is_alive()
    assert checkpoint.is_set()
