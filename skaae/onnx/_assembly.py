"""Assemble ONNX models and single nodes into one model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from skaae._utils.extras import import_extra

onnx = import_extra("onnx", "onnx")
import_extra("onnx.compose", "onnx")

# The newest version that tf2onnx writes; ONNX Runtime reads these two since 1.14 and 1.3.
OPSETS = {"": 18, "ai.onnx.ml": 3}
IR_VERSION = 8
# Between the versions 1 and 3 of ai.onnx.ml, these operators changed only by gaining attributes.
EXTENDED_OPERATORS = ("TreeEnsembleClassifier", "TreeEnsembleRegressor")


class Assembly:
    """A graph to which models and single nodes can be added. Tensors are referred to by name.

    Parameters
    ----------
    name : str
        Name of the graph.
    inputs : dict of str to tuple
        Maps the name of each input to its type, which is a NumPy scalar type, and its shape without
        the first dimension, which is the number of rows.

    Examples
    --------
    >>> import numpy as np, onnxruntime
    >>> from skaae.onnx._assembly import Assembly
    >>> assembly = Assembly("half", {"x": (np.float64, (2,))})
    >>> half = assembly.node("Div", "x", assembly.constant(np.float64(2)))
    >>> model = assembly.model({"half": (half, np.float64, (2,))})
    >>> session = onnxruntime.InferenceSession(model.SerializeToString())
    >>> session.run(["half"], {"x": np.ones((1, 2))})
    [array([[0.5, 0.5]])]
    """

    def __init__(self, name: str, inputs: Mapping[str, tuple[type, tuple[int, ...]]]) -> None:
        self._name = name
        self._inputs = [_value(key, dtype, shape) for key, (dtype, shape) in inputs.items()]
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._n_parts = 0

    def node(self, operation: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output, and return the name of the output."""
        output = f"{self._prefix()}{operation}"
        self._nodes.append(onnx.helper.make_node(operation, inputs, [output], domain=domain, **attributes))
        return output

    def cast(self, tensor: str, dtype: type) -> str:
        """Add a cast to a NumPy scalar type, and return the name of its output."""
        return self.node("Cast", tensor, to=_element_type(dtype))

    def constant(self, values: Any) -> str:
        """Add a constant, and return its name."""
        name = f"{self._prefix()}constant"
        self._constants.append(onnx.numpy_helper.from_array(np.asarray(values), name))
        return name

    def default_input(self, name: str, value: Any) -> str:
        """Add an input that has a value if none is given, and return its name."""
        tensor = onnx.numpy_helper.from_array(np.asarray(value), name)
        self._inputs.append(onnx.helper.make_tensor_value_info(name, tensor.data_type, tensor.dims))
        self._constants.append(tensor)
        return name

    def add(self, model: Any, inputs: Mapping[str, str]) -> dict[str, str]:
        """Add a model.

        Parameters
        ----------
        model : onnx.ModelProto
            The model to add.
        inputs : dict of str to str
            Maps the name of each input of the model to the tensor of this graph that it receives.

        Returns
        -------
        outputs : dict of str to str
            Maps the name of each output of the model to its name in this graph.
        """
        _check_opsets(model)
        prefix = self._prefix()
        graph = onnx.compose.add_prefix_graph(model.graph, prefix)
        for name, source in inputs.items():
            self._nodes.append(onnx.helper.make_node("Identity", [source], [prefix + name]))
        self._nodes.extend(graph.node)
        self._constants.extend(graph.initializer)
        return {output.name: prefix + output.name for output in model.graph.output}

    def model(self, outputs: Mapping[str, tuple[str, type, tuple[int | None, ...]]]) -> Any:
        """Return the assembled model, after a check.

        Parameters
        ----------
        outputs : dict of str to tuple
            Maps the name of each output to its tensor, type, and shape without the number of rows.

        Returns
        -------
        model : onnx.ModelProto
        """
        for name, (tensor, _, _) in outputs.items():
            self._nodes.append(onnx.helper.make_node("Identity", [tensor], [name]))
        values = [_value(name, dtype, shape) for name, (_, dtype, shape) in outputs.items()]
        graph = onnx.helper.make_graph(self._nodes, self._name, self._inputs, values, self._constants)
        opsets = [onnx.helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
        model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
        onnx.checker.check_model(model)
        return model

    def _prefix(self) -> str:
        self._n_parts += 1
        return f"{self._n_parts}/"


def _element_type(dtype: type) -> int:
    return onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))


def _value(name: str, dtype: type, shape: tuple[int | None, ...]) -> Any:
    return onnx.helper.make_tensor_value_info(name, _element_type(dtype), ("n_samples", *shape))


def _check_opsets(model: Any) -> None:
    """Raise a ValueError if an operator of the model works differently in the versions of the file."""
    versions = {opset.domain: opset.version for opset in model.opset_import}
    different = {
        f"{node.op_type} of {node.domain or 'ai.onnx'} {versions[node.domain]}"
        for node in model.graph.node
        if not _works_the_same(node, versions[node.domain])
    }
    if different or model.functions:
        raise ValueError(
            f"The graph contains {sorted(different) or 'functions'}, which the file cannot contain with opset versions "
            f"{OPSETS}."
        )


def _works_the_same(node: Any, version: int) -> bool:
    target = OPSETS.get(node.domain)
    if target is None or version == target or (node.op_type in EXTENDED_OPERATORS and version < target):
        return target is not None
    schemas = [onnx.defs.get_schema(node.op_type, number, node.domain) for number in (version, target)]
    return schemas[0].since_version == schemas[1].since_version
