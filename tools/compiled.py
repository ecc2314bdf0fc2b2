"""Installs Ottla as pip does, with its hot path compiled, into a folder under .cache: for ./check and bench.

Without a C compiler it is the same package, with nothing compiled.
"""

import hashlib
import os
import shutil
import subprocess
import sys

from tools.environment import ROOT

FOLDER = ROOT / ".cache" / "compiled" / str(sys.implementation.cache_tag)


def ensure():
    """Return the folder that this checkout's package is installed in, after building it anew if it has changed."""
    stamp = FOLDER / ".built-from"
    state = _state()
    if not stamp.exists() or stamp.read_text() != state:
        print("Building the package as pip does (a minute)", file=sys.stderr, flush=True)
        shutil.rmtree(FOLDER, ignore_errors=True)
        uv = shutil.which("uv")
        if uv:
            install = (uv, "pip", "install", "--python", sys.executable, "--reinstall-package", "ottla")
        else:
            install = (sys.executable, "-m", "pip", "install", "--disable-pip-version-check")
        subprocess.run((*install, "--quiet", "--no-deps", "--target", FOLDER, ROOT), check=True)
        stamp.write_text(state)
    return FOLDER


def is_compiled():
    """Return whether the installed package has compiled modules."""
    return any(FOLDER.glob("ottla__mypyc.*"))


def environment():
    """Return the variables with which Python finds this package, and not the checkout's."""
    return {"PYTHONPATH": str(ensure()), "PYTHONSAFEPATH": "1"}


def enter():
    """Start this program again with the compiled package, unless it has it already."""
    if os.environ.get("PYTHONPATH") != str(FOLDER):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | environment())


def _state():
    state = hashlib.sha256(sys.version.encode())
    sources = sorted((ROOT / "ottla").rglob("*.py"))
    for file in (ROOT / "pyproject.toml", ROOT / "hatch_build.py", *sources):
        state.update(f"{file.relative_to(ROOT)}\0".encode() + file.read_bytes())
    return state.hexdigest()
