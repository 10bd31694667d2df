"""The rules of the root conftest: when a skip is a failure, and what the list at the end says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def _run(folder: Path, test: str, **environment: str) -> tuple[int, str]:
    shutil.copy(ROOT / "conftest.py", folder)
    (folder / "test_one.py").write_text("import pytest\n" + test)
    for absent in ("torch", "onnxscript"):
        block = folder / "block" / f"{absent}.py"
        block.parent.mkdir(exist_ok=True)
        block.write_text(f"raise ModuleNotFoundError(\"No module named '{absent}'\", name='{absent}')\n")
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("RADIOLUCENT_", "PYTEST_"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), "test_one.py"],
        cwd=folder,
        env=inherited | {"PYTHONPATH": str(folder / "block")} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout


NEEDS_PEER = "def test_it():\n    pytest.skip('needs dciodvfy: run scripts/install-peers')\n"
NEEDS_IMAGES = "def test_it():\n    pytest.skip('needs real images: set RADIOLUCENT_DATA')\n"
NEEDS_TORCH = "pytest.importorskip('torch')\ndef test_it():\n    pass\n"
IMPORTS_ONNXSCRIPT = "import onnxscript\ndef test_it():\n    pass\n"


@pytest.mark.parametrize(
    ("test", "reason"),
    [
        (NEEDS_PEER, "1  needs dciodvfy: run scripts/install-peers"),
        (NEEDS_IMAGES, "1  needs real images: set RADIOLUCENT_DATA"),
        (NEEDS_TORCH, "1  needs torch: make torch"),
    ],
)
def test_a_skip_is_listed_at_the_end_with_the_way_to_get_it(tmp_path: Path, test: str, reason: str) -> None:
    code, output = _run(tmp_path, test)
    assert code in (0, 5), output
    assert reason in output.partition("skipped, and how to get it")[2]


@pytest.mark.parametrize("test", [NEEDS_PEER, NEEDS_TORCH])
def test_a_missing_peer_fails_where_peers_are_required(tmp_path: Path, test: str) -> None:
    code, output = _run(tmp_path, test, RADIOLUCENT_REQUIRE_PEERS="1")
    assert code in (1, 2), output
    assert "a failure, not a skip" in output


def test_missing_real_images_fail_only_where_their_folder_is_named(tmp_path: Path) -> None:
    assert _run(tmp_path, NEEDS_IMAGES, RADIOLUCENT_REQUIRE_PEERS="1")[0] == 0
    assert _run(tmp_path, NEEDS_IMAGES, RADIOLUCENT_DATA=str(tmp_path / "absent"))[0] == 1


def test_a_module_that_imports_an_absent_optional_package_is_skipped(tmp_path: Path) -> None:
    code, output = _run(tmp_path, IMPORTS_ONNXSCRIPT)
    assert code in (0, 5), output
    assert "1  needs torch: make torch" in output


@pytest.mark.parametrize("line", ["import numpy.not_there", "raise RuntimeError('run make torch')"])
def test_a_module_that_is_broken_for_another_reason_fails(tmp_path: Path, line: str) -> None:
    code, output = _run(tmp_path, f"{line}\ndef test_it():\n    pass\n")
    assert code == 2, output
