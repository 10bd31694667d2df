"""How two studies lie to each other is kept beside the reading, and read back; a broken file is an error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from radiolucent.errors import UnreadableFile
from radiolucent.imaging.registration import Alignment
from radiolucent.pipeline.alignments import FILE, read_alignments, write_alignments


def an_alignment() -> Alignment:
    turn = np.eye(4)
    turn[:3, 3] = (1.25, -3.5, 1 / 3)
    return Alignment(to_current=turn, correlation=0.87, turn_degrees=0.0, shift_mm=3.7)


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    write_alignments(tmp_path, [{("1.2", "1.3"): an_alignment()}, {}])
    [(key, found)] = read_alignments(tmp_path).items()
    assert key == ("1.2", "1.3")
    assert np.allclose(found.to_current, an_alignment().to_current, atol=1e-9)
    assert found.note == an_alignment().note


def test_nothing_registered_leaves_no_file(tmp_path: Path) -> None:
    write_alignments(tmp_path, [{}])
    assert not (tmp_path / FILE).exists()
    assert read_alignments(tmp_path) == {}


@pytest.mark.parametrize(
    "text", ["", "[]", '{"pairs": [{}]}', '{"pairs": [{"current": "1", "prior": "2", "to_current": [[1, 2]]}]}']
)
def test_what_holds_no_alignments_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text, encoding="utf-8")
    with pytest.raises(UnreadableFile):
        read_alignments(tmp_path)
