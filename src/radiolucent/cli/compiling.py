"""``radiolucent engine compile``, ``import``, ``quantise`` and ``export``: bundles out of the networks of others."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from radiolucent.cli.console import errors_to_exit, out, print_json
from radiolucent.errors import MissingExtra, SetupError

if TYPE_CHECKING:
    from radiolucent.engines.registry import Bundle
    from radiolucent.explain.compiler import Compiled, Plan

importing = typer.Typer(help="Make a bundle from a known network and your weights file.", no_args_is_help=True)

_FINDINGS = "Text file, one line per output of the network: a finding of the taxonomy, or - to leave it out."
Output = Annotated[Path, typer.Option("--output", "-o", help="The bundle's folder; it must not exist yet.")]
Weights = Annotated[
    Path | None, typer.Option(help="Weights: .pt, .pth or .safetensors; loaded without running code of the file.")
]
Images = Annotated[
    Path | None, typer.Option(help="Images to check with beside noise: DICOM, or .npy as the network takes them.")
]
TargetLayer = Annotated[str, typer.Option(help="Explain the output of this module. Default: the last feature map.")]
Name = Annotated[str, typer.Option(help="Name of the engine: small letters, digits, hyphens.")]
Version = Annotated[str, typer.Option(help="Version of the engine, as 1.0.0.")]
Modality = Annotated[list[str] | None, typer.Option(help="Modality that the engine reads; can be repeated.")]
BodyPart = Annotated[list[str] | None, typer.Option(help="Body part that it reads; can be repeated. Default: any.")]
View = Annotated[list[str] | None, typer.Option(help="View that it reads, as PA; can be repeated. Default: any.")]
Basis = Annotated[
    Literal["real", "phantom"],
    typer.Option(help="What the weights were trained on; findings from phantoms alone are off by default."),
]
Input = Annotated[
    str, typer.Option("--input", help="Recipe and size: grey:224x224, chest-xrv:224x224, or grey:64x96x96 for volumes.")
]
Window = Annotated[
    str, typer.Option(help="Modality values that become 0 and 1, as -160,240. Default: percentiles of the image.")
]
Mean = Annotated[str, typer.Option(help="What the network takes off each channel, as 0.485,0.456,0.406.")]
Std = Annotated[str, typer.Option(help="What it divides each channel by.")]
Licence = Annotated[str, typer.Option(help="Licence of the weights.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def compile_bundle(
    torch: Annotated[str, typer.Option("--torch", help="MODULE:FACTORY or FILE.py:FACTORY. Its code is run.")],
    output: Output,
    weights: Weights = None,
    argument: Annotated[list[str] | None, typer.Option(help="KEY=VALUE for the factory; can be repeated.")] = None,
    findings: Annotated[Path | None, typer.Option(help=_FINDINGS)] = None,
    result: Annotated[
        str, typer.Option(help="The scores, where the network gives more: a key, attribute or number, such as logits.")
    ] = "",
    target_layer: TargetLayer = "",
    size: Input = "grey:224x224",
    channels: Annotated[int, typer.Option(min=1, help="Channels that the network takes, all with one image.")] = 1,
    window: Window = "",
    mean: Mean = "",
    std: Std = "",
    axes: Annotated[
        Literal["zyx", "xyz"], typer.Option(help="Axes of a volume as the network takes them; MONAI's are xyz.")
    ] = "zyx",
    images: Images = None,
    name: Name = "compiled",
    version: Version = "0.1.0",
    title: Annotated[str, typer.Option(help="One line for people. Default: the name.")] = "",
    modality: Modality = None,
    body_part: BodyPart = None,
    view: View = None,
    basis: Basis = "real",
    licence: Licence = "not stated",
    as_json: Json = False,
) -> None:
    """Turn a PyTorch network into an engine bundle whose one graph gives scores and evidence.

    The graph is compared with full autograd and with the network, on noise and on the images given; above 1e-3
    nothing is written. How good the network is stays unknown: its scores are never shown as percentages.
    """
    with errors_to_exit():
        _need_torch()
        from radiolucent.explain.compiler.networks import load_weights, make_network
        from radiolucent.explain.compiler.plan import Plan, input_spec, read_findings, scope

        spec = input_spec(size, channels=channels, window=_numbers(window))
        if findings is None:
            raise SetupError("name the findings of the network's outputs with --findings FILE: one line per output")
        outputs = read_findings(findings)
        reads = scope(modality or [], body_part or [], view or [], volumes=spec.depth is not None)
        network = make_network(torch, _arguments(argument or []))
        loaded = load_weights(network, weights) if weights else "the factory's own"
        plan = Plan(
            name=name,
            version=version,
            title=title or name,
            summary=f"Compiled from {torch}.",
            licence=licence,
            findings=outputs.names,
            rows=outputs.rows,
            input=spec,
            scope=reads,
            basis=basis,
            result=result,
            target_layer=target_layer,
            mean=_numbers(mean),
            std=_numbers(std),
            axes=axes,
            facts=(f"Network: {torch}", f"Weights: {loaded}"),
        )
        _write(network, plan, output, images, as_json=as_json)


@importing.command("torchxrayvision")
def import_torchxrayvision(
    release: Annotated[str, typer.Argument(help="Weight set, as densenet121-res224-all.")],
    weights: Annotated[Path, typer.Option(help="The .pt file that torchxrayvision downloads; its code never runs.")],
    output: Output,
    images: Images = None,
    name: Annotated[str, typer.Option(help="Name of the engine. Default: xrv- and the weight set.")] = "",
    version: Version = "1.0.0",
    as_json: Json = False,
) -> None:
    """Chest films: up to 18 findings with torchxrayvision's own input scaling, thresholds and this project's codes."""
    with errors_to_exit():
        _need_torch()
        from radiolucent.explain.compiler.torchxrayvision import torchxrayvision_engine

        network, plan = torchxrayvision_engine(release, weights, name=name, version=version)
        _write(network, plan, output, images, as_json=as_json)


@importing.command("timm")
def import_timm(
    architecture: Annotated[str, typer.Argument(help="As timm.create_model takes it, such as resnet18.")],
    findings: Annotated[Path, typer.Option(help=_FINDINGS)],
    output: Output,
    weights: Weights = None,
    argument: Annotated[list[str] | None, typer.Option(help="KEY=VALUE for timm.create_model; repeatable.")] = None,
    images: Images = None,
    name: Annotated[str, typer.Option(help="Name of the engine. Default: timm- and the architecture.")] = "",
    version: Version = "0.1.0",
    modality: Modality = None,
    body_part: BodyPart = None,
    view: View = None,
    licence: Licence = "not stated",
    as_json: Json = False,
) -> None:
    """A timm network with your weights; input size and normalisation are timm's. Without weights: random ones."""
    with errors_to_exit():
        _need_torch()
        from radiolucent.explain.compiler.plan import read_findings, scope
        from radiolucent.explain.compiler.timm_models import timm_engine

        network, plan = timm_engine(
            architecture,
            read_findings(findings),
            scope(modality or [], body_part or [], view or []),
            weights=weights,
            name=name,
            version=version,
            licence=licence,
            arguments=_arguments(argument or []),
        )
        _write(network, plan, output, images, as_json=as_json)


@importing.command("monai-bundle")
def import_monai_bundle(
    folder: Annotated[Path, typer.Argument(help="The MONAI bundle: configs/ and models/.")],
    findings: Annotated[Path, typer.Option(help=_FINDINGS)],
    output: Output,
    size: Annotated[str, typer.Option(help="HxW or DxHxW, where the metadata give no numbers.")] = "",
    images: Images = None,
    name: Annotated[str, typer.Option(help="Name of the engine. Default: the bundle's.")] = "",
    version: Annotated[str, typer.Option(help="Version of the engine. Default: the bundle's.")] = "",
    modality: Modality = None,
    body_part: BodyPart = None,
    view: View = None,
    as_json: Json = False,
) -> None:
    """A classifier from a MONAI bundle, in two or three dimensions. No expression of the bundle is run."""
    with errors_to_exit():
        _need_torch()
        from radiolucent.explain.compiler.monai_bundle import monai_engine
        from radiolucent.explain.compiler.plan import read_findings, scope

        reads = scope(modality or [], body_part or [], view or [])
        outputs = read_findings(findings)
        network, plan = monai_engine(folder, outputs, reads, name=name, version=version, spatial=size)
        _write(network, plan, output, images, as_json=as_json)


def quantise(
    engine: Annotated[str, typer.Argument(help="Engine name or bundle folder.")],
    images: Annotated[Path, typer.Option(help="Images to compare on: DICOM, or .npy as the network takes them.")],
    output: Output,
    method: Annotated[
        Literal["dynamic", "static"], typer.Option(help="Ranges found while it runs, or fixed from the images.")
    ] = "dynamic",
) -> None:
    """Write an engine again with eight-bit weights, and say how its scores and its evidence moved."""
    with errors_to_exit():
        _need_torch()
        from radiolucent.explain.compiler.images import read_images
        from radiolucent.explain.compiler.quantise import quantise_engine, report

        bundle = bundle_of(engine)
        result = quantise_engine(bundle, output, read_images(images, bundle.manifest.input), method=method)
        out.print(report(result), markup=False)
        out.print(f"written: {output}  {result.bundle.label}", markup=False)


def export(
    engine: Annotated[str, typer.Argument(help="Engine name or bundle folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to make; it must not exist yet.")],
) -> None:
    """Write an engine's graph as OpenVINO IR (model.xml, model.bin), set to float32. Needs the 'openvino' extra."""
    with errors_to_exit():
        _need_torch()
        from radiolucent.explain.compiler.openvino_ir import export_openvino

        difference = export_openvino(bundle_of(engine), output)
        out.print(f"largest difference from ONNX Runtime: {difference:.1e} (relative, on noise)", markup=False)
        out.print(f"written: {output / 'model.xml'}", markup=False)


def bundle_of(name: str) -> Bundle:
    """The bundle in a folder, or the installed one of this name."""
    from radiolucent.engines.registry import find_bundle, installed_bundles, load_bundle

    return load_bundle(Path(name)) if Path(name).is_dir() else find_bundle(name, installed_bundles())


def _write(network: Any, plan: Plan, output: Path, images: Path | None, *, as_json: bool) -> None:
    from radiolucent.explain.compiler import compile_engine
    from radiolucent.explain.compiler.images import read_images

    given = read_images(images, plan.input) if images else None
    compiled = compile_engine(network, plan, output, images=given)
    if as_json:
        print_json(_as_json(compiled))
        return
    manifest = compiled.bundle.manifest
    grid = " × ".join(map(str, [*([manifest.head.depth] if manifest.head.depth else []), *manifest.head.grid]))
    adds_up = "a map of first order, which adds up to nothing"
    if compiled.completeness is not None:
        adds_up = f"the map gives the score back within {compiled.completeness:.1e} logits"
    checked = f"noise and {len(given)} image(s)" if given is not None else "noise alone; give --images to check on more"
    for line in (
        f"{manifest.label}: {compiled.method} at layer {compiled.layer or '(a function)'}, grid {grid}",
        *(f"note: {note}" for note in compiled.notes),
        f"largest difference from full autograd: {compiled.autograd:.1e} (relative, on {checked})",
        f"largest difference of the graph from the network: {compiled.graph:.1e} (relative)",
        f"completeness: {adds_up}",
        f"written: {output}  sha256 {compiled.bundle.digest[:12]}",
    ):
        out.print(line, markup=False)
    out.print("Nothing is known of how good it is: no calibration, no figures. Not for clinical use.", style="bold")


def _as_json(compiled: Compiled) -> dict[str, Any]:
    return {
        "engine": compiled.bundle.label,
        "digest": compiled.bundle.digest,
        "path": str(compiled.bundle.path),
        "layer": compiled.layer,
        "kind": compiled.kind,
        "method": compiled.method,
        "grid": list(compiled.bundle.manifest.head.grid),
        "depth": compiled.bundle.manifest.head.depth,
        "autograd": compiled.autograd,
        "graph": compiled.graph,
        "completeness": compiled.completeness,
        "notes": list(compiled.notes),
    }


def _need_torch() -> None:
    """Say early what is missing, so that nothing is computed in vain."""
    if any(find_spec(package) is None for package in ("torch", "onnx", "onnxscript")):
        raise MissingExtra("compiling a network", extra="torch")


def _arguments(pairs: list[str]) -> dict[str, Any]:
    """KEY=VALUE → arguments; a value that is JSON is taken as such, else as text."""
    found: dict[str, Any] = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key.isidentifier():
            raise SetupError(f"--argument wants KEY=VALUE, not {pair!r}")
        try:
            found[key] = json.loads(value)
        except json.JSONDecodeError:
            found[key] = value
    return found


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise SetupError(f"{text!r} isn't a list of numbers, such as 0.5,0.25") from None
