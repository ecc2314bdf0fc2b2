"""Compiles the hot path with mypyc when a wheel is built, where there is a C compiler; else the wheel is pure Python.

The sources stay in the wheel: Python prefers a compiled module to the source beside it. An editable installation is
never compiled, so the edited sources run.
"""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SETUP = """
import sys
from mypyc.build import mypycify
from setuptools import setup
extensions = mypycify(["--ignore-missing-imports", *sys.argv[1:]], group_name="ottla", opt_level="1", debug_level="0")
setup(name="ottla", packages=[], ext_modules=extensions, script_args=["build_ext", "--build-lib", "compiled"])
"""
"""The script that compiles; a higher level of optimisation takes half a minute more and showed no difference."""


class HotPathHook(BuildHookInterface[Any]):
    """The build hook that adds the compiled modules to a wheel."""

    copy: TemporaryDirectory[str] | None = None

    def dependencies(self) -> list[str]:
        """Ask for the compiler only where it can be used."""
        return ["mypy[mypyc]>=2.4,<3", "setuptools>=80"] if can_compile() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile a copy of the package, and put the compiled modules into the wheel.

        Raises CalledProcessError if the compiler fails; HATCH_BUILD_NO_HOOKS=true skips the hook.
        """
        if self.target_name != "wheel" or version == "editable":
            return
        if not can_compile():
            self.app.display_warning("There is no C compiler for this Python: the hot path is not compiled.")
            return
        self.copy = TemporaryDirectory(prefix="ottla-build-")
        folder = Path(self.copy.name)
        shutil.copytree(Path(self.root, "ottla"), folder / "ottla")
        subprocess.run([sys.executable, "-c", SETUP, *self.config["compiled"]], cwd=folder, check=True)  # noqa: S603
        modules = [file for file in (folder / "compiled").rglob("*") if file.is_file()]
        build_data["force_include"] |= {str(file): str(file.relative_to(folder / "compiled")) for file in modules}
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, _version: str, _build_data: dict[str, Any], _artifact_path: str) -> None:
        """Remove the copy."""
        if self.copy is not None:
            self.copy.cleanup()


def can_compile() -> bool:
    """Return whether there is a C compiler, with the headers of a Python that mypyc supports."""
    command = (sysconfig.get_config_var("CC") or "").split()
    headers = Path(sysconfig.get_path("include"), "Python.h")
    return (
        sys.implementation.name == "cpython"
        and bool(command)
        and shutil.which(command[0]) is not None
        and headers.exists()
    )
