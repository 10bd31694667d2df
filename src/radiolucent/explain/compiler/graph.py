"""A network as a graph of operations, and where it can be cut in two so that everything passes through one tensor."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from radiolucent.errors import InvalidBundle

_ATEN = torch.ops.aten
_PROBABILITIES = {_ATEN.sigmoid.default, _ATEN.softmax.int, _ATEN._softmax.default}


@dataclass(frozen=True, kw_only=True, eq=False)
class Traced:
    """A network as a functional graph: no in-place operations, a free batch axis, logits ``(N, K)`` as its result.

    Parameters
    ----------
    module : the graph with the network's weights.
    notes : what was changed on the way, one sentence each.
    """

    module: fx.GraphModule
    notes: tuple[str, ...]

    @property
    def result(self) -> fx.Node:
        """The node that gives the logits."""
        node = self.module.graph.output_node().args[0]
        assert isinstance(node, fx.Node)
        return node

    @property
    def classes(self) -> int:
        """K."""
        return int(_shape(self.result)[1])


@dataclass(frozen=True, kw_only=True, eq=False)
class Cut:
    """One tensor that everything passes through.

    Parameters
    ----------
    node : in the traced graph.
    shape : without the batch axis.
    layer : name of the innermost module of the network that made it.
    """

    node: fx.Node
    shape: tuple[int, ...]
    layer: str


def feature_maps(found: Sequence[Cut]) -> list[Cut]:
    """The cuts that may be feature maps: channels and at least two cells, or tokens; last first.

    A map whose cells were flattened (``(C, h·w)``) is no token sequence and is left out.
    """
    flattened = {(shape[0], math.prod(shape[1:])) for cut in found if len(shape := cut.shape) > 2}
    return [
        cut
        for cut in found
        if (len(cut.shape) == 2 and min(cut.shape) > 1 and cut.shape not in flattened)
        or (len(cut.shape) in (3, 4) and sorted(cut.shape)[-2] > 1)
    ]


def trace(network: nn.Module, example: Tensor, rows: Sequence[int] | None = None) -> Traced:
    """Write down what a network does to a batch, in evaluation mode.

    A final sigmoid or softmax is taken off, since the target of an explanation is the logit. Several results of shape
    ``(N, K_i)`` (grouped outputs, one head per site) are put side by side.

    Parameters
    ----------
    network : takes float32 images, one batch.
    example : float32 ``(2, C, H, W)`` or ``(2, C, D, H, W)``.
    rows : classes to keep, in this order; all where None.

    Raises
    ------
    InvalidBundle
        If the network takes several inputs, can't be written as one graph for any batch size, or doesn't give
        ``(N, K)``; with what to change.
    """
    needed = [
        name
        for name, parameter in inspect.signature(network.forward).parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    if len(needed) > 1:
        raise InvalidBundle(
            f"the network takes {len(needed)} inputs ({', '.join(needed)}); wrap it so that it takes one"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(
                network.eval(), (example,), dynamic_shapes=({0: torch.export.Dim("n")},), strict=False
            ).run_decompositions({})
            module = program.module()
    except Exception as error:  # torch.export's errors share no other base class
        raise InvalidBundle(
            f"the network can't be written as one graph for any batch size: {_first_line(error)}"
        ) from error
    assert isinstance(module, fx.GraphModule)
    for node in [node for node in module.graph.nodes if node.op == "call_module"]:
        module.graph.erase_node(node)  # torch.export's check of the input's shape
    for node in module.graph.nodes:
        if node.target is _ATEN.view.default:
            node.target = _ATEN.reshape.default  # a view fails where another kernel lays its result out otherwise
    notes = _settle_result(module, rows)
    module.graph.eliminate_dead_code()
    module.recompile()
    return Traced(module=module, notes=notes)


def cuts(traced: Traced) -> list[Cut]:
    """Tensors that every path from input to logits passes through, last first."""
    order = {node: index for index, node in enumerate(traced.module.graph.nodes)}
    depends = _depend_on_input(traced.module.graph)
    needed = _needed_for(traced.result)
    found, reach = [], -1
    for node in traced.module.graph.nodes:
        if node not in depends or node not in needed:
            continue
        index = order[node]
        # nothing made earlier is used after this node: all that follows goes through it
        if reach <= index and node.op == "call_function" and _is_tensor(node) and node is not traced.result:
            found.append(Cut(node=node, shape=tuple(int(size) for size in _shape(node)[1:]), layer=_layer(node)))
        uses = [order[user] for user in node.users if user in needed and user in depends]
        reach = max([reach, *uses])
    return found[::-1]


def split(traced: Traced, node: fx.Node) -> tuple[fx.GraphModule, fx.GraphModule]:
    """Cut the graph at one node.

    Returns
    -------
    backbone : images → the node's tensor.
    head : the node's tensor → logits ``(N, K)``.
    """
    backbone = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for other in traced.module.graph.nodes:
        if other.op != "output":
            copies[other] = backbone.node_copy(other, lambda name: copies[name])
        if other is node:
            break
    backbone.output(copies[node])
    backbone.eliminate_dead_code()
    return fx.GraphModule(traced.module, backbone), fx.GraphModule(traced.module, _head(traced, node))


def _head(traced: Traced, node: fx.Node) -> fx.Graph:
    head = fx.Graph()
    start = head.placeholder("features")
    start.meta["val"] = node.meta["val"]
    batch = head.call_function(_ATEN.sym_size.int, (start, 0))
    copies = {node: start}

    def copy(name: fx.Node) -> fx.Node:
        if name not in copies:
            if name.op == "placeholder":
                raise InvalidBundle(f"{node.name} is no cut: the head also looks at {name.name}")
            # the size of the batch may be read off any tensor of the network: here off the features
            if name.target is _ATEN.sym_size.int and name.args[1] == 0:
                copies[name] = batch
            else:
                for argument in name.all_input_nodes:
                    copy(argument)
                copies[name] = head.node_copy(name, lambda argument: copies[argument])
        return copies[name]

    head.output(copy(traced.result))
    head.eliminate_dead_code()
    return head


def _settle_result(module: fx.GraphModule, rows: Sequence[int] | None) -> tuple[str, ...]:
    output = module.graph.output_node()
    results = [_logit(node) for node in _flat(output.args[0])]
    notes = tuple({note: None for _, note in results if note})
    nodes = [node for node, _ in results]
    if not nodes or any(len(_shape(node)) != 2 for node in nodes):
        shapes = ", ".join(str(_shape(node)) for node in nodes)
        raise InvalidBundle(f"the network must give scores of shape (N, K), not {shapes or 'nothing'}")
    values = [node.meta["val"] for node in nodes]
    with module.graph.inserting_before(output):
        result, value = nodes[0], values[0]
        if len(nodes) > 1:
            result, value = module.graph.call_function(_ATEN.cat.default, (nodes, 1)), torch.cat(values, 1)
        if rows is not None:
            if not rows or max(rows) >= value.shape[1] or min(rows) < 0:
                raise InvalidBundle(f"rows {list(rows)} don't fit a network of {value.shape[1]} classes")
            module.register_buffer("kept_rows", torch.tensor(list(rows)))
            kept = module.graph.get_attr("kept_rows")
            result = module.graph.call_function(_ATEN.index_select.default, (result, 1, kept))
            value = value[:, : len(rows)]
        result.meta["val"] = value
    output.args = (result,)
    return notes


def _logit(node: fx.Node) -> tuple[fx.Node, str]:
    """The node before a final sigmoid or softmax, and what was taken off."""
    if node.target in _PROBABILITIES:
        before = node.args[0]
        assert isinstance(before, fx.Node)
        return before, f"a final {str(node.target).split('.')[1].strip('_')} was taken off: the target is the logit"
    return node, ""


def _flat(value: Any) -> list[fx.Node]:
    if isinstance(value, fx.Node):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [node for item in items for node in _flat(item)]


def _depend_on_input(graph: fx.Graph) -> set[fx.Node]:
    found: set[fx.Node] = set()
    for node in graph.nodes:
        sizes = isinstance(node.meta.get("val"), int | torch.SymInt)  # numbers, such as the batch size, carry no image
        if node.op == "placeholder" or (not sizes and any(argument in found for argument in node.all_input_nodes)):
            found.add(node)
    return found


def _needed_for(result: fx.Node) -> set[fx.Node]:
    found: set[fx.Node] = set()
    waiting = [result]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += node.all_input_nodes
    return found


def _is_tensor(node: fx.Node) -> bool:
    return isinstance(node.meta.get("val"), Tensor)


def _shape(node: fx.Node) -> tuple[Any, ...]:
    value = node.meta.get("val")
    return tuple(value.shape) if isinstance(value, Tensor) else ()


def _layer(node: fx.Node) -> str:
    names = [str(entry[0]) for entry in node.meta.get("nn_module_stack", {}).values()]
    return names[-1] if names else ""


def layers(node: fx.Node) -> Iterator[str]:
    """Names of all modules around a node, outermost first."""
    for entry in node.meta.get("nn_module_stack", {}).values():
        yield str(entry[0])


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
