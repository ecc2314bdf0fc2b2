"""The compiled modules, and the rules that they bring for the others. ./check runs this with both kinds of package."""

import importlib
import inspect
import pkgutil
import tomllib
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import click.testing

import ottla
from ottla.cli import main
from ottla.cli.shared import is_compiled

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
FILES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]["compiled"]
COMPILED = {file.removesuffix(".py").replace("/", ".") for file in FILES}


def test_all_of_the_hot_path_is_compiled_or_nothing():
    origins = {name: str(importlib.import_module(name).__file__) for name in COMPILED}
    compiled = {name for name, origin in origins.items() if origin.endswith(tuple(EXTENSION_SUFFIXES))}
    assert compiled == (COMPILED if is_compiled() else set())


def test_what_inherits_from_a_compiled_class_is_compiled():
    modules = [each.name for each in pkgutil.walk_packages(ottla.__path__, "ottla.") if "__main__" not in each.name]
    left_out = [
        f"{cls.__qualname__} in {name}"
        for name in sorted(set(modules) - COMPILED)
        for _, cls in inspect.getmembers(importlib.import_module(name), inspect.isclass)
        if cls.__module__ == name and any(base.__module__ in COMPILED for base in cls.__bases__)
    ]
    assert left_out == []


def test_the_version_says_whether_it_is_compiled():
    said = click.testing.CliRunner().invoke(main, ["--version"]).output
    assert said == f"ottla {ottla.__version__}{' (compiled)' if is_compiled() else ''}\n"
