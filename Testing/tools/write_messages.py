"""Writes the list of messages in docs/reference/messages.md from the code: ``python Testing/tools/write_messages.py``.

An error is what the code gives to one of the exceptions of ``core/errors.py``. A warning is any other sentence in the
rooms that give warnings. Words in italics stand for what a message inserts.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

from LungTumorSegLib.core.errors import CANCELLED, MACHINE, UNUSABLE

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "LungTumorSeg" / "LungTumorSegLib"
PAGE = ROOT / "docs" / "reference" / "messages.md"

HEADING = "## All messages"
INTRO = """
<!-- From here on written by Testing/tools/write_messages.py; a test compares it with the code. -->

Words in *italics* stand for what the message inserts, [brackets] enclose what it may leave out, and "a / b" means one or the other. "Error 2" is an error that ends the command with exit code 2.
"""  # noqa: E501

STAGES = {
    "Arguments and options": ("options.py", "core/option.py", "commands"),
    "Reading CTs and segmentations": ("io", "core"),
    "Lung isolation": ("isolation",),
    "Models": ("weights", "networks"),
    "Search for lesions": ("inference", "pipeline.py"),
    "Second look, and outlines of points and boxes": ("refinement",),
    "Measures": ("lesions",),
    "Corrections": ("correction",),
    "Comparison of examinations": ("followup",),
    "Writing results": ("results", "report"),
    "Many CTs": ("cohort",),
    "Accuracy": ("evaluation",),
    "Processes and the machine": ("process",),
    "Synthetic CTs": ("phantom",),
    "Slicer's scene": ("mrml",),
    "Training": ("training",),
}
"""The files and folders of the package whose messages a section lists."""

ERROR_UNUSABLE, ERROR_MACHINE = f"error {UNUSABLE}", f"error {MACHINE}"

ERRORS = {
    "UnusableInput": (ERROR_UNUSABLE, (0,)),
    "WrongConfig": (ERROR_UNUSABLE, (0,)),
    "ChoiceMissing": (ERROR_UNUSABLE, (0, 2)),
    "MachineLimit": (ERROR_MACHINE, (0,)),
    "Cancelled": (f"error {CANCELLED}", (0,)),
    "require": (ERROR_UNUSABLE, (1,)),  # a function that raises UnusableInput
}
"""What an exception is to the user, and which of its arguments are messages."""

KINDS = {
    **dict.fromkeys(("io", "isolation", "inference", "refinement", "lesions", "followup"), "warning"),
    "core/selection.py": "warning",
    "results/exports.py": "warning",
    "results/reader.py": "warning",
    "results/writer.py": "warning",
    "core/errors.py": ERROR_UNUSABLE,
    "core/machine.py": ERROR_MACHINE,
    "cohort/discovery.py": "reason in cohort.csv",
    "cohort/input_table.py": ERROR_UNUSABLE,
    "cohort/run_item.py": "reason in cohort.csv",
    "cohort/schedule.py": "reason in cohort.csv",
    "followup/recist.py": "reason of a response",
    "followup/response.py": "remark",
}
"""What a sentence is that no exception is raised with, by folder or file; elsewhere it is nothing for this page."""

TRANSPARENT = {"shown", "quoted", "printable", "bounded", "str", "repr", "sorted", "listed", "round", "abs", "float"}
"""Functions that show a value, which the placeholder is named for."""

METHODS = {"get", "lower", "upper", "strip", "replace", "capitalize"}
"""Methods that show the value to which they belong."""

NAMES = {
    "error": "reason",
    "strerror": "reason",
    "each": "name",
    "GetName": "name",
    "uid": "UID",
    "join": "list",
    "len": "number",
    "_in_words": "point",
    "_values": "list",
}
"""Placeholders that have another name than the code."""

SILENT = (ast.Name, ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)

UNITS = re.compile(r"_(ml|mm|hu|lps|bytes)$")
MOST_CHOICES, LONGEST_CHOICE = 3, 80
"""Number and length of the texts that are listed where a message inserts one of several."""


@dataclass(frozen=True, eq=False)
class Module:
    """The code of one file: its nodes with their functions, its names and from where it imports others."""

    nodes: list[tuple[ast.FunctionDef | None, ast.AST]]
    values: dict[str, ast.expr]
    functions: dict[str, ast.FunctionDef]
    imports: dict[str, tuple[Path, str]]


@cache
def module_of(path: Path) -> Module:
    """Return what a file defines and imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    values = {name: value for node in tree.body if isinstance(node, ast.Assign) for name, value in _assigned(node)}
    nodes = _scopes(tree)
    functions = {node.name: node for _, node in nodes if isinstance(node, ast.FunctionDef)}
    imports = {
        name.asname or name.name: (path.parents[node.level - 1].joinpath(*(node.module or "").split(".")), name.name)
        for _, node in nodes
        if isinstance(node, ast.ImportFrom) and node.level
        for name in node.names
    }
    return Module(nodes, values, functions, {name: (p.with_suffix(".py"), own) for name, (p, own) in imports.items()})


def _scopes(tree: ast.Module) -> list[tuple[ast.FunctionDef | None, ast.AST]]:
    """Return the nodes that may say something, in the order of the code, each with its function.

    Docstrings, parts of strings, names and operators say nothing, and a log entry says nothing to the user.
    """
    found: list[tuple[ast.FunctionDef | None, ast.AST]] = []
    waiting: list[tuple[ast.FunctionDef | None, ast.AST]] = [(None, tree)]
    while waiting:
        scope, node = waiting.pop()
        if isinstance(node, SILENT) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            continue
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "exception":
            continue
        found.append((scope, node))
        if not isinstance(node, ast.JoinedStr):
            inner = node if isinstance(node, ast.FunctionDef) else scope
            waiting += [(inner, child) for child in reversed(list(ast.iter_child_nodes(node)))]
    return found


@cache
def _assignments(scope: ast.FunctionDef) -> list[tuple[str, ast.expr]]:
    """Return each variable that a function assigns, with its value."""
    return [pair for node in ast.walk(scope) if isinstance(node, ast.Assign) for pair in _assigned(node)]


def _assigned(node: ast.Assign) -> Iterator[tuple[str, ast.expr]]:
    """Yield each variable of an assignment with its value."""
    for target in node.targets:
        if isinstance(target, ast.Name):
            yield target.id, node.value
        elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            for name, value in zip(target.elts, node.value.elts, strict=True):
                if isinstance(name, ast.Name):
                    yield name.id, value


@dataclass(eq=False)
class Reader:
    """Reads texts in one function, or at the top of a file (``scope`` is None).

    Attributes:
        path: The file.
        scope: The function.
        seen: Receives the id of each string that was read.
        depth: Number of calls and names that were followed.
    """

    path: Path
    scope: ast.FunctionDef | None
    seen: set[int]
    depth: int = 0

    def texts(self, node: ast.expr) -> list[str]:
        """Return what an expression may say; an empty list if that cannot be read from the code."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            self.seen.add(id(node))
            return [node.value]
        if isinstance(node, ast.JoinedStr):
            self.seen.add(id(node))
            text = "".join(self._part(part) for part in node.values)
            return [re.sub(r"\*([^*]+)\*\*([^*]+)\*", r"*\1 \2*", text)]  # Markdown would take ** for bold
        if isinstance(node, ast.IfExp):
            choices = self.texts(node.body), self.texts(node.orelse)
            return [*choices[0], *choices[1]] if all(choices) else []
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return [a + b for a, b in product(self.texts(node.left), self.texts(node.right))]
        if self.depth > 4:
            return []
        if isinstance(node, ast.Name):
            return self._named(node.id)
        if isinstance(node, ast.Call):
            return self._called(node.func)
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            table = module_of(self.path).values.get(node.value.id)
            return [text for value in table.values for text in self.texts(value)] if isinstance(table, ast.Dict) else []
        return []

    def _part(self, node: ast.expr) -> str:
        """Return a part of an f-string: its text, its choices or a placeholder."""
        if not isinstance(node, ast.FormattedValue):
            return "".join(self.texts(node))
        number = self._constant(node.value)
        if number is not None:
            return number
        choices = list(dict.fromkeys(self.texts(node.value)))
        whole = [text for text in choices if text]
        if whole and (len(whole) == 1 or (len(whole) <= MOST_CHOICES and max(map(len, whole)) <= LONGEST_CHOICE)):
            joined = " / ".join(whole)
            return f"[{joined}]" if len(whole) < len(choices) else joined
        return f"*{placeholder(node.value)}*"

    def _constant(self, node: ast.expr) -> str | None:
        """Return the number that a name in capital letters stands for."""
        if not isinstance(node, ast.Name) or not node.id.isupper():
            return None
        path, name = module_of(self.path).imports.get(node.id, (self.path, node.id))
        value = module_of(path).values.get(name) if path.is_file() else None
        if isinstance(value, ast.Constant) and isinstance(value.value, int | float):
            return f"{value.value:g}"
        return None

    def _named(self, name: str) -> list[str]:
        """Return what a variable may say."""
        inner = Reader(self.path, self.scope, self.seen, self.depth + 1)
        if self.scope is not None:
            assigned = [value for own, value in _assignments(self.scope) if own == name]
            if assigned:
                return [text for value in assigned for text in inner.texts(value)]
        path, own = module_of(self.path).imports.get(name, (self.path, name))
        if path.is_file() and own in module_of(path).values:
            return Reader(path, None, self.seen, self.depth + 1).texts(module_of(path).values[own])
        return []

    def _called(self, function: ast.expr) -> list[str]:
        """Return what a function of the package may return, or a text with the placeholders of ``format``."""
        if isinstance(function, ast.Attribute) and function.attr == "format":
            return [re.sub(r"\{(\w+)[^}]*\}", r"*\1*", text) for text in self.texts(function.value)]
        if not isinstance(function, ast.Name) or function.id in TRANSPARENT:
            return []
        path, name = module_of(self.path).imports.get(function.id, (self.path, function.id))
        found = module_of(path).functions.get(name) if path.is_file() else None
        if found is None:
            return []
        reader = Reader(path, found, self.seen, self.depth + 1)
        returned = [node.value for node in ast.walk(found) if isinstance(node, ast.Return) and node.value is not None]
        return [text for value in returned for text in reader.texts(value)]


def placeholder(node: ast.expr) -> str:
    """Return the words that stand for a value in a message."""
    if isinstance(node, ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if name in METHODS and isinstance(node.func, ast.Attribute):
            return placeholder(node.func.value)
        if name in TRANSPARENT and node.args:
            shown = placeholder(node.args[0])
            return "list" if shown == "…" else shown
        return placeholder(ast.Name(name))
    if isinstance(node, ast.Subscript | ast.Starred):
        return placeholder(node.value)
    if isinstance(node, ast.BinOp):
        return placeholder(node.left if not isinstance(node.left, ast.Constant) else node.right)
    if isinstance(node, ast.UnaryOp):
        return placeholder(node.operand)
    if isinstance(node, ast.BoolOp):
        return placeholder(node.values[0])
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return UNITS.sub("", NAMES.get(name, name).lower()).replace("_", " ").strip() or "…"


def messages(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the messages of a file, each with what it is, in the order of the code."""
    name = path.relative_to(PACKAGE).as_posix()
    folder = name.split("/")[0]
    seen: set[int] = set()
    found: list[tuple[int, str, str]] = []
    for scope, node in module_of(path).nodes:
        if isinstance(node, ast.Call):
            code, arguments = _error(node, folder)
            texts = [text for argument in arguments for text in Reader(path, scope, seen).texts(argument)]
            found += [(node.lineno, each, code) for each in texts if code and _is_error(each)]
    kind = KINDS.get(name, KINDS.get(folder, ""))
    for scope, node in module_of(path).nodes if kind else ():
        if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in seen:
            texts = Reader(path, scope, seen).texts(node)
            found += [(node.lineno, each, kind) for each in texts if _is_sentence(each)]
    for _, text, what in sorted(found, key=lambda each: each[0]):
        yield text, what


def _error(call: ast.Call, folder: str) -> tuple[str, list[ast.expr]]:
    """Return what an exception is to the user, and its messages; "" if the user does not see it."""
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    code, positions = ERRORS.get(name, ("error" if name == "ValueError" and folder == "mrml" else "", (0,)))
    known = bool(code) or name.endswith("Error")
    return code, [call.args[position] for position in positions if known and position < len(call.args)]


def _is_sentence(text: str) -> bool:
    return text.endswith((".", "*reason*")) and len(text.split()) > 3


def _is_error(text: str) -> bool:
    """Return whether a text says something itself, and does not only name what another error is about."""
    own = re.sub(r"\*[^*]+\*", "", text)
    return not text.endswith((": *reason*", ": *message*")) and re.search(r"[a-z] |[a-z]\.| [a-z]", own) is not None


def listing() -> str:
    """Return the tables of all messages, one per stage."""
    sections, listed = [], set()
    for title, places in STAGES.items():
        files = [path for place in places for path in _files(PACKAGE / place) if path not in listed]
        listed |= set(files)
        rows = dict.fromkeys(row for path in files for row in messages(path))
        lines = [f"| {text.replace('|', '&#124;')} | {kind} |" for text, kind in rows]
        sections.append("\n".join([f"\n### {title}\n", "| message | kind |", "|---|---|", *lines, ""]))
    return "".join(sections)


def _files(place: Path) -> list[Path]:
    return [place] if place.is_file() else sorted(place.rglob("*.py"))


def page(text: str) -> str:
    """Return the page with its list of messages updated."""
    return text.split(HEADING)[0] + HEADING + "\n" + INTRO + listing()


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
