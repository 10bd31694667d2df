"""The rules that keep the tree as it is drawn in ARCHITECTURE.md: layers, fences, cycles, first lines, sizes."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src"
PACKAGE = "radiolucent"

# highest first; a layer may import the ones below it, and packages of one layer may not import each other
LAYERS: tuple[tuple[str, ...], ...] = (
    ("__main__",),
    ("cli",),
    ("web",),
    ("app",),
    ("pipeline", "training"),
    ("rollout",),
    ("monitor",),
    ("evaluate",),
    ("ingest", "explain", "results", "store"),
    ("engines",),
    ("audit",),
    ("findings",),
    ("phantom",),
    ("imaging",),
    ("settings", "logs", "association"),
    ("errors",),
)

# third-party package → the only places that may import it
FENCES: dict[str, tuple[str, ...]] = {
    "torch": (
        "engines.network",
        "engines.features",
        "engines.lite",
        "engines.runtime",
        "explain.compiler",
        "explain.attribution",
        "training",
    ),
    "onnx": ("engines.runtime", "explain.compiler", "training"),
    "onnxscript": ("training",),
    "timm": ("explain.compiler",),
    "monai": ("explain.compiler",),
    "safetensors": ("explain.compiler",),
    "openvino": ("explain.compiler",),
    "captum": ("explain.attribution",),
    "sklearn": ("training", "evaluate", "explain.methods"),
    "shap": ("explain.methods",),
    "lime": ("explain.methods",),
    "quantus": (),
    "torchcam": (),
    "onnxruntime": ("engines.runtime", "training", "explain.compiler"),
    "highdicom": ("results",),
    "fhir": ("results",),
    "hl7": (),
    "hl7apy": (),
    "jinja2": ("results", "findings.narrative", "web"),
    "pynetdicom": ("ingest.dimse_peer", "ingest.pacs_dimse", "ingest.worklist", "results.destinations"),
    "httpx": ("ingest", "results.destinations"),
    "httpx2": ("web.single_sign_on",),
    "SimpleITK": ("imaging.registration",),
    "sqlalchemy": ("store",),
    "alembic": ("store",),
    "argon2": ("store.people",),
    "authlib": ("web.single_sign_on",),
    "joserfc": ("web.single_sign_on",),
    "fastapi": ("web",),
    "starlette": ("web",),
    "uvicorn": ("web", "app"),
    "dbos": ("pipeline.workflows", "app"),
    "typer": ("cli",),
    "rich": ("cli",),
    "click": (),
    "pytest": (),
}

# these need the torch extra as soon as they are imported; all other modules must not
NEEDS_TORCH = (
    "engines.network",
    "engines.features",
    "engines.lite",
    "explain.attribution",
    "explain.compiler",
    "training",
)
HEAVY = ("torch", "onnx", "onnxscript", "captum", "sklearn", "shap", "lime")
SLOW = ("SimpleITK", "highdicom", "fhir", "onnxruntime", "skimage", "scipy", "pydicom", *HEAVY)
LONGEST_FILE = 400


@dataclass(frozen=True, kw_only=True)
class Import:
    """One import statement: the dotted name that it names, its line, and whether it runs when the module loads."""

    target: str
    line: int
    at_load: bool


def _name(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def _modules() -> dict[str, Path]:
    return {_name(path): path for path in sorted(SOURCE.rglob("*.py"))}


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def _walk(node: ast.AST, at_load: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(target=alias.name, line=child.lineno, at_load=at_load) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"line {child.lineno}: a relative import"
            for alias in child.names:
                longer = f"{child.module}.{alias.name}"
                target = longer if longer in _modules() else str(child.module)
                yield Import(target=target, line=child.lineno, at_load=at_load)
        else:
            inner = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or _is_type_checking(child)
            yield from _walk(child, at_load and not inner)


@cache
def _imports(module: str) -> tuple[Import, ...]:
    return tuple(_walk(ast.parse(_modules()[module].read_text(encoding="utf-8")), True))


def _layer(module: str) -> int | None:
    """Index of the module's layer; None for the package itself, which holds the version alone."""
    if module == PACKAGE:
        return None
    part = module.removeprefix(f"{PACKAGE}.").split(".")[0]
    for index, parts in enumerate(LAYERS):
        if part in parts:
            return index
    raise AssertionError(f"{module}: {part} has no layer in tests/test_architecture.py")


def _within(module: str, places: tuple[str, ...]) -> bool:
    return any(module == f"{PACKAGE}.{place}" or module.startswith(f"{PACKAGE}.{place}.") for place in places)


EVERY_MODULE = pytest.mark.parametrize("module", sorted(_modules()))


@EVERY_MODULE
def test_a_module_imports_only_lower_layers(module: str) -> None:
    wrong = []
    for found in _imports(module):
        if found.target.split(".")[0] != PACKAGE or found.target == PACKAGE:
            continue
        here, there = _layer(module), _layer(found.target)
        same_package = module.split(".")[1:2] == found.target.split(".")[1:2]
        if here is None or (not same_package and (there is None or there <= here)):
            wrong.append(f"{_modules()[module].name}:{found.line} imports {found.target}")
    assert wrong == []


@EVERY_MODULE
def test_a_fenced_package_is_imported_only_inside_its_fence(module: str) -> None:
    wrong = []
    for found in _imports(module):
        top = found.target.split(".")[0]
        if top in FENCES and not _within(module, FENCES[top]):
            wrong.append(f"{_modules()[module].name}:{found.line} imports {found.target}")
    assert wrong == []


@EVERY_MODULE
def test_the_torch_extra_is_imported_late_outside_its_own_files(module: str) -> None:
    if _within(module, NEEDS_TORCH):
        return
    at_load = [found for found in _imports(module) if found.at_load]
    wrong = [found.target for found in at_load if found.target.split(".")[0] in HEAVY]
    wrong += [found.target for found in at_load if _within(found.target, NEEDS_TORCH)]
    assert wrong == []


@EVERY_MODULE
def test_the_first_line_of_a_module_says_what_it_knows(module: str) -> None:
    docstring = ast.get_docstring(ast.parse(_modules()[module].read_text(encoding="utf-8")))
    assert docstring
    assert len(docstring.splitlines()[0].split()) >= 2
    assert _modules()[module].read_text(encoding="utf-8").removeprefix("r").startswith('"""')


@pytest.mark.parametrize(
    "path", sorted(path for folder in ("src", "tests", "bench") for path in (ROOT / folder).rglob("*.py"))
)
def test_no_file_is_longer_than_the_house_allows(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE


@EVERY_MODULE
def test_no_module_has_a_name_that_says_nothing(module: str) -> None:
    assert not {"utils", "util", "helpers", "helper", "common", "manager", "info", "misc"} & set(module.split("."))


def _cycle_from(start: str, graph: dict[str, set[str]]) -> list[str]:
    """A path start → … → start in the graph, or an empty list."""
    paths, seen = [[start]], {start}
    while paths:
        path = paths.pop()
        for following in sorted(graph[path[-1]]):
            if following == start:
                return [*path, start]
            if following not in seen:
                seen.add(following)
                paths.append([*path, following])
    return []


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {module: {found.target for found in _imports(module)} & set(_modules()) - {module} for module in _modules()}
    cycles = [cycle for module in graph if (cycle := _cycle_from(module, graph))]
    assert cycles == []


def test_every_layer_that_the_table_names_exists() -> None:
    parts = {module.split(".")[1] for module in _modules() if "." in module}
    assert {part for layer in LAYERS for part in layer} - parts <= {"__main__"}
    assert parts <= {part for layer in LAYERS for part in layer}


_BLOCK = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
"""


def _loaded_after(statements: str, blocked: tuple[str, ...] = ()) -> set[str]:
    """Top-level packages in `sys.modules` after `statements` ran in a fresh interpreter without `blocked`."""
    script = _BLOCK.format(blocked=blocked) + statements + "\n"
    script += "import json; print(json.dumps([name for name, m in sys.modules.items() if m and '.' not in name]))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_core_imports_where_the_torch_extra_is_absent() -> None:
    core = [module for module in _modules() if not _within(module, NEEDS_TORCH) and not module.endswith("__main__")]
    loaded = _loaded_after("\n".join(f"import {module}" for module in core), blocked=HEAVY)
    assert PACKAGE in loaded


def test_the_command_line_starts_without_its_slow_dependencies() -> None:
    loaded = _loaded_after(f"import {PACKAGE}.cli.main")
    assert loaded & set(SLOW) == set()
