"""PySide6 objects that behave like PythonQt's objects in Slicer; they have only the names listed in api.json.

A Qt property is an attribute, a slot or method is called, and a signal is connected. Wrong use fails as it does in
Slicer. One case is stricter: PythonQt returns False for a connection to a signal that does not exist, and here the
connection is also recorded in ``failed_connections`` for the tests.
"""

from __future__ import annotations

import ctypes
import functools
import inspect
import json
import sys
from pathlib import Path
from typing import Any, ClassVar

import shiboken6
from PySide6 import QtCore, QtGui, QtWidgets

API: dict[str, Any] = json.loads(Path(__file__).with_name("api.json").read_text())

failed_connections: list[str] = []

PLAIN_METHODS = {
    "QTableWidgetItem": {
        "text", "setText", "data", "setData", "flags", "setFlags", "setToolTip", "toolTip", "setTextAlignment", "row",
        "column",
        "isSelected", "setSelected",
    },
    "QSize": {"width", "height"},
    "QPainter": {"begin", "end", "setPen", "drawLine"},
    "QPen": {"setColor", "setWidth"},
}  # fmt: skip
"""Classes without meta objects, which have only methods.

``text``, ``data`` and ``flags`` were verified in Slicer; Slicer's own module DataProbe draws with QPainter and QPen in
this way; the others follow Qt 5."""

_classes: dict[str, type[Proxy]] = {}
_proxies: dict[int, Proxy] = {}


class ProxyType(type):
    """Class attributes: enumeration values and static methods that api.json lists."""

    def __getattr__(cls, name: str) -> Any:
        if not name.startswith("_") and (
            name in cls.api.get("methods", ()) or name == "singleShot"
        ):  # QTimer lists this static method as a property
            return wrap(getattr(cls.qt_class, name))
        raise AttributeError(f"type object '{cls.__name__}' has no attribute '{name}'")


class Proxy(metaclass=ProxyType):
    """A Qt object as Python code in Slicer sees it."""

    qt_class: ClassVar[Any] = None
    api: ClassVar[dict[str, Any]] = {}
    _calls: ClassVar[frozenset[str]] = frozenset()
    _signals: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, *arguments: Any) -> None:
        self._adopt(type(self).qt_class(*map(unwrap, arguments)))

    def _adopt(self, qt_object: Any) -> None:
        object.__setattr__(self, "_qt", qt_object)
        object.__setattr__(self, "_connections", {})
        if isinstance(qt_object, QtCore.QObject):
            _proxies[shiboken6.getCppPointer(qt_object)[0]] = self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        api = type(self).api
        if name == "name" and "objectName" in api["properties"]:
            return self._qt.objectName()
        if name in api["properties"]:
            return wrap(_property(self._qt, name))
        if name in ("connect", "disconnect"):
            return getattr(self, f"_{name}")
        if name in type(self)._calls:
            return _Method(self._qt, name)
        if name in type(self)._signals:
            return _Signal(self, name)
        raise AttributeError(f"{type(self).__name__} has no attribute named '{name}'")

    def __setattr__(self, name: str, value: Any) -> None:
        properties = type(self).api["properties"]
        name = "objectName" if name == "name" else name
        if name not in properties:
            kind = type(self).__name__
            raise AttributeError(
                f"'{name}' does not exist on {kind} and creating new attributes on C++ objects is not allowed"
            )
        if "read only" in properties[name]:
            raise AttributeError(f"Property '{name}' of type '{properties[name]}' is not writable")
        if not self._qt.setProperty(name, _as_declared(self._qt, name, unwrap(value))):
            raise ValueError(f"Property '{name}' does not take {value!r}")

    def _connect(self, signature: str, callback: Any) -> bool:
        if signature.replace(" ", "") not in type(self).api["signals"]:
            failed_connections.append(f"{type(self).__name__}: {signature}")
            return False
        return self._attach(
            signature.partition("(")[0], _argument_count(signature), callback, signature.endswith("(bool)")
        )

    def _attach(self, name: str, count: int, callback: Any, as_bool: bool = False) -> bool:
        takes = _most_arguments(callback)

        def call(*values: Any) -> None:
            callback(*(bool(value) if as_bool else wrap(value) for value in values[:takes]))

        slot = _WITH_ARGUMENTS[count](call)
        self._connections[name, _identity(callback)] = slot
        getattr(self._qt, name).connect(slot)
        return True

    def _disconnect(self, signature: str, callback: Any) -> bool:
        slot = self._connections.pop((signature.partition("(")[0], _identity(callback)), None)
        return slot is not None and bool(getattr(self._qt, signature.partition("(")[0]).disconnect(slot))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Proxy) and self._qt is other._qt

    def __hash__(self) -> int:
        return hash(id(self._qt))


class _Method:
    """A slot or method, with the text that PythonQt shows for it."""

    def __init__(self, qt_object: Any, name: str) -> None:
        self._qt_object, self._name = qt_object, name

    def __call__(self, *arguments: Any) -> Any:
        qt_name = {"exec_": "exec"}.get(self._name, self._name)
        return wrap(getattr(self._qt_object, qt_name)(*map(unwrap, arguments)))

    def __repr__(self) -> str:
        return f"<qt slot {self._name} of {type(self._qt_object).__name__} instance>"


class _Signal:
    """A signal such as ``widget.clicked``; like PythonQt, it uses the overload with the most arguments."""

    def __init__(self, proxy: Proxy, name: str) -> None:
        self._proxy, self._name = proxy, name

    def connect(self, callback: Any) -> bool:
        overloads = [s for s in type(self._proxy).api["signals"] if s.startswith(self._name + "(")]
        return self._proxy._attach(self._name, max(map(_argument_count, overloads)), callback)

    def disconnect(self, callback: Any) -> bool:
        return self._proxy._disconnect(self._name, callback)


class PlainProxy:
    """An object of a class without meta object, which has only methods."""

    def __init__(self, qt_object: Any) -> None:
        object.__setattr__(self, "_qt", qt_object)

    def __getattr__(self, name: str) -> Any:
        kind = type(self._qt).__name__
        if name.startswith("__") or name not in PLAIN_METHODS[kind]:
            raise AttributeError(f"{kind} has no attribute named '{name}'")
        return _Method(self._qt, name)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"'{name}' does not exist on {type(self._qt).__name__}")


def make_class(full_name: str, qt_class: Any) -> type[Proxy]:
    """Return the stand-in of a class in api.json; a widget also has what QWidget has."""
    api = API[full_name]
    if inspect.isclass(qt_class) and issubclass(qt_class, QtWidgets.QWidget) and full_name != "qt.QWidget":
        base = API["qt.QWidget"]
        api = {
            kind: {**base[kind], **api[kind]} if kind == "properties" else [*base[kind], *api[kind]] for kind in base
        }  # fmt: skip
    name = full_name.partition(".")[2]
    created = ProxyType(
        name,
        (_classes.get("QWidget", Proxy) if "show()" in api["slots"] else Proxy,),
        {
            "qt_class": qt_class,
            "api": api,
            "_calls": frozenset(api["methods"]) | _base_names(api["slots"]),
            "_signals": _base_names(api["signals"]),
        },
    )
    _classes[name] = created
    return created


def wrap(value: Any) -> Any:
    """Return a Qt value as PythonQt passes it to Python."""
    if isinstance(value, list | tuple):
        return tuple(wrap(item) for item in value)
    if isinstance(value, QtCore.QObject):
        known = _proxies.get(shiboken6.getCppPointer(value)[0])
        if known is not None and shiboken6.isValid(known._qt):
            return known
        names = [base.__name__ for base in type(value).__mro__ if base.__name__ in _classes]
        if not names:
            return value  # an internal helper of Qt that no caller uses
        proxy = object.__new__(_classes[names[0]])
        proxy._adopt(value)
        return proxy
    if type(value).__name__ in PLAIN_METHODS:
        return PlainProxy(value)
    return value


def unwrap(value: Any) -> Any:
    """Return the Qt value behind a value from Python code."""
    if isinstance(value, list | tuple):
        return type(value)(unwrap(item) for item in value)
    return value._qt if isinstance(value, Proxy | PlainProxy) else value


def _property(qt_object: Any, name: str) -> Any:
    if _declared_type(qt_object, name) is not None:
        return qt_object.property(name)
    plain = {"visible": "isVisible", "enabled": "isEnabled"}.get(name, name)
    return getattr(qt_object, plain)()  # Qt 6 dropped some properties and kept their methods


def _as_declared(qt_object: Any, name: str, value: Any) -> Any:
    """Convert a value as PythonQt does: None to an empty text, and a whole number to a float."""
    kind = _declared_type(qt_object, name)
    if kind == "QString":
        return "" if value is None else str(value)
    convert = {"double": float, "bool": bool}.get(kind)
    return value if convert is None else convert(value)


_declared_types: dict[tuple[type, str], str | None] = {}


def _declared_type(qt_object: Any, name: str) -> str | None:
    """Return the C++ type of a property, None where the class has none of this name."""
    key = type(qt_object), name
    if key not in _declared_types:
        declared = qt_object.metaObject().property(qt_object.metaObject().indexOfProperty(name))
        _declared_types[key] = declared.typeName() if declared.isValid() else None
    return _declared_types[key]


def _base_names(signatures: list[str]) -> frozenset[str]:
    return frozenset(signature.partition("(")[0] for signature in signatures)


_WITH_ARGUMENTS: dict[int, Any] = {
    0: lambda call: lambda: call(),
    1: lambda call: lambda a: call(a),
    2: lambda call: lambda a, b: call(a, b),
    4: lambda call: lambda a, b, c, d: call(a, b, c, d),
}
"""PySide6 selects the overload of a signal by the number of arguments in the slot's signature."""


def _argument_count(signature: str) -> int:
    types = signature.partition("(")[2].rstrip(")")
    return types.count(",") + 1 if types else 0


def _most_arguments(callback: Any) -> int | None:
    """Return how many arguments the callback accepts; None for any number.

    PythonQt passes no more arguments than that to a plain function or method.
    """
    if not (inspect.isfunction(callback) or inspect.ismethod(callback)):
        return None
    code = getattr(callback, "__func__", callback).__code__
    if code.co_flags & inspect.CO_VARARGS:
        return None
    return int(code.co_argcount) - inspect.ismethod(callback)


def _identity(callback: Any) -> Any:
    return (id(callback.__self__), callback.__func__) if inspect.ismethod(callback) else callback


def forget_destroyed() -> None:
    """Drop the proxies of objects that Qt has destroyed, with everything that their connections hold."""
    for pointer in [pointer for pointer, proxy in _proxies.items() if not shiboken6.isValid(proxy._qt)]:
        del _proxies[pointer]


def application() -> QtWidgets.QApplication:
    """Return the only QApplication of the process."""
    _keep_none_alive()
    return QtWidgets.QApplication.instance() or QtWidgets.QApplication(["Slicer"])


@functools.cache
def _keep_none_alive() -> None:
    """Raise the reference count of None in Python versions before 3.12.

    PySide6 6.12 releases a reference to None with each call that returns nothing, as if None were immortal. It is
    immortal only from Python 3.12 on; in older versions the process ends when the count reaches zero.
    """
    if sys.version_info < (3, 12):
        ctypes.c_ssize_t.from_address(id(None)).value += 1 << 40


__all__ = [
    "API",
    "PlainProxy",
    "Proxy",
    "QtGui",
    "application",
    "failed_connections",
    "forget_destroyed",
    "make_class",
    "unwrap",
    "wrap",
]
