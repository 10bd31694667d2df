"""Other people's architectures, compiled: which there are, what the compiler finds in each, and the page's table.

``python -m bench.architectures`` compiles all of them with random weights and writes the table into docs/compiling.md.
Depth and width are cut where a whole network would only take longer: every kind of block and the head stay the same.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

PAGE = Path(__file__).resolve().parent.parent / "docs" / "compiling.md"
START, END = "<!-- architectures: made by python -m bench.architectures -->", "<!-- end of architectures -->"
FINDINGS = ("mass", "nodule", "effusion")
IMAGES = 3


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One network of a library.

    Parameters
    ----------
    library, name : as the page shows it.
    build : makes it, for three classes.
    sides : of the input, (rows, columns) or (slices, rows, columns).
    kind : of head, as the compiler has to find it.
    grid : of the evidence.
    """

    library: str
    name: str
    build: Callable[[], Any]
    sides: tuple[int, ...]
    kind: str
    grid: tuple[int, ...]
    channels: int = field(default=3)


def _timm(name: str, **arguments: Any) -> Callable[[], Any]:
    def build() -> Any:
        from radiolucent.explain.compiler.timm_models import import_timm

        return import_timm().create_model(name, num_classes=len(FINDINGS), **arguments)

    return build


def _monai(name: str, **arguments: Any) -> Callable[[], Any]:
    def build() -> Any:
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from monai.networks import nets

            return getattr(nets, name)(**arguments)

    return build


_DENSE = {"growth_rate": 8, "block_config": (2, 2, 2, 2)}
_EACH_ONE = {"depths": (1, 1, 1, 1)}
_VIT = {"img_size": 64, "depth": 2}
_VOLUME = {"spatial_dims": 3, "n_input_channels": 1, "num_classes": 3}


def _row(library: str, name: str, build: Callable[[], Any], sides: tuple[int, ...], kind: str, *grid: int,
         channels: int = 3) -> Architecture:  # fmt: skip
    return Architecture(library=library, name=name, build=build, sides=sides, kind=kind, grid=grid, channels=channels)


# fmt: off
_ROWS = (
    _row("timm", "resnet18", _timm("resnet18"), (64, 64), "linear", 2, 2),
    _row("timm", "resnext50_32x4d, 1 block a stage", _timm("resnext50_32x4d", layers=(1, 1, 1, 1)),
         (64, 64), "linear", 2, 2),
    _row("timm", "densenet121, 2 layers a block", _timm("densenet121", **_DENSE), (64, 64), "linear", 2, 2),
    _row("timm", "efficientnet_b0", _timm("efficientnet_b0"), (64, 64), "linear", 2, 2),
    _row("timm", "mobilenetv2_050", _timm("mobilenetv2_050"), (64, 64), "linear", 2, 2),
    _row("timm", "mobilenetv3_small_050", _timm("mobilenetv3_small_050"), (64, 64), "gradient", 2, 2),
    _row("timm", "convnext_atto, 1 block a stage", _timm("convnext_atto", **_EACH_ONE), (64, 64), "gradient", 2, 2),
    _row("timm", "regnetx_002", _timm("regnetx_002"), (64, 64), "linear", 2, 2),
    _row("timm", "swin_tiny, 1 block a stage", _timm("swin_tiny_patch4_window7_224", img_size=64, **_EACH_ONE),
         (64, 64), "linear", 2, 2),
    _row("timm", "vit_tiny, mean of the tokens, 2 blocks",
         _timm("vit_tiny_patch16_224", global_pool="avg", class_token=False, **_VIT), (64, 64), "gradient", 4, 4),
    _row("timm", "vit_tiny, class token, 2 blocks", _timm("vit_tiny_patch16_224", **_VIT), (64, 64), "gradient", 4, 4),
    _row("MONAI", "DenseNet, 2-D, 2 layers a block",
         _monai("DenseNet", spatial_dims=2, in_channels=1, out_channels=3, **_DENSE), (64, 64), "linear", 2, 2,
         channels=1),
    _row("MONAI", "EfficientNetBN b0, 2-D",
         _monai("EfficientNetBN", model_name="efficientnet-b0", spatial_dims=2, in_channels=1, num_classes=3,
                pretrained=False), (64, 64), "linear", 2, 2, channels=1),
    _row("MONAI", "ResNet-10, 3-D", _monai("resnet10", **_VOLUME), (32, 64, 64), "linear", 2, 4, 4, channels=1),
    _row("MONAI", "DenseNet, 3-D, 2 layers a block",
         _monai("DenseNet", spatial_dims=3, in_channels=1, out_channels=3, **_DENSE), (32, 64, 64),
         "linear", 1, 2, 2, channels=1),
)
# fmt: on
ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType({f"{row.library} {row.name}": row for row in _ROWS})


def random_network(architecture: Architecture) -> Any:
    """The network with seeded weights, its norms away from their start."""
    import torch

    torch.manual_seed(5)
    network = architecture.build().eval()
    for name, value in [*network.named_parameters(), *network.named_buffers()]:
        if value.is_floating_point() and value.ndim == 1:
            value.data.uniform_(0.5, 1.5) if "var" in name or "weight" in name else value.data.normal_(0, 0.2)
    return network


def compiled(architecture: Architecture, folder: Path) -> Any:
    """The architecture's bundle, checked on noise and on `IMAGES` other images (`explain.compiler.Compiled`)."""
    from radiolucent.engines.manifest import InputSpec, ScopeSpec
    from radiolucent.explain.compiler import Plan, compile_engine

    *depth, height, width = architecture.sides
    shape = (IMAGES, architecture.channels, *architecture.sides)
    plan = Plan(
        name="random",
        version="0.1.0",
        title=architecture.name,
        summary="An architecture with random weights.",
        licence="Apache-2.0",
        findings=FINDINGS,
        input=InputSpec(
            recipe="grey", height=height, width=width, depth=depth[0] if depth else None, channels=architecture.channels
        ),
        scope=ScopeSpec(modalities=["OT"], limits=["it has random weights"]),
    )
    images = np.random.default_rng(4).random(shape, dtype=np.float32)
    return compile_engine(random_network(architecture), plan, folder / "bundle", images=images)


def line(architecture: Architecture, result: Any) -> str:
    """One row of the page's table."""
    adds_up = "–" if result.completeness is None else f"{result.completeness:.1e}"
    head = result.bundle.manifest.head
    found = (*([head.depth] if head.depth else []), *head.grid)
    grid, sides = (" × ".join(map(str, values)) for values in (found, architecture.sides))
    cells = (architecture.library, architecture.name, sides, result.kind, f"`{result.layer or '(a function)'}`", grid)
    return f"| {' | '.join(cells)} | {result.autograd:.1e} | {result.graph:.1e} | {adds_up} |"


def table(lines: Iterable[str]) -> str:
    """The part of the page between the marks."""
    head = (
        "| library | architecture | input | kind | layer | grid | autograd | graph | completeness |",
        "|---|---|---|---|---|---|---|---|---|",
    )
    return "\n".join([START, *head, *lines, END])


def main() -> int:
    """Compile all and write the page; status 1 where one can't be compiled."""
    lines, failed = [], 0
    for name, architecture in ARCHITECTURES.items():
        with tempfile.TemporaryDirectory() as folder:
            try:
                lines.append(line(architecture, compiled(architecture, Path(folder))))
                print(lines[-1], flush=True)
            except Exception as error:  # noqa: BLE001 - the other architectures are still to be compiled; status 1
                failed = 1
                print(f"{name}: {type(error).__name__}: {error}", flush=True)
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(START)
    PAGE.write_text(before + table(lines) + rest.partition(END)[2], encoding="utf-8")
    return failed


if __name__ == "__main__":
    sys.exit(main())
