"""What supervising the evidence gives: two fits that differ in nothing else, measured alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from radiolucent.engines.bundle import load_bundle
from radiolucent.evaluate.report import evaluate
from radiolucent.training.engine import Plan, Report, train


def compare_supervision(
    engine: str, data: list[Path], work: Path, *, plan: Plan, report: Report | None = None
) -> dict[str, dict[str, Any]]:
    """Fit with and without the outlines in the loss, release both into `work`, and measure both on validation.

    Parameters
    ----------
    plan : of both fits; its `evidence_supervision` is set here.
    work : folder for the two bundles and their checkpoints; a bundle that is there already is measured, not made again.

    Returns
    -------
    ``with`` and ``without`` → epochs, classification, findings and localisation, as `Plan.ablation` takes them.

    Raises
    ------
    SetupError
        As `training.engine.train`.
    """
    results: dict[str, dict[str, Any]] = {}
    for name, supervised in (("with", True), ("without", False)):
        folder = work / name
        if not folder.exists():
            train(engine, data, folder, plan=replace(plan, evidence_supervision=supervised), report=report)
        bundle = load_bundle(folder)
        measured = evaluate(bundle, data[0])
        training = bundle.manifest.training
        results[name] = {
            "epochs": training.epochs if training else 0,
            "classification": measured.get("classification", {}),
            "findings": measured["findings"],
            "localisation": measured["localisation"],
        }
    return results
