from __future__ import annotations

from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from radiolucent.cli.main import app


@pytest.fixture
def run() -> Callable[..., str]:
    """Run a command and check how it ends."""

    def command(*words: object, ends: int = 0) -> str:
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert result.exit_code == ends, f"{result.output}\n{result.exception!r}"
        return result.output

    return command
