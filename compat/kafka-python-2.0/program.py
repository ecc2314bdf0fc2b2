"""kafka-python's program with the names of version 2."""

import runpy
import sys
from pathlib import Path

here = Path(__file__).resolve().parent
program = here.parent / "kafka-python" / "program.py"
sys.path[:0] = [str(here), str(program.parent)]
runpy.run_path(str(program), run_name="__main__")
