"""Whether tests see mutants of the code that all else rests on; lists those they miss.

    pip install cosmic-ray
    python benchmarks/mutation.py --number 40

cosmic-ray changes an operator, a number, a comparison or a keyword in one place of a
copy of the package, and the tests of that module run. Of each module so many mutants
are drawn.
"""

import argparse
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]

# Tests of each module, from the quickest on: the first that fails ends a mutant's run.
TESTS = {
    "_attention.py": "tests/test_attention.py",
    "_data/windows.py": "tests/test_training.py tests/test_networks.py "
    "tests/test_missing_values.py",
    "_var/extraction.py": "tests/test_coefficients.py",
    "_var/process.py": "tests/test_analysis.py",
    "_closed_form/ridge.py": "tests/test_ridge.py",
    "_closed_form/ridge_var.py": "tests/test_ridge.py tests/test_analysis.py",
    "_closed_form/error_correction.py": "tests/test_error_correction.py",
    "_files/archive.py": "tests/test_files.py",
    "_files/document.py": "tests/test_files.py",
    "_files/estimators.py": "tests/test_files.py",
    "_files/kinds.py": "tests/test_files.py",
    "_files/versions.py": "tests/test_files.py",
}
CONFIGURATION = """
[cosmic-ray]
module-path = "skvar/{module}"
timeout = {timeout}
excluded-modules = []
test-command = "{python} -m pytest -x -q -p no:cacheprovider {tests}"

[cosmic-ray.distributor]
name = "local"
"""


def run(module: str, number: int, seed: int, folder: Path) -> tuple[int, int]:
    """Mutants of a module that were drawn, and those that tests missed; prints them."""
    session = folder / "session.sqlite"
    session.unlink(missing_ok=True)
    text = CONFIGURATION.format(
        module=module, tests=TESTS[module], python=sys.executable, timeout=300
    )
    (folder / "mutation.toml").write_text(text)
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}

    def cosmic_ray(*arguments):
        command = [sys.executable, "-m", "cosmic_ray.cli", *arguments]
        return subprocess.run(
            command, cwd=folder, env=environment, check=True, capture_output=True
        )

    cosmic_ray("init", "mutation.toml", session.name)
    with sqlite3.connect(session) as database:
        jobs = [job for (job,) in database.execute("SELECT job_id FROM work_items")]
        drawn = random.Random(seed).sample(sorted(jobs), min(number, len(jobs)))
        for job in set(jobs) - set(drawn):
            database.execute("DELETE FROM mutation_specs WHERE job_id = ?", [job])
            database.execute("DELETE FROM work_items WHERE job_id = ?", [job])
    cosmic_ray("exec", "mutation.toml", session.name)
    with sqlite3.connect(session) as database:
        missed = database.execute(
            "SELECT diff FROM work_results WHERE test_outcome = 'SURVIVED'"
        ).fetchall()
    for (difference,) in missed:
        lines = difference.splitlines()
        changed = [line for line in lines[2:] if line.startswith(("+", "-", "@"))]
        print("\n".join(["", module, *changed]), flush=True)
    return len(drawn), len(missed)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=40, help="of each module")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", default=list(TESTS), choices=list(TESTS))
    given = parser.parse_args()
    counts = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("skvar", "tests", "benchmarks", "examples", "docs"):
            shutil.copytree(ROOT / part, folder / part)
        for part in ("pyproject.toml", "README.md"):
            shutil.copy(ROOT / part, folder / part)
        for module in given.only:
            counts[module] = run(module, given.number, given.seed, folder)
            n, missed = counts[module]
            print(f"{module}: {n - missed} of {n} seen", flush=True)
    total, missed = (sum(column) for column in zip(*counts.values(), strict=True))
    print(f"all: {total - missed} of {total} seen, {1 - missed / total:.0%}")
