"""Make one engine: from folders of labelled images to a signed bundle, in one call."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from radiolucent.engines.bundle import load_bundle
from radiolucent.engines.features import BACKBONES
from radiolucent.engines.network import EvidenceNet, join_networks
from radiolucent.errors import OutputExists, SetupError
from radiolucent.evaluate.layouts import read_rows
from radiolucent.evaluate.report import evaluate
from radiolucent.evaluate.volumes import evaluate_volumes
from radiolucent.training.card import write_card
from radiolucent.training.datasets import build_pack
from radiolucent.training.fit import CHECKPOINT, Fitted, Progress, fit, load_checkpoint
from radiolucent.training.pack import Pack, join_packs, load_pack
from radiolucent.training.pretrain import pretrain
from radiolucent.training.recipe import EngineRecipe
from radiolucent.training.recipes import find_recipe, find_scope
from radiolucent.training.release import Origin, release
from radiolucent.training.routing import fit_router, measure_routing, site_films
from radiolucent.training.synthetic import synthetic_pack

Report = Callable[[str, int, int], None]
_UNSEEN_SEED, _SITES_SEED = 97, 1
FEATURES = "features.pt"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a caller may choose; the rest is the engine's recipe.

    Parameters
    ----------
    epochs : None takes the recipe's.
    phantoms : synthetic studies mixed in.
    backbone : ``residual`` or ``efficientnet-lite0``; empty takes the recipe's.
    members : fits of seeds one after another, joined to one network whose maps are the mean of theirs.
    folds : above 1, a cross-validation by group first; the bundle comes from the layout's own split all the same.
    evidence_supervision : False leaves the outlines out of the loss, for comparison.
    resume : go on from the checkpoint in the work folder.
    pretrain : epochs of learning without labels before the fit, on all training images; 0 for none.
    patience : end early after so many looks at validation without a better one; None fits all epochs.
    weights : release these checkpoints (made on another machine, say), joined if several, instead of fitting.
    pack : fit on the images of this file; where it holds them rounded, the folders are preprocessed for the figures.
    volumes : folder of whole series that the card also reports on; never trained on.
    ablation : what `training.ablation.compare_supervision` gave, for the card.
    """

    epochs: int | None = None
    seed: int = 0
    phantoms: int = 0
    backbone: str = ""
    members: int = 1
    folds: int = 1
    evidence_supervision: bool = True
    resume: bool = False
    pretrain: int = 0
    patience: int | None = None
    weights: tuple[Path, ...] = ()
    pack: Path | None = None
    volumes: Path | None = None
    ablation: dict[str, dict[str, Any]] | None = None
    command: str = ""


def train(
    engine: str,
    data: list[Path],
    out: Path,
    *,
    plan: Plan | None = None,
    work: Path | None = None,
    report: Report | None = None,
) -> Path:
    """Fit, calibrate, measure and release one engine.

    Parameters
    ----------
    engine : name of a recipe.
    data : folders in one of the layouts of `evaluate.layouts`; the card tells of each by itself.
    out : the bundle's folder; must not exist.
    work : checkpoints go here; None takes a folder beside `out`.
    report : called with (what, done, in all): images packed, batches fitted, images measured.

    Returns
    -------
    `out`

    Raises
    ------
    OutputExists
        If `out` is there already.
    SetupError
        If there is no such recipe or backbone, no data folder, or the data don't fit.
    """
    plan, tell = plan or Plan(), report or _silent
    recipe, scope = find_recipe(engine), find_scope(engine)
    if not data:
        raise SetupError("no folder to train on: give at least one --data DIR")
    if out.exists():
        raise OutputExists(f"{out} exists already: choose another folder or remove it")
    if plan.backbone:
        recipe = with_backbone(recipe, plan.backbone)
    if not plan.evidence_supervision:
        recipe = replace(recipe, loss=recipe.loss.unsupervised())
    work = work or out.with_name(out.name + ".work")
    pack = load_pack(plan.pack) if plan.pack else make_pack(engine, data, report=report)
    # what is released is measured on images as they are
    exact = make_pack(engine, data, report=report) if pack.rounded else pack
    folds = _cross_validate(pack, recipe, work, plan, tell) if plan.folds > 1 else None
    members, arguments, origin = _members(engine, pack, recipe, work, plan, tell)
    network, joined = join_networks(members, arguments)
    recipe = replace(recipe, network={name: joined[name] for name in joined if name not in ("findings", "channels")})
    routing = None
    if recipe.router:
        recipe = replace(recipe, network={**recipe.network, "routed": len(recipe.router.sites)})
        drawn = site_films(recipe, seed=_SITES_SEED, report=lambda done, total: tell("drawing sites", done, total))
        fit_router(network, exact, recipe, drawn, report=lambda done, total: tell("looking at sites", done, total))
        unseen = site_films(recipe, seed=_UNSEEN_SEED, report=lambda done, total: tell("drawing sites", done, total))
        routing = measure_routing(network, recipe, exact.rows(exact.split == "val"), unseen)

    def card(folder: Path) -> str:
        bundle = load_bundle(folder)
        measured, *others = [
            evaluate(bundle, folder, threads=1, report=lambda done, total: tell("measuring", done, total))
            for folder in data
        ]
        series = evaluate_volumes(bundle, plan.volumes) if plan.volumes else None
        return write_card(
            bundle,
            recipe,
            scope,
            validation=measured,
            others=others,
            volumes=series,
            ablation=plan.ablation,
            folds=folds,
            routing=routing,
        )

    rows = [
        row
        for folder in data
        for row in read_rows(folder)
        if row.split == "train" and row.outlined and recipe.prior_rows.items() <= row.subgroups.items()
    ]
    return release(
        network,
        recipe,
        scope,
        pack=exact,
        rows=rows,
        origin=origin,
        out=out,
        card=card,
        synthetic=_unseen_studies(recipe, tell) if recipe.phantom_findings else None,
    )


def _members(
    engine: str, pack: Pack, recipe: EngineRecipe, work: Path, plan: Plan, tell: Report
) -> tuple[list[EvidenceNet], list[dict[str, Any]], Origin]:
    """Networks with trained weights, what each is built with, and where the weights come from."""
    command = plan.command or default_command(engine, plan)
    if plan.weights:
        stored = [load_checkpoint(path) for path in plan.weights]
        backbones = [str(json.loads(one["recipe"])["network"].get("backbone", "residual")) for one in stored]
        arguments = [_arguments(with_backbone(recipe, backbone)) for backbone in backbones]
        members = [EvidenceNet(**one) for one in arguments]
        for network, weights in zip(members, stored, strict=True):
            network.load_state_dict(weights["average"])
        epochs = max(int(weights["epoch"]) for weights in stored)
        return members, arguments, Origin(command=command, seed=int(stored[0]["seed"]), epochs=epochs)
    mixed = pack
    if plan.phantoms:
        synthetic = synthetic_pack(
            recipe, plan.phantoms, seed=plan.seed, report=lambda done, total: tell("drawing", done, total)
        )
        mixed = join_packs(pack, synthetic)
    fits = []
    for index in range(plan.members):
        one = replace(plan, seed=plan.seed + index)
        if plan.members == 1:
            fits.append(_fit(mixed, recipe, work, one, tell, what="fitting"))
            continue
        what = f"fitting member {index + 1} of {plan.members}"
        fits.append(_fit_part(mixed, recipe, work / f"member-{index + 1}", one, tell, what=what))
    origin = Origin(command=command, seed=fits[0].seed, epochs=max(fitted.epochs for fitted in fits))
    return [fitted.network for fitted in fits], [_arguments(recipe)] * len(fits), origin


def _fit_part(pack: Pack, recipe: EngineRecipe, folder: Path, plan: Plan, tell: Report, *, what: str) -> Fitted:
    """One of several fits: goes on from its checkpoint if the plan resumes and this one had begun."""
    begun = (folder / CHECKPOINT).is_file()
    return _fit(pack, recipe, folder, replace(plan, resume=plan.resume and begun), tell, what=what)


def _fit(pack: Pack, recipe: EngineRecipe, folder: Path, plan: Plan, tell: Report, *, what: str) -> Fitted:
    return fit(
        pack,
        recipe,
        folder,
        epochs=plan.epochs,
        seed=plan.seed,
        resume=plan.resume,
        patience=plan.patience,
        features=_features(pack, recipe, folder, plan, tell),
        report=partial(_tell_fit, tell, what=what),
    )


def _arguments(recipe: EngineRecipe) -> dict[str, Any]:
    return {"findings": len(recipe.findings), "channels": recipe.channels, **recipe.network}


def with_backbone(recipe: EngineRecipe, backbone: str) -> EngineRecipe:
    """The recipe with another backbone; see `EvidenceNet`.

    Raises
    ------
    SetupError
        If there is none of this name.
    """
    if backbone not in BACKBONES:
        raise SetupError(f"backbone {backbone!r} is not known: choose {' or '.join(BACKBONES)}")
    return replace(recipe, network={**recipe.network, "backbone": backbone})


def _unseen_studies(recipe: EngineRecipe, tell: Report) -> Pack:
    """One round of the recipe's synthetic studies, of patients that no fit draws."""
    count = len(recipe.synthetic_findings) or len(recipe.findings) + 1
    return synthetic_pack(
        recipe, count, seed=_UNSEEN_SEED, report=lambda done, total: tell("drawing unseen studies", done, total)
    )


def make_pack(engine: str, data: list[Path], *, report: Report | None = None) -> Pack:
    """Preprocess folders at training resolution; `training.pack.save_pack` writes it to a file.

    Raises
    ------
    SetupError
        If a folder can't be read or holds nothing for this engine.
    """
    tell = report or _silent
    return build_pack(find_recipe(engine), data, lambda done, total: tell("preparing", done, total))


def default_command(engine: str, plan: Plan) -> str:
    """The command line that repeats a plan, with DIR for folders.

    >>> default_command("brain-mri", Plan(seed=1, phantoms=64))
    'radiolucent train brain-mri --data DIR --out BUNDLE --seed 1 --phantoms 64'
    """
    words = [f"radiolucent train {engine} --data DIR --out BUNDLE"]
    if plan.epochs is not None:
        words.append(f"--epochs {plan.epochs}")
    words.append(f"--seed {plan.seed}")
    if plan.phantoms:
        words.append(f"--phantoms {plan.phantoms}")
    if plan.backbone:
        words.append(f"--backbone {plan.backbone}")
    if plan.members > 1:
        words.append(f"--members {plan.members}")
    if not plan.evidence_supervision:
        words.append("--no-evidence-supervision")
    if plan.pretrain:
        words.append(f"--pretrain {plan.pretrain}")
    if plan.patience is not None:
        words.append(f"--patience {plan.patience}")
    return " ".join(words)


def _cross_validate(pack: Pack, recipe: EngineRecipe, work: Path, plan: Plan, tell: Report) -> list[dict[str, float]]:
    results = []
    for fold in range(plan.folds):
        rows, folder = pack.with_fold(fold, plan.folds), work / f"fold-{fold + 1}"
        fitted = _fit_part(rows, recipe, folder, plan, tell, what=f"fold {fold + 1} of {plan.folds}")
        results.append(fitted.history[-1])
    return results


def _features(pack: Pack, recipe: EngineRecipe, folder: Path, plan: Plan, tell: Report) -> Path | None:
    """The file that a fit begins with, made where it is asked for and not there yet."""
    file = folder / FEATURES
    if plan.pretrain and not (plan.resume and file.is_file()):
        what = "learning without labels"
        pretrain(
            pack,
            recipe,
            file,
            epochs=plan.pretrain,
            seed=plan.seed,
            report=lambda done, total, _: tell(what, done, total),
        )
    return file if plan.pretrain else None


def _tell_fit(tell: Report, progress: Progress, what: str = "fitting") -> None:
    tell(f"{what}, epoch {progress.epoch} of {progress.epochs}", progress.step, progress.steps)


def _silent(what: str, done: int, total: int) -> None:
    return None
