"""A trained network as an ONNX graph whose weights keep the twin's names, half of its size where nothing is lost."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import torch

from radiolucent.engines.network import EvidenceNet
from radiolucent.training.recipe import EngineRecipe

_OPSET = 18
# weights stored in half precision: 5.9 million fit into a bundle instead of 3; heads and norms stay whole
_HALF = "features."


def export_graph(network: EvidenceNet, recipe: EngineRecipe, path: Path) -> None:
    """Write the graph: input ``images``, outputs ``logits``, ``evidence`` and with a router ``sites``, of any number.

    The graph is not optimised: its weights keep the twin's names, and ONNX Runtime optimises when it loads.
    """
    exporter = logging.getLogger("torch.onnx")
    before, exporter.level = exporter.level, logging.ERROR
    example = torch.zeros(2, recipe.channels, recipe.size, recipe.size)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter's own deprecations
            program = torch.onnx.export(
                network.float().eval(),
                (example,),
                dynamo=True,
                optimize=False,
                opset_version=_OPSET,
                input_names=["images"],
                output_names=["logits", "evidence", *(["sites"] if network.router is not None else [])],
                dynamic_shapes={"x": {0: torch.export.Dim("n", min=1, max=4096)}},
                verbose=False,
            )
    finally:
        exporter.level = before
    if program is None:
        raise RuntimeError("the exporter gave no graph")
    model = program.model_proto
    for part in (*model.graph.node, *(node for function in model.functions for node in function.node)):
        # notes on the source code of each operation: a tenth of the file
        part.doc_string = ""
        del part.metadata_props[:]
    _store_in_half(model.graph)
    onnx.save(model, path)


def round_features(network: EvidenceNet) -> EvidenceNet:
    """Round the convolutions of `features` to half precision, in place: what the bundle holds of them."""
    with torch.no_grad():
        for name, value in network.named_parameters():
            if name.startswith(_HALF) and value.ndim > 1:
                value.copy_(value.half().float())
    return network


def _store_in_half(graph: onnx.GraphProto) -> None:
    """Keep weights of `features` in 16 bits where that loses nothing; ONNX Runtime widens them once, when it loads."""
    for tensor in graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if not tensor.name.startswith(_HALF) or values.ndim < 2 or (values != values.astype(np.float16)).any():
            continue
        wide = f"{tensor.name}.float32"
        for node in graph.node:
            for index, name in enumerate(node.input):
                if name == tensor.name:
                    node.input[index] = wide
        tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), tensor.name))
        graph.node.insert(0, onnx.helper.make_node("Cast", [tensor.name], [wide], to=onnx.TensorProto.FLOAT))
