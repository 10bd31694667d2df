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


def held_up(kind: type[threading.Event]) -> threading.Event:
    """An open checkpoint behind which the reader is held up, as on a machine with much to do."""

    class HeldUp(kind):  # type: ignore[misc, valid-type]
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
def test_a_reader_that_is_held_up_doesnt_take_the_answer(
    association: Any, kind: type[threading.Event], answered: bool
) -> None:
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


def test_a_reader_that_is_gone_isnt_waited_for_for_ever() -> None:
    checkpoint = Checkpoint()
    checkpoint.set()
    start = time.monotonic()
    checkpoint.clear()
    assert not checkpoint.is_set()
    assert 0.9 < time.monotonic() - start < 30


def test_a_checkpoint_holds_back_until_it_is_opened() -> None:
    checkpoint = Checkpoint()
    passed = threading.Thread(target=checkpoint.wait)
    passed.start()
    checkpoint.clear()
    assert passed.is_alive()
    checkpoint.set()
    passed.join(timeout=5)
    assert not passed.is_alive()
    assert not Checkpoint().wait(timeout=0.01)
