"""The words and the TOML that a compiled bundle carries: its manifest and its card."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from radiolucent.engines.manifest import Manifest
from radiolucent.explain.compiler.heads import Head, Kind

_ADDS_UP: Mapping[Kind, str] = {
    "linear": "The map adds up to the score: `mean(M) + bias = logit`, checked on every read.",
    "cells": "The map adds up to the score: `mean(M) + bias = logit`, checked on every read.",
    "maps": "The score is the log-sum-exp of the map, checked on every read. Cells have no share of it.",
    "gradient": "The map is of **first order**: where the score is sensitive. It doesn't add up to the score.",
}


def manifest_toml(manifest: Manifest) -> str:
    """``manifest.toml`` of a manifest; `load_manifest` reads the same one back."""
    return "\n".join(_table("", manifest.model_dump(exclude_none=True, exclude_defaults=False))) + "\n"


def _table(name: str, table: Mapping[str, Any]) -> Iterator[str]:
    if name:
        yield f"\n[{name}]"
    for key, value in table.items():
        if not isinstance(value, dict) and not _is_tables(value):
            yield f"{key} = {_value(value)}"
    for key, value in table.items():
        path = f"{name}.{key}" if name else key
        if isinstance(value, dict):
            yield from _table(path, value)
        elif _is_tables(value):
            for item in value:
                yield f"\n[[{path}]]"
                yield from (f"{inner} = {_value(content)}" for inner, content in item.items())


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(item) for item in value)}]"
    # a TOML basic string escapes as JSON does (TOML 1.0, String)
    return json.dumps(value, ensure_ascii=False)


def card(manifest: Manifest, layer: str, head: Head, autograd: float, notes: Sequence[str]) -> str:
    """The card of a compiled bundle: what is known of it, and plainly what isn't."""
    lines = [
        f"# {manifest.title} ({manifest.label})",
        "",
        manifest.summary,
        "",
        "Not for clinical use. Compiled from a network of someone else's; **nothing is known here of how good it is**:",
        "no calibration, no figures on images. Evaluate it before anyone looks at its findings.",
        "",
        "## Explanation",
        "",
        f"- Method: {head.method}, at layer `{layer or 'unnamed'}`, grid {' × '.join(map(str, head.grid))}.",
        f"- {_ADDS_UP[head.kind]}",
        f"- Largest difference from full autograd, relative: {autograd:.1e}.",
        *(f"- {note[:1].upper()}{note[1:].rstrip('.')}." for note in notes),
        "",
        "## Findings",
        "",
        *(f"- {finding.name} ({finding.basis})" for finding in manifest.findings),
        "",
        "## Limits",
        "",
        *(f"- {limit}" for limit in manifest.scope.limits),
        "",
        f"Licence: {manifest.licence}.",
    ]
    return "\n".join(lines) + "\n"
