"""Compute a network with OpenVINO on the CPU, from the same weights.

OpenVINO's front end for PyTorch converts the network in memory. OpenVINO reports its use over the internet to its
maker unless the user has declined. A program that reads medical images must not do that unasked, so ``_openvino``
prevents it.

References:
    OpenVINO, https://docs.openvino.ai.
"""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..core.errors import MachineLimit
from ..core.machine import is_out_of_memory, missing_package
from ..networks.blocks import slices_of, stack_of
from ..networks.fusion import FusionNetwork
from ..networks.locality import is_local

LARGEST_DIFFERENCE = 1e-3
"""Largest difference in probability that OpenVINO may make in float32; 2e-6 was measured for the shipped network."""

EXAMPLE_SIDE = 16
"""Rows and columns of the stack with which a network is converted if the conversion holds for every size."""

TYPES = {"float32": "f32", "bfloat16": "bf16"}

Shape = tuple[int, ...]


class OpenVinoNetwork:
    """A network that OpenVINO computes; it is called as the torch network is."""

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled

    def __call__(self, stack: torch.Tensor, features: Sequence[torch.Tensor] = ()) -> torch.Tensor:
        """Return the tumor probability of a stack (1, 1, 8, H, W), with the same shape."""
        return _results(self._compiled, (stack, *features))[0]


class OpenVinoFusionNetwork(OpenVinoNetwork):
    """A network that combines stacks with the 2D features of their slices."""

    def __init__(self, compiled: Any, extractor: Any) -> None:
        super().__init__(compiled)
        self._extractor = extractor

    def features(self, slices: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the 2D features, each (N, C, h, w), of slices (N, 1, H, W)."""
        return _results(self._extractor, (slices,))


def openvino_network(network: torch.nn.Module, stack: torch.Tensor, precision: str = "float32") -> OpenVinoNetwork:
    """Convert a network, and compare the result for one stack with that of the original.

    Args:
        network: The network, in evaluation mode on the CPU.
        stack: A stack (1, 1, 8, H, W) of the CT, for the comparison. A network that is not local will only take stacks
            of this shape.
        precision: "float32" or "bfloat16".

    Returns:
        The network, computed by OpenVINO.

    Raises:
        MachineLimit: OpenVINO is missing or damaged, or it cannot compute the network, or gives another probability.
    """
    try:
        graphs = _graphs(network, stack)
        exact = _compiled(graphs, "float32")
        difference = _difference(exact, network, stack)
        chosen = exact if precision == "float32" else _compiled(graphs, precision)
    except ImportError as error:
        raise MachineLimit(missing_package(error)) from error
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        raise MachineLimit("OpenVINO cannot compute the network of this model; choose the backend torch.") from error
    if not difference <= LARGEST_DIFFERENCE:
        raise MachineLimit(
            f"OpenVINO and PyTorch disagree about the network of this model (by {difference:.2g} in probability); "
            "choose the backend torch."
        )
    return chosen


def computes_in(precision: str) -> bool:
    """Return whether OpenVINO computes in a number format on this CPU; otherwise it takes float32 without a word.

    Raises:
        MachineLimit: OpenVINO is missing or damaged.
    """
    try:
        return precision == "float32" or "BF16" in openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    except ImportError as error:
        raise MachineLimit(missing_package(error)) from error


def _openvino() -> Any:
    """Import OpenVINO without its package ``openvino_telemetry``; its substitute reports nothing."""
    reporter = "openvino_telemetry"
    hidden = reporter not in sys.modules
    if hidden:
        sys.modules[reporter] = None  # type: ignore[assignment]  # makes its import fail
    try:
        import openvino
    finally:
        if hidden:
            del sys.modules[reporter]
    return openvino


@functools.cache
def openvino_core() -> Any:
    """Return OpenVINO's core, the same one until the process ends.

    A core gives its thread another stack for signal handlers and takes it back when it is destroyed. Destroyed in
    another thread, as garbage may be, it would take it back in that thread only. The next signal with a handler, such
    as that of a child process that ends, would then end this process without a word.
    """
    return _openvino().Core()


def _difference(found: OpenVinoNetwork, network: torch.nn.Module, stack: torch.Tensor) -> float:
    """Return the largest difference in the probability of a stack between OpenVINO and torch."""
    features: tuple[torch.Tensor, ...] = ()
    if isinstance(found, OpenVinoFusionNetwork):
        features = tuple(stack_of(maps, stack.shape[2]) for maps in found.features(slices_of(stack)))
    with torch.inference_mode():
        return float((found(stack, features) - network(stack)).abs().max())


def _graphs(network: torch.nn.Module, stack: torch.Tensor) -> list[Any]:
    """Return OpenVINO's graph of a network and, if it fuses 2D features, that of its extractor."""
    # The trace of a convolutional LSTM holds its number of steps, and that of other networks may hold their padding.
    local = is_local(network)
    example = stack[..., :EXAMPLE_SIDE, :EXAMPLE_SIDE] if local else stack

    def shape(stack: torch.Tensor) -> Shape:
        return (*stack.shape[:-2], *((-1, -1) if local else stack.shape[-2:]))

    if not isinstance(network, FusionNetwork):
        return [_graph(network, (example,), [shape(example)])]
    with torch.no_grad():
        features = network.stack_features(example)
    return [
        _graph(_WithFeatures(network), (example, *features), [shape(each) for each in (example, *features)]),
        _graph(network.fe, (slices_of(example),), [(-1, 1, *shape(example)[-2:])]),
    ]


class _WithFeatures(torch.nn.Module):
    """A network that takes the features of a stack as arguments of their own, as a graph does."""

    def __init__(self, network: FusionNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, stack: torch.Tensor, *features: torch.Tensor) -> torch.Tensor:
        """Return the tumor probability of a stack (1, 1, 8, H, W)."""
        probability: torch.Tensor = self.network(stack, features)
        return probability


def _graph(module: torch.nn.Module, example: tuple[torch.Tensor, ...], shapes: Sequence[Shape]) -> Any:
    """Convert a module, traced with an example, for inputs of these shapes; -1 means any size."""
    openvino = _openvino()
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch and OpenVINO warn about properties of traces that hold here
        traced = TorchScriptPythonDecoder(module, example_input=example, trace_kwargs={"check_trace": False})
        front_end = FrontEndManager().load_by_framework("pytorch")
        graph = front_end.convert(front_end.load(traced))
    for entrance, shape in zip(graph.inputs, shapes, strict=True):
        entrance.get_node().set_partial_shape(openvino.PartialShape(list(shape)))
    graph.validate_nodes_and_infer_types()
    return graph


def _compiled(graphs: Sequence[Any], precision: str) -> OpenVinoNetwork:
    """Prepare graphs for the CPU, with as many threads as torch uses."""
    core = openvino_core()
    settings = {
        "INFERENCE_PRECISION_HINT": TYPES[precision],  # otherwise OpenVINO may choose a shorter format
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
    }
    network, *extractor = [core.compile_model(graph, "CPU", settings) for graph in graphs]
    return OpenVinoFusionNetwork(network, *extractor) if extractor else OpenVinoNetwork(network)


def _results(compiled: Any, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """Compute all outputs of a compiled graph."""
    outputs = compiled([np.ascontiguousarray(tensor.numpy()) for tensor in inputs])
    return tuple(torch.from_numpy(outputs[place]) for place in range(len(compiled.outputs)))
