"""The house keeps its order: families mirror each other, rooms stay small, and every module of weight has its tests."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OTTLA = ROOT / "ottla"
TESTS = ROOT / "tests"

MODULES = sorted(path for path in OTTLA.rglob("*.py") if not path.stem.startswith("__"))
ROOMS = sorted(path.parent for path in OTTLA.rglob("__init__.py"))
FAMILIES = sorted(path.stem for path in (OTTLA / "broker" / "handlers").glob("*.py") if path.stem != "__init__")

ABOUT_FIFTEEN = 18
"""Maximum number of modules in a room. Fifteen can be seen at a glance; three more are allowed, so that one module too
many asks for a thought about the room rather than for a hasty merge."""

SAME_MEANING = {
    **dict.fromkeys(FAMILIES, "a family of APIs: its messages and its handlers"),
    "compression": "the codecs of batches: how they work, and which one a topic wants",
    "group_records": "the records of `__consumer_offsets`: their fields, and what coordinators make of them",
    "shard": "the state of one partition of a coordinator: what the engine asks of any, and the groups' own",
}
"""Names that modules in several rooms may share, with what they mean in each."""

WEIGHT = 60
"""Maximum number of lines that a module has without tests of its own: those of its callers do."""

DECLARATIONS = "wire/messages"
"""Declared messages are found and tested by tests/wire all together, not one module after the other."""


def place(path: Path) -> str:
    """A module's path within the package, such as ``broker/cluster/elections``."""
    return path.relative_to(OTTLA).with_suffix("").as_posix()


def docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text())) or ""


def test_there_is_a_house():
    assert len(MODULES) > 100
    assert len(ROOMS) > 20
    assert "produce" in FAMILIES


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_has_handlers_messages_and_tests_of_one_name(family):
    assert (OTTLA / "wire" / "messages" / f"{family}.py").is_file()
    assert (TESTS / "broker" / f"test_{family}.py").is_file()


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.relative_to(ROOT).as_posix())
def test_a_room_says_what_it_is_for_and_holds_about_fifteen_modules(room):
    assert docstring(room / "__init__.py")
    modules = [path.stem for path in room.glob("*.py") if path.stem != "__init__"]
    assert len(modules) <= ABOUT_FIFTEEN, modules


def test_one_name_means_one_thing():
    rooms = defaultdict(list)
    for path in MODULES:
        rooms[path.stem].append(place(path))
    shared = {stem: places for stem, places in rooms.items() if len(places) > 1}
    assert {stem: places for stem, places in shared.items() if stem not in SAME_MEANING} == {}
    assert SAME_MEANING.keys() == shared.keys(), "SAME_MEANING allows a name that only one module has"


def test_every_module_of_weight_has_tests_of_its_name_or_is_named_by_a_test_module():
    """By name under the mirrored folder; or as ``room/module`` in the docstring at the top of a test module."""
    named = set(re.findall(r"\w+/\w+", " ".join(docstring(path) for path in TESTS.rglob("test_*.py"))))
    missing = []
    for path in MODULES:
        if len(path.read_text().splitlines()) <= WEIGHT or place(path).startswith(DECLARATIONS):
            continue
        folder = path.relative_to(OTTLA).parent
        if folder == Path("broker/handlers"):
            folder = Path("broker")  # The top of tests/broker is the list of families.
        is_mirrored = (TESTS / folder / f"test_{path.stem}.py").is_file()
        if not is_mirrored and f"{path.parent.name}/{path.stem}" not in named:
            missing.append(place(path))
    assert not missing, "these modules have no tests of their own: " + ", ".join(missing)
