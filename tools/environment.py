"""Makes .venv from pyproject.toml when it is missing or old. Runs on any Python 3, before anything is installed."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / "python"
OLDEST = (3, 11)


def ensure(group=None):
    """Return the Python of an environment with Ottla (editable) and, if named, a dependency group."""
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    stamps = [VENV / ".ottla-dev", *([] if group else [VENV / ".ottla"])]  # the development one serves both
    if PYTHON.exists() and any(stamp.exists() and stamp.read_text() == wanted for stamp in stamps):
        return PYTHON
    print(f"Making the environment in {VENV.name} (only when pyproject.toml has changed)", file=sys.stderr, flush=True)
    uv = shutil.which("uv")
    try:
        _with_uv(uv, group) if uv else _with_pip(group)
        # The broker starts in half the time where its own code is compiled, too.
        _call(PYTHON, "-m", "compileall", "-q", ROOT / "ottla")
    except subprocess.CalledProcessError as error:
        sys.exit(f"The environment cannot be made: {' '.join(map(str, error.cmd))} failed, see above.")
    stamps[-1].write_text(wanted)
    return PYTHON


def _with_uv(uv, group):
    if not PYTHON.exists():  # or its interpreter was removed
        _call(uv, "venv", "--clear", "--quiet", "--python", f">={OLDEST[0]}.{OLDEST[1]}", VENV)
    _call(uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", PYTHON, "--editable", ROOT, *_group(group))


def _with_pip(group):
    if not PYTHON.exists():
        _call(_system_python(), "-m", "venv", "--clear", VENV)
    pip = (PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    _call(*pip, "pip>=25.1")  # the first version with dependency groups
    _call(*pip, "--editable", ROOT, *_group(group))


def _group(group):
    return ("--group", f"{ROOT / 'pyproject.toml'}:{group}") if group else ()


def _system_python():
    """Return a Python that is new enough: this one, or another on PATH."""
    if sys.version_info >= OLDEST:
        return sys.executable
    for minor in range(14, OLDEST[1] - 1, -1):
        found = shutil.which(f"python3.{minor}")
        if found:
            return found
    sys.exit(f"Ottla needs Python {OLDEST[0]}.{OLDEST[1]} or newer, and PATH has none.")


def _call(*command):
    subprocess.run(command, check=True)
