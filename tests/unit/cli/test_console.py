"""How a command ends: its exit code, its one line of error, and JSON alone on stdout."""

import json

import pytest
import typer

from radiolucent.cli.console import errors_to_exit, exit_code, print_json
from radiolucent.errors import (
    AuditError,
    DeliveryError,
    EncodingError,
    EngineError,
    MissingExtra,
    NothingToRead,
    OutputExists,
    RadiolucentError,
    SenderError,
    SetupError,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SenderError("x"), 1),
        (NothingToRead("x"), 1),
        (EngineError("x"), 1),
        (EncodingError("x"), 1),
        (DeliveryError("x"), 1),
        (AuditError("x"), 1),
        (SetupError("x"), 2),
        (OutputExists("x"), 2),
        (MissingExtra("training", extra="torch"), 2),
    ],
)
def test_who_must_act_decides_the_exit_code(error: RadiolucentError, code: int) -> None:
    assert exit_code(error) == code
    with pytest.raises(typer.Exit) as stop, errors_to_exit():
        raise error
    assert stop.value.exit_code == code


def test_an_error_is_one_line_on_stderr_and_none_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), errors_to_exit():
        raise SenderError("a.dcm: [bold]PixelData[/bold]: the file ends early; send it again")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == "error: a.dcm: [bold]PixelData[/bold]: the file ends early; send it again\n"


def test_an_error_that_is_not_ours_is_not_swallowed() -> None:
    with pytest.raises(ZeroDivisionError), errors_to_exit():
        raise ZeroDivisionError


def test_json_output_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"finding": "Hämorrhagie", "values": [1.5, None]})
    assert json.loads(capsys.readouterr().out) == {"finding": "Hämorrhagie", "values": [1.5, None]}


def test_a_full_disk_is_one_line_and_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as stop, errors_to_exit():
        raise OSError(28, "No space left on device", "out/report.html")
    assert stop.value.exit_code == 2
    assert capsys.readouterr().err.splitlines() == ["error: out/report.html: No space left on device"]


def test_a_name_from_outside_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), errors_to_exit():
        raise SenderError("a\x1b[31m\x9bb.dcm: not read")
    assert capsys.readouterr().err == "error: a?[31m?b.dcm: not read\n"
