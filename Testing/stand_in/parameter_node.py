"""Slicer's parameterNodeWrapper for the types that the module uses.

Values are stored in the parameter node of the scene, and connected widgets follow them.
"""

from __future__ import annotations

import enum
import typing
from dataclasses import dataclass
from typing import Any

import slicer
import vtk

from .pythonqt import Proxy


@dataclass(frozen=True)
class WithinRange:
    """Bounds of a number, both inclusive."""

    minimum: float
    maximum: float


class _Parameter:
    """A typed value in a parameter node: nodes are stored as references, other values as text."""

    def __init__(self, name: str, annotated: Any, default: Any) -> None:
        self.name = name
        self.kind, *annotations = typing.get_args(typing.Annotated[annotated, ""])[:-1]
        self.range = next((a for a in annotations if isinstance(a, WithinRange)), None)
        self.is_node = isinstance(self.kind, type) and issubclass(self.kind, slicer.vtkMRMLNode)
        if not self.is_node and self.kind not in (bool, int, float, str) and not issubclass(self.kind, enum.Enum):
            raise TypeError(f"The stand-in knows no parameter of type {self.kind}.")
        self.default = default if default is not None or self.is_node else self._first_value()
        self._check(self.default)

    @property
    def kind_name(self) -> str:
        return "node" if self.is_node else "enum" if issubclass(self.kind, enum.Enum) else self.kind.__name__

    def _first_value(self) -> Any:
        return next(iter(self.kind)) if issubclass(self.kind, enum.Enum) else self.kind()

    def _check(self, value: Any) -> None:
        if self.is_node:
            if value is not None and not isinstance(value, self.kind):
                raise TypeError(f"{self.name} must be a {self.kind.__name__}.")
        elif self.range is not None and not self.range.minimum <= value <= self.range.maximum:
            raise ValueError(f"{self.name} must be within {self.range.minimum} and {self.range.maximum}, not {value}.")

    def read(self, node: Any) -> Any:
        if self.is_node:
            return node.GetNodeReference(self.name)
        text = node.GetParameter(self.name)
        if issubclass(self.kind, enum.Enum):
            return self.kind[text]
        return text == "True" if self.kind is bool else self.kind(text)

    def write(self, node: Any, value: Any) -> None:
        self._check(value)
        if self.is_node:
            node.SetNodeReferenceID(self.name, value.GetID() if value is not None else None)
        else:
            node.SetParameter(self.name, value.name if isinstance(value, enum.Enum) else str(self.kind(value)))

    def is_in(self, node: Any) -> bool:
        return self.is_node or bool(node.HasParameter(self.name))


def parameterNodeWrapper(class_: type) -> type:
    """Turn annotated class attributes into properties that are stored in a parameter node."""
    hints = typing.get_type_hints(class_, include_extras=True)
    parameters = {name: _Parameter(name, kind, getattr(class_, name, None)) for name, kind in hints.items()}

    def initialize(self: Any, node: Any) -> None:
        self.parameterNode, self._guis = node, {}
        for parameter in parameters.values():
            if not parameter.is_in(node):
                parameter.write(node, parameter.default)

    def make_property(parameter: _Parameter) -> property:
        return property(
            lambda self: parameter.read(self.parameterNode),
            lambda self, value: parameter.write(self.parameterNode, value),
        )

    def add_observer(self: Any, event: Any, callback: Any, priority: float = 0.0) -> int:
        return int(self.parameterNode.AddObserver(event, callback, priority))

    members = {
        "__init__": initialize,
        "_parameters": parameters,
        "connectGui": _connect_gui,
        "disconnectGui": _disconnect_gui,
        "AddObserver": add_observer,
        "RemoveObserver": lambda self, tag: self.parameterNode.RemoveObserver(tag),
        "StartModify": lambda self: self.parameterNode.StartModify(),
        "EndModify": lambda self, was_modified: self.parameterNode.EndModify(was_modified),
        "Modified": lambda self: self.parameterNode.Modified(),
        **{name: make_property(parameter) for name, parameter in parameters.items()},
    }
    for name, member in members.items():
        setattr(class_, name, member)
    return class_


class _Binding:
    """One widget and one parameter, each following the other."""

    def __init__(self, wrapper: Any, parameter: _Parameter, widget: Proxy) -> None:
        self.wrapper, self.parameter, self.widget, self.writing = wrapper, parameter, widget, False
        kind = type(widget).__name__
        how = _HOW.get((kind, parameter.kind_name))
        if how is None:
            raise RuntimeError(
                f"Unable to create GUI connector from datatype '{parameter.kind}' to widget type '{kind}'"
            )
        self.signal, self.read, self.write = how
        if parameter.range is not None:
            widget.minimum, widget.maximum = parameter.range.minimum, parameter.range.maximum
        if kind == "QComboBox":
            widget.clear()
            label = getattr(parameter.kind, "label", lambda choice: choice.name)
            for choice in parameter.kind:
                widget.addItem(label(choice))
        self.update_widget()
        if not widget.connect(self.signal, self.update_parameter):
            raise RuntimeError(f"{kind} has no signal {self.signal}.")

    def update_widget(self) -> None:
        self.writing = True
        self.write(self.widget, self.parameter)(self.parameter.read(self.wrapper.parameterNode))
        self.writing = False

    def update_parameter(self) -> None:
        if not self.writing:
            self.parameter.write(self.wrapper.parameterNode, self.read(self.widget, self.parameter))


def _set_value(widget: Proxy, _: _Parameter) -> Any:
    return lambda value: setattr(widget, "value", value)


_NUMBER = (lambda widget, _: widget.value, _set_value)
_HOW: dict[tuple[str, str], tuple[str, Any, Any]] = {
    ("QCheckBox", "bool"): (
        "toggled(bool)",
        lambda w, _: w.checked,
        lambda w, _: lambda value: setattr(w, "checked", value),
    ),
    ("QSpinBox", "int"): ("valueChanged(int)", *_NUMBER),
    ("QDoubleSpinBox", "float"): ("valueChanged(double)", *_NUMBER),
    ("ctkSliderWidget", "float"): ("valueChanged(double)", *_NUMBER),
    ("QComboBox", "enum"): (
        "currentIndexChanged(int)",
        lambda w, p: list(p.kind)[w.currentIndex],
        lambda w, p: lambda value: setattr(w, "currentIndex", list(p.kind).index(value)),
    ),
    ("qMRMLNodeComboBox", "node"): (
        "currentNodeChanged(vtkMRMLNode*)",
        lambda w, _: w.currentNode(),
        lambda w, _: w.setCurrentNode,
    ),
}


def _connect_gui(self: Any, gui: Any) -> int:
    """Connect each widget of ``gui`` that has the dynamic property SlicerParameterName.

    Returns:
        A tag for disconnectGui.
    """
    bindings = []
    for widget in vars(gui).values():
        name = widget.property("SlicerParameterName")
        if name:
            if name not in self._parameters:
                raise ValueError(f"Cannot find a param with the given name: {name}")
            bindings.append(_Binding(self, self._parameters[name], widget))

    def update_widgets(*_: Any) -> None:
        for binding in bindings:
            binding.update_widget()

    observer = self.parameterNode.AddObserver(vtk.vtkCommand.ModifiedEvent, update_widgets)
    tag = len(self._guis)
    self._guis[tag] = (bindings, observer)
    return tag


def _disconnect_gui(self: Any, tag: int) -> None:
    bindings, observer = self._guis.pop(tag)
    self.parameterNode.RemoveObserver(observer)
    for binding in bindings:
        binding.widget.disconnect(binding.signal, binding.update_parameter)
