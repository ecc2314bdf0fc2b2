"""The documents agree with the code."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from compat.apache.known import KNOWN
from ottla.broker.settings.broker_config import DEFINITIONS, OUR_DEFAULTS
from tools import apis, settings

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


def rows(document: str, columns: int) -> list[list[str]]:
    text = (ROOT / document).read_text(encoding="utf-8")
    cells = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return [row for row in cells if len(row) == columns and not set(row[0]) <= set("-")]


def test_configuration_lists_the_defaults_that_differ_and_no_other():
    written = {row[0].strip("`"): row[1:3] for row in rows("docs/configuration.md", 4)[1:]}
    assert {name: ours for name, (_, ours) in written.items()} == OUR_DEFAULTS
    for name, (apache, _) in written.items():
        definition = DEFINITIONS[name]
        assert apache == (definition.write(definition.default) or "none, must be set")


@pytest.mark.parametrize("tool", [apis, settings], ids=lambda tool: tool.__name__)
def test_what_is_written_from_tables_is_up_to_date(tool):
    written = tool.DOCUMENT.read_text(encoding="utf-8")
    assert written == tool.markdown(), f"run .venv/bin/python {tool.__name__.replace('.', '/')}.py"


def test_each_deviation_has_one_row_and_what_the_comparison_knows_is_among_them():
    explained = [row[0] for row in rows("docs/deviations.md", 4)]
    headings = explained.count("API or place")
    assert len(explained) == len(set(explained)) + headings - 1
    assert {known.deviation for known in KNOWN} <= set(explained)


def test_each_dependency_has_a_line_that_says_why():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    required = [
        *project["build-system"]["requires"],
        *project["project"]["dependencies"],
        *project["dependency-groups"]["dev"],
    ]
    names = {re.split(r"[><=; ]", requirement, maxsplit=1)[0] for requirement in required}
    explained = {name for row in rows("docs/dependencies.md", 3) for name in row[0].split(", ")}
    assert explained - {"package"} == names


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files_that_exist(document):
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text(encoding="utf-8"))
    assert [target for target in targets if not (document.parent / target).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_code_that_is_named_exists(document):
    named = re.findall(r"`((?:ottla|docs|tests|tools|compat)/[\w./-]+\.\w+)`", document.read_text(encoding="utf-8"))
    assert [name for name in named if "FAMILY" not in name and not (ROOT / name).exists()] == []


def names_in(module: Path) -> set[str]:
    """Functions, classes and their methods, as ``Class.method``."""
    found: set[str] = set()

    def visit(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                found.add(prefix + child.name)
                if isinstance(child, ast.ClassDef):
                    visit(child, f"{prefix}{child.name}.")

    visit(ast.parse(module.read_text(encoding="utf-8")), "")
    return found


def test_places_that_are_named_as_file_and_function_exist():
    text = (ROOT / "docs" / "internals.md").read_text(encoding="utf-8")
    places = re.findall(r"`(ottla/[\w/]+\.py):([\w.]+)`", text)
    assert len(places) > 20
    assert [f"{file}:{name}" for file, name in places if name not in names_in(ROOT / file)] == []


def test_the_map_shows_the_rooms_in_the_order_of_the_layers():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    [layers] = [each["layers"] for each in contracts if each.get("containers") == ["ottla.broker"]]
    level = {room.strip(): number for number, layer in enumerate(layers) for room in layer.split("|")}
    architecture = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    block = architecture.split("```")[1]
    broker = block[block.index("  broker/\n") :].splitlines()[1:]
    shown: list[str] = []
    for line in broker:
        if not line.startswith("    "):
            break
        if line.startswith("      "):
            continue  # a room within the room above
        names = re.split(r" {3,}", line.strip(), maxsplit=1)[0].split()
        shown += [name.split("/")[0] for name in names]
    assert set(shown) == level.keys()
    assert [level[name] for name in shown] == sorted(level[name] for name in shown)


def test_the_map_names_every_room():
    block = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").split("```")[1]
    named = set(re.findall(r"[a-z_]+", block))
    rooms = {path.parent for path in (ROOT / "ottla").rglob("__init__.py")} - {ROOT / "ottla"}
    assert [str(room) for room in rooms if room.name not in named] == []
