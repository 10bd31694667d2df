"""Every error of the tree: documented, says what to do, raised somewhere, expected by a test, ends in an exit code."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest

import radiolucent
from radiolucent.cli.console import PROBLEM, WRONG_USE, exit_code
from radiolucent.errors import (
    AuditError,
    DeliveryError,
    EncodingError,
    EngineError,
    MissingExtra,
    RadiolucentError,
    SenderError,
    SetupError,
    UnreadableFile,
)

ROOT = Path(__file__).parent.parent
BRANCHES = (SenderError, SetupError, EngineError, EncodingError, DeliveryError, AuditError)


def _tree(kind: type[RadiolucentError]) -> set[type[RadiolucentError]]:
    """The class and all below it, as far as the modules that define them are loaded."""
    return {kind}.union(*(_tree(child) for child in kind.__subclasses__()))


def _load_all() -> None:
    for module in pkgutil.walk_packages(radiolucent.__path__, "radiolucent."):
        if not module.name.endswith("__main__"):
            with suppress(ModuleNotFoundError):  # parts of the torch extra; they define no errors
                importlib.import_module(module.name)


_load_all()
EVERY = sorted(_tree(RadiolucentError), key=lambda kind: kind.__name__)
# kept for the parts that deliver and audit; they have no code yet
RESERVED = (DeliveryError, AuditError)
LEAVES = [kind for kind in EVERY if not kind.__subclasses__() and kind not in RESERVED]

EACH = pytest.mark.parametrize("kind", EVERY, ids=lambda kind: str(kind.__name__))
EACH_LEAF = pytest.mark.parametrize("kind", LEAVES, ids=lambda kind: str(kind.__name__))


@cache
def _text(folder: str) -> str:
    files = sorted((ROOT / folder).rglob("*.py"))
    return "\n".join(path.read_text(encoding="utf-8") for path in files if path.name != Path(__file__).name)


@EACH
def test_an_error_says_in_its_docstring_when_it_is_raised(kind: type[RadiolucentError]) -> None:
    assert kind.__doc__
    assert kind.__doc__ != kind.__mro__[1].__doc__
    assert kind.__doc__.splitlines()[0].endswith(".")


@EACH
def test_an_error_belongs_to_exactly_one_of_those_who_must_act(kind: type[RadiolucentError]) -> None:
    if kind is not RadiolucentError:
        assert len([branch for branch in BRANCHES if issubclass(kind, branch)]) == 1


@EACH
def test_an_error_ends_in_the_exit_code_of_who_must_act(kind: type[RadiolucentError]) -> None:
    error = kind.__new__(kind)  # without its facts: the code depends on the class alone
    assert exit_code(error) == (WRONG_USE if issubclass(kind, SetupError) else PROBLEM)


@EACH_LEAF
def test_an_error_is_raised_somewhere(kind: type[RadiolucentError]) -> None:
    times = len(re.findall(rf"(?<!class )\b{kind.__name__}\(", _text("src")))
    assert times > 0, f"nothing raises {kind.__name__}"


@EACH_LEAF
def test_an_error_is_expected_by_a_test(kind: type[RadiolucentError]) -> None:
    times = len(re.findall(rf"raises\([^)]*\b{kind.__name__}\b", _text("tests")))
    assert times > 0, f"no test expects {kind.__name__}"


@pytest.mark.parametrize(
    "kind", [kind for kind in EVERY if issubclass(kind, UnreadableFile)], ids=lambda kind: str(kind.__name__)
)
def test_an_unreadable_file_is_named_with_its_tag_and_reason(kind: type[UnreadableFile]) -> None:
    error = kind("is missing: send the object again", path="study/1.dcm", tag="Rows")
    assert (error.path, error.tag, error.reason) == ("study/1.dcm", "Rows", "is missing: send the object again")
    assert str(error) == "study/1.dcm: Rows: is missing: send the object again"
    assert str(kind("is empty", path="1.dcm")) == "1.dcm: is empty"


def test_a_missing_extra_says_how_to_install_it() -> None:
    error = MissingExtra("training", extra="torch")
    assert error.extra == "torch"
    assert "pip install 'radiolucent[torch]'" in str(error)


@cache
def _raises_sections() -> list[tuple[str, str]]:
    """(where, name) of each exception that a docstring in src lists under Raises."""
    found = []
    for path in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
                continue
            section = re.search(r"Raises\n-+\n(.*?)(?=\n\n\w[^\n]*\n-+\n|\Z)", ast.get_docstring(node) or "", re.DOTALL)
            for line in section.group(1).splitlines() if section else []:
                if line and not line.startswith(" "):
                    found += [(f"{path.name}:{node.name}", name.strip()) for name in line.split(",")]
    return found


def test_every_error_that_a_docstring_promises_exists() -> None:
    builtin = {"ValueError", "TypeError", "KeyError", "IndexError", "OSError", "FileExistsError", "FileNotFoundError"}
    known = {kind.__name__ for kind in EVERY} | builtin
    assert [(where, name) for where, name in _raises_sections() if name not in known] == []
    assert len(_raises_sections()) > 10


def _handlers() -> list[tuple[str, ast.ExceptHandler]]:
    return [
        (f"{path.name}:{node.lineno}", node)
        for path in sorted((ROOT / "src").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler)
    ]


def test_no_error_is_swallowed_unseen() -> None:
    silent = [
        where
        for where, handler in _handlers()
        if handler.type is None
        or (ast.unparse(handler.type) in ("Exception", "BaseException") and _says_nothing(handler))
    ]
    assert silent == []


def _says_nothing(handler: ast.ExceptHandler) -> bool:
    return not any(isinstance(node, ast.Raise) or (isinstance(node, ast.Name) and node.id == handler.name)
                   for node in ast.walk(handler))  # fmt: skip
