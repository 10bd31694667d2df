"""``python -m radiolucent.training PACK FOLDER``: fit a pack on a machine that has only numpy and torch.

An engine whose fit begins with weights from photographs needs their file as well (``--photographs``). The checkpoint in
FOLDER comes back and is released with ``radiolucent train ENGINE --weights FOLDER/checkpoint.pt``.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from radiolucent.errors import RadiolucentError
from radiolucent.training.fit import CHECKPOINT, Progress, fit
from radiolucent.training.pack import load_pack
from radiolucent.training.recipes import find_recipe


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and fit."""
    parser = argparse.ArgumentParser(prog="python -m radiolucent.training", description=__doc__)
    parser.add_argument("pack", type=Path, help="a file made by radiolucent train ENGINE --pack FILE")
    parser.add_argument("folder", type=Path, help="where checkpoints go")
    parser.add_argument("--epochs", type=int, default=None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=None, help="images per step; the recipe's where left out")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument(
        "--photographs", type=Path, default=None, help="the weights to begin with, where their package isn't installed"
    )
    chosen = parser.parse_args(arguments)
    pack = load_pack(chosen.pack)
    recipe = find_recipe(pack.engine)
    if chosen.batch:
        recipe = replace(recipe, batch=chosen.batch)
    fit(
        pack,
        recipe,
        chosen.folder,
        epochs=chosen.epochs,
        seed=chosen.seed,
        resume=chosen.resume,
        photographs=chosen.photographs,
        report=_print,
    )
    sys.stdout.write(f"{chosen.folder / CHECKPOINT}\n")


def _print(progress: Progress) -> None:
    if progress.metrics:
        figures = "  ".join(f"{name} {value:.3f}" for name, value in progress.metrics.items())
        sys.stdout.write(
            f"epoch {progress.epoch} of {progress.epochs}  {figures}  {progress.seconds_left / 60:.0f} min left\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    try:
        main()
    except RadiolucentError as error:
        sys.exit(str(error))
