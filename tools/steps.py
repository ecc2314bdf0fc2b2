"""The steps of ./check. All of them run, even after a failure; the exit code is 0 if all passed."""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))

from tools import compiled  # noqa: E402  (found through the path above)

BIN = Path(sys.executable).parent
MAXIMUM_LINES = 600


class Step(NamedTuple):
    """One step: a command, or a function that returns problems; on the sources, or on the package that pip installs."""

    name: str
    what: str
    action: tuple[str, ...] | Callable[[], list[str]]
    as_installed: bool = False


class Outcome(NamedTuple):
    """The outcome of a step, with the last line that it printed."""

    name: str
    passed: bool
    seconds: float
    closing_line: str


def file_sizes() -> list[str]:
    """Return a problem for each source file that is too long."""
    files = sorted(file for folder in ("ottla", "tests") for file in (ROOT / folder).rglob("*.py"))
    sizes = [(file, len(file.read_text(encoding="utf-8").splitlines())) for file in files]
    return [
        f"{file.relative_to(ROOT)} has {lines} lines, more than {MAXIMUM_LINES}: split it by idea"
        for file, lines in sizes
        if lines > MAXIMUM_LINES
    ]


def tool(name: str, *arguments: str) -> tuple[str, ...]:
    """Return the command of a tool that is installed beside this Python."""
    return (str(BIN / name), *arguments)


PYTEST = tool("pytest", "-q", "-n", "2")
COMPILED_FIRST = ("-o", f"pythonpath={compiled.FOLDER} .")
BEFORE_TESTS = (
    Step("format", "every file is as ruff formats it", tool("ruff", "format", "--check", ".")),
    Step("lint", "ruff finds nothing", tool("ruff", "check", ".")),
    Step("types", "mypy --strict on the package", tool("mypy")),
    Step("surface", "pyright strict on the public modules", tool("pyright", "--pythonpath", sys.executable)),
    Step("layers", "each room imports only rooms below it", tool("lint-imports", "--no-logo")),
    Step("sizes", f"no file over {MAXIMUM_LINES} lines", file_sizes),
)
ALL = (
    *BEFORE_TESTS,
    Step("tests", "every test, with coverage", (*PYTEST, "--cov", "--cov-report=term")),
    Step("compiled", "every test, with the package as pip installs it", (*PYTEST, *COMPILED_FIRST), as_installed=True),
    Step("compat", "real clients against both brokers", (sys.executable, "compat/run", "--ci"), as_installed=True),
    Step(
        "comparison",
        "a part of the requests to both brokers, answers compared",
        (sys.executable, "compat/compare", "--part", "0.1"),
        as_installed=True,
    ),
)
FAST = (
    *BEFORE_TESTS,
    Step("tests", "the tests that are quick, without coverage", (*PYTEST, "-m", "not slow")),
)


# Writing bytecode files, of the tests too, saves a fifth of the time.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def run(step: Step) -> Outcome:
    """Run one step, and show its output."""
    print(f"\n== {step.name}: {step.what}", flush=True)
    began = time.monotonic()
    if callable(step.action):
        passed, closing_line = _call(step.action)
    else:
        passed, closing_line = _execute(step.action, as_installed=step.as_installed)
    return Outcome(step.name, passed, time.monotonic() - began, closing_line)


def _call(action: Callable[[], list[str]]) -> tuple[bool, str]:
    problems = action()
    print("\n".join(problems) or "no problems", flush=True)
    return not problems, problems[-1] if problems else ""


def _execute(command: tuple[str, ...], *, as_installed: bool) -> tuple[bool, str]:
    closing_line = ""
    try:
        environment = ENVIRONMENT | (compiled.environment() if as_installed else {})
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        print(error, flush=True)
        return False, str(error)
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="", flush=True)
        closing_line = line.strip() or closing_line
    if as_installed and not compiled.is_compiled():
        closing_line += " (without a C compiler nothing was compiled)"
    return process.wait() == 0, closing_line


def main() -> int:
    """Run the steps on the command line, and print a summary."""
    parser = argparse.ArgumentParser(prog="./check", description=__doc__)
    names = [step.name for step in ALL]
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"fast (under a minute), {', '.join(names)}")
    asked = parser.parse_args().steps
    unknown = [name for name in asked if name not in {"fast", *names}]
    if unknown:
        parser.error(f"unknown step {unknown[0]}; steps are fast, {', '.join(names)}")
    steps = FAST if "fast" in asked else tuple(step for step in ALL if step.name in asked or not asked)
    outcomes = [run(step) for step in steps]
    print()
    for outcome in outcomes:
        verdict = "passed" if outcome.passed else "FAILED"
        print(f"{outcome.name:8} {verdict} {outcome.seconds:7.1f} s  {outcome.closing_line}")
    failed = [outcome.name for outcome in outcomes if not outcome.passed]
    print(f"\n{'failed: ' + ', '.join(failed) if failed else 'all passed'} in {sum(o.seconds for o in outcomes):.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
