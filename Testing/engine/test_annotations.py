"""Types of bare arrays: docs/explanation/architecture.md states that a mask has the type ``Mask``."""

import ast
import re
from pathlib import Path

import LungTumorSegLib

ROOT = Path(LungTumorSegLib.__file__).parent
SECTIONS = re.compile(r"^(?:Args|Attributes):\n(?P<entries>(?:    .*\n?|\n)+)", re.MULTILINE)
ENTRY = re.compile(r"^    (?P<name>\w+): (?P<text>.*(?:\n        .*)*)", re.MULTILINE)


def documented_masks(docstring: str) -> set[str]:
    """The arguments or attributes that a docstring calls Boolean arrays."""
    entries = [entry for section in SECTIONS.finditer(docstring) for entry in ENTRY.finditer(section["entries"])]
    return {entry["name"] for entry in entries if re.search(r"\b(?:bool|Boolean array)\b", entry["text"])}


def annotations(node: ast.FunctionDef | ast.ClassDef) -> dict[str, str]:
    """The types of the arguments of a function, or of the fields of a class, by name."""
    if isinstance(node, ast.ClassDef):
        fields = [each for each in node.body if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)]
        return {each.target.id: ast.unparse(each.annotation) for each in fields}
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return {each.arg: ast.unparse(each.annotation) for each in arguments if each.annotation is not None}


def test_a_mask_is_not_typed_as_just_any_array():
    found, wrong = 0, []
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                masks = documented_masks(ast.get_docstring(node) or "")
                types = {name: kind for name, kind in annotations(node).items() if name in masks}
                found += len(types)
                wrong += [f"{path.name}: {node.name}({name})" for name, kind in types.items() if "Array" in kind]
    assert found > 100  # so that a change of the docstrings' form does not make this test blind
    assert not wrong
