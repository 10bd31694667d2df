"""One more worker: refused where no gateway keeps images."""

from pathlib import Path

from typer.testing import CliRunner

from radiolucent.cli.main import app


def test_a_worker_without_a_gateways_folder_is_refused(tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text(f'data_folder = "{tmp_path / "data"}"\n', encoding="utf-8")
    result = CliRunner().invoke(app, ["work", "--settings", str(settings)])
    assert result.exit_code == 2
    assert "start it, or mount its folder" in result.stderr
