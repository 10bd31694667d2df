"""A network as a graph of operations, and where it can be cut in two so that everything passes through one tensor."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from radiolucent.errors import InvalidBundle
from radiolucent.explain.compiler.answers import WRAPPED

_ATEN = torch.ops.aten
_PROBABILITIES = {
    _ATEN.sigmoid.default: "sigmoid",
    _ATEN.softmax.int: "softmax",
    _ATEN._softmax.default: "softmax",
    _ATEN.log_softmax.int: "log-softmax",
    _ATEN._log_softmax.default: "log-softmax",
}
_FUNCTIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "": lambda logits: logits,
    "sigmoid": torch.sigmoid,
    "softmax": lambda logits: logits.softmax(1),
    "log-softmax": lambda logits: logits.log_softmax(1),
}
_RESHAPED = {
    _ATEN.reshape.default,
    _ATEN.squeeze.default,
    _ATEN.squeeze.dim,
    _ATEN.squeeze.dims,
    _ATEN.unsqueeze.default,
    _ATEN._to_copy.default,
    _ATEN.clone.default,
    _ATEN.alias.default,
}
"""Operations that leave every value as it is."""


def _adaptive_maximum(x: Tensor, size: Sequence[int]) -> Any:
    """Where one cell is left it is the maximum, whose slope ONNX can write; the places of the maxima aren't asked."""
    if any(one != 1 for one in size):
        return NotImplemented
    axes = list(range(-len(size), 0))
    return x.amax(axes, keepdim=True), torch.zeros_like(x.amax(axes, keepdim=True), dtype=torch.int64)


_WHOLE_MAXIMA = {
    _ATEN.adaptive_max_pool2d.default: _adaptive_maximum,
    _ATEN.adaptive_max_pool3d.default: _adaptive_maximum,
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Traced:
    """A network as a functional graph: no in-place operations, a free batch axis, logits ``(N, K)`` as its result.

    Parameters
    ----------
    module : the graph with the network's weights.
    notes : what was changed on the way, one sentence each.
    whole : the same with the logits of all classes, whichever of them are kept.
    groups : of all classes: how many lie side by side, and what the network makes of them at last (`_PROBABILITIES`).
    """

    module: fx.GraphModule
    notes: tuple[str, ...]
    whole: fx.GraphModule
    groups: tuple[tuple[int, str], ...]

    @property
    def result(self) -> fx.Node:
        """The node that gives the logits."""
        return _result(self.module)

    @property
    def classes(self) -> int:
        """K."""
        return int(_shape(self.result)[1])

    def as_given(self, x: Tensor) -> Tensor:
        """What the network itself gives for a batch: all classes, with the probabilities that were taken off."""
        parts = self.whole(x).split([width for width, _ in self.groups], dim=1)
        return torch.cat([_FUNCTIONS[kind](part) for part, (_, kind) in zip(parts, self.groups, strict=True)], dim=1)


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
        If the network can't be written as one graph for any batch size, or doesn't give ``(N, K)``; with what to
        change.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(
                network.eval(), (example.clone(),), dynamic_shapes=({0: torch.export.Dim("n")},), strict=False
            ).run_decompositions({**_WHOLE_MAXIMA})
            module = program.module()
    except Exception as error:  # torch.export's errors share no other base class
        reason = _first_line(error)
        if "data-dependent" in reason:
            reason = "it asks pixel values what to do next (an if or an assert on them); take that out"
        if "Constraints violated" in reason:
            reason = "its code fixes the number of images; take it as x.shape[0], not by len(x) or as a number"
        raise InvalidBundle(f"the network can't be written as one graph for any batch size: {reason}") from error
    assert isinstance(module, fx.GraphModule)
    for node in [node for node in module.graph.nodes if node.op == "call_module"]:
        module.graph.erase_node(node)  # torch.export's check of the input's shape
    for node in module.graph.nodes:
        if node.target is _ATEN.view.default:
            node.target = _ATEN.reshape.default  # a view fails where another kernel lays its result out otherwise
        if node.target is _ATEN.squeeze.default:  # one image must not lose the axis of the batch
            sizes = node.args[0].meta["val"].shape
            axes = [axis for axis, size in enumerate(sizes) if axis and isinstance(size, int) and size == 1]
            node.target, node.args = _ATEN.squeeze.dims, (node.args[0], axes)
    _refuse_less_than_float32(module)
    groups, notes = _settle_result(module)
    whole = ending_at(module, _result(module))
    if rows is not None:
        _keep_rows(module, rows)
    module.graph.eliminate_dead_code()
    module.recompile()
    return Traced(module=module, notes=notes, whole=whole, groups=groups)


def cuts(traced: Traced) -> list[Cut]:
    """Tensors that every path from input to logits passes through, last first."""
    order = {node: index for index, node in enumerate(traced.module.graph.nodes)}
    depends = _depend_on_input(traced.module.graph)
    needed = _needed_for(traced.result)
    batch = next(str(_shape(node)[0]) for node in traced.module.graph.nodes if node.op == "placeholder")
    found, reach = [], -1
    for node in traced.module.graph.nodes:
        if node not in depends or node not in needed:
            continue
        index = order[node]
        # nothing made earlier is used after this node: all that follows goes through it
        if reach <= index and node.op == "call_function" and _lies_by_image(node, batch) and node is not traced.result:
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
    return ending_at(traced.module, node), fx.GraphModule(traced.module, _head(traced, node))


def ending_at(module: fx.GraphModule, result: fx.Node | Sequence[fx.Node]) -> fx.GraphModule:
    """A copy of a graph that gives other nodes of it."""
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in module.graph.nodes:
        if node.op != "output":
            copies[node] = graph.node_copy(node, lambda name: copies[name])
    graph.output(copies[result] if isinstance(result, fx.Node) else tuple(copies[node] for node in result))
    graph.eliminate_dead_code()
    return fx.GraphModule(module, graph)


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


def _refuse_less_than_float32(module: fx.GraphModule) -> None:
    small = {node.meta["val"].dtype for node in module.graph.nodes if _is_tensor(node)} & {
        torch.float16,
        torch.bfloat16,
    }
    if small:
        kinds = ", ".join(sorted(str(kind).removeprefix("torch.") for kind in small))
        raise InvalidBundle(f"the network computes in {kinds}; take autocast or the casts out of its forward")


def _result(module: fx.GraphModule) -> fx.Node:
    node = module.graph.output_node().args[0]
    assert isinstance(node, fx.Node)
    return node


def _settle_result(module: fx.GraphModule) -> tuple[tuple[tuple[int, str], ...], tuple[str, ...]]:
    """Let the graph give all logits side by side; which groups they are, and what was taken off."""
    output = module.graph.output_node()
    results = [_logit(node) for node in _flat(output.args[0])]
    nodes = [node for node, _ in results]
    if not nodes or any(len(_shape(node)) != 2 for node in nodes):
        shapes = ", ".join(str(_shape(node)) for node in nodes)
        raise InvalidBundle(f"the network must give scores of shape (N, K), not {shapes or 'nothing'}")
    result = nodes[0]
    if len(nodes) > 1:
        with module.graph.inserting_before(output):
            result = module.graph.call_function(_ATEN.cat.default, (nodes, 1))
        result.meta["val"] = torch.cat([node.meta["val"] for node in nodes], 1)
    output.args = (result,)
    groups = tuple((int(_shape(node)[1]), kind) for node, kind in results)
    kinds = dict.fromkeys(kind for _, kind in groups if kind)
    return groups, tuple(f"a final {kind} was taken off: the target is the logit" for kind in kinds)


def _keep_rows(module: fx.GraphModule, rows: Sequence[int]) -> None:
    output, result = module.graph.output_node(), _result(module)
    value = result.meta["val"]
    if not rows or max(rows) >= value.shape[1] or min(rows) < 0:
        raise InvalidBundle(f"rows {list(rows)} don't fit a network of {value.shape[1]} classes")
    module.register_buffer("kept_rows", torch.tensor(list(rows)))
    with module.graph.inserting_before(output):
        places = module.graph.get_attr("kept_rows")
        kept = module.graph.call_function(_ATEN.index_select.default, (result, 1, places))
    kept.meta["val"] = value[:, : len(rows)]
    output.args = (kept,)


def _logit(node: fx.Node) -> tuple[fx.Node, str]:
    """The result without a final sigmoid or softmax, and which of them was taken off."""
    last, above = node, None
    while last.target in _RESHAPED and isinstance(last.args[0], fx.Node):
        last, above = last.args[0], last
    if last.target not in _PROBABILITIES:
        return node, ""
    before = last.args[0]
    assert isinstance(before, fx.Node)
    if above is not None:
        above.replace_input_with(last, before)
    return before if above is None else node, _PROBABILITIES[last.target]


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


def _lies_by_image(node: fx.Node, batch: str) -> bool:
    """True for a tensor whose first axis, and no other, is that of the batch."""
    first, *others = _shape(node) or (0,)
    return str(first) == batch and all(isinstance(size, int) for size in others)


def _is_tensor(node: fx.Node) -> bool:
    return isinstance(node.meta.get("val"), Tensor)


def _shape(node: fx.Node) -> tuple[Any, ...]:
    value = node.meta.get("val")
    return tuple(value.shape) if isinstance(value, Tensor) else ()


def _layer(node: fx.Node) -> str:
    names = list(layers(node))
    return names[-1] if names else ""


def layers(node: fx.Node) -> Iterator[str]:
    """Names of all modules around a node as the network itself calls them, outermost first."""
    for entry in node.meta.get("nn_module_stack", {}).values():
        yield ".".join(part for part in str(entry[0]).split(".") if part != WRAPPED)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
