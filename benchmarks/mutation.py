"""Do the tests notice when the mathematics is changed? One change at a time, and the tests have to fail.

    python benchmarks/mutation.py                              # all modules of TESTS, hours on one core
    python benchmarks/mutation.py losses/links --share 0.2     # a random fifth of one

Cosmic Ray's operators and those below make the mutants, in a copy of the package. Each runs in a fork of a
process that has imported the libraries already: starting anew would take longer than most tests that kill.
The test files of TESTS come one after another until one fails. What survives them all has to be listed, with
the reason, in mutation_survivors.md; other survivors are printed, and make the exit status 1.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

# Before the libraries load OpenMP: a fork after a parallel region would hang.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
# The formulas in NumPy are changed, and so they have to be those that train.
os.environ["FOCAL_GBM_KERNEL"] = "numpy"
# An editable install would import the package from its sources, and never the changed copy.
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in type(finder).__module__]
sys.dont_write_bytecode = True  # two mutants of one second and one size would be taken for the same

import pytest
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators import (
    binary_operator_replacement,
    boolean_replacer,
    break_continue,
    comparison_operator_replacement,
    exception_replacer,
    number_replacer,
    remove_decorator,
    unary_operator_replacement,
    zero_iteration_for_loop,
)
from cosmic_ray.operators.operator import Operator
from parso.python.tree import Keyword

ROOT = Path(__file__).parent.parent
SURVIVORS = Path(__file__).parent / "mutation_survivors.md"

#: Module: the test files that should notice, those first that notice most for their time; a part of one,
#: by pytest's -k, before all of it.
TESTS = {
    "losses/links": (
        "links_multiclass losses_binary:link links_multilabel gamma_by_class losses_binary start_and_link "
        "metrics properties"
    ),
    "losses/margin": "losses_multiclass losses_binary gamma_by_class objectives cuda_objective extreme_data",
    "losses/focal": "losses_binary losses_multiclass links_multiclass gamma_by_class objectives",
    "losses/sigmoid": "gamma_by_class losses_binary objectives bad_input metrics extreme_data start_and_link",
    "losses/softmax": "losses_multiclass multiclass_objective gamma_by_class bad_input metrics extreme_data",
    "losses/per_label": "multilabel_estimators gamma_by_class objectives metrics bad_input",
    "training/alpha": "alpha bad_input counts gamma_by_class multilabel_estimators",
    "training/gamma": "gamma_by_class bad_input counts",
    "training/objective": (
        "objectives multiclass_objective cuda_objective gamma_by_class bad_input extreme_data "
        "cost_of_a_round multilabel_estimators"
    ),
}

_IMPORTS = "scipy.stats sklearn.utils.estimator_checks pandas hypothesis mpmath xgboost lightgbm"

_OPTIONS = ["-x", "-q", "-p", "no:cacheprovider", "-m", "not slow and not dask and not opencl"]
_OPTIONS += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # Hypothesis was imported before pytest began

#: What Cosmic Ray does to an operator: the opposite and one neighbour. Bit operators in the place of + would
#: only raise, and a mutant that any test kills says nothing.
_BINARY = (
    "Add_Sub Add_Mul Sub_Add Sub_Mul Mul_Div Mul_Add Div_Mul Div_Sub FloorDiv_Mul Pow_Mul BitAnd_BitOr "
    "LShift_RShift"
)
_COMPARISON = "Lt_LtE Lt_GtE LtE_Lt LtE_Gt Gt_GtE Gt_LtE GtE_Gt GtE_Lt Eq_NotEq NotEq_Eq Is_IsNot IsNot_Is"
_UNARY = "Delete_USub Delete_Invert Delete_Not"

#: Names that stand for one another in this package's mathematics.
_TWINS = {
    "add": "subtract", "subtract": "add", "multiply": "divide", "maximum": "minimum", "minimum": "maximum",
    "exp": "expm1", "log1p": "log", "expm1": "exp", "log": "log1p", "abs": "negative", "negative": "positive",
    "floor": "ceil", "reciprocal": "negative", "sqrt": "square", "argmax": "argmin", "argmin": "argmax",
    "max": "min", "min": "max", "all": "any", "any": "all", "sum": "max", "mean": "max", "ones": "zeros",
    "zeros": "ones", "logaddexp": "maximum", "expit": "exp", "float32": "float64", "float64": "float32",
}  # fmt: skip


class Swap(Operator):
    """Put another function, dtype or in-place operator in the place of one."""

    _in_place = {"+=": "-=", "-=": "+=", "*=": "/=", "/=": "*=", "&=": "|="}  # noqa: RUF012

    def _other(self, node):
        if node.type == "operator":
            return self._in_place.get(node.value)
        is_definition = node.type == "name" and node.parent.type in {"param", "funcdef", "import_as_names"}
        if (
            node.type != "name"
            or is_definition
            or (node.parent.type == "argument" and node.parent.children[0] is node)
        ):
            return None
        return _TWINS.get(node.value)

    def mutation_positions(self, node):
        if self._other(node):
            yield node.start_pos, node.end_pos

    def mutate(self, node, index):
        node.value = self._other(node)
        return node

    @classmethod
    def examples(cls):
        return ()


class Delete(Operator):
    """Leave out a statement that works in place, or the writing of an attribute."""

    def _is_in_place(self, node):
        if node.type == "expr_stmt":
            return node.children[1].type == "operator" and node.children[1].value != "="
        # a call for its effect: the whole statement
        return node.type == "atom_expr" and node.parent.type == "simple_stmt"

    def mutation_positions(self, node):
        if self._is_in_place(node):
            yield node.start_pos, node.end_pos

    def mutate(self, node, index):
        first = node.get_first_leaf()
        return Keyword("pass", first.start_pos, prefix=first.prefix)

    @classmethod
    def examples(cls):
        return ()


def operators():
    chosen = [Swap, Delete]
    for module, names in (
        (binary_operator_replacement, _BINARY),
        (comparison_operator_replacement, _COMPARISON),
        (unary_operator_replacement, _UNARY),
    ):
        for operator in module.operators():
            if operator.__name__.split("_", 1)[1] in names.split():
                chosen.append(operator)
    chosen += [
        boolean_replacer.AddNot,
        boolean_replacer.ReplaceTrueWithFalse,
        boolean_replacer.ReplaceFalseWithTrue,
        boolean_replacer.ReplaceAndWithOr,
        boolean_replacer.ReplaceOrWithAnd,
        break_continue.ReplaceBreakWithContinue,
        break_continue.ReplaceContinueWithBreak,
        exception_replacer.ExceptionReplacer,
        number_replacer.NumberReplacer,
        remove_decorator.RemoveDecorator,
        zero_iteration_for_loop.ZeroIterationForLoop,
    ]
    return chosen


def mutants(source):
    """Yield every changed source once, with the lines before and after."""
    seen = {ast.dump(ast.parse(source))}
    lines = source.splitlines()
    for operator in operators():
        index = 0
        while (code := mutate_code(source, operator(), index)) is not None:
            index += 1
            try:
                tree = ast.dump(ast.parse(code))
            except SyntaxError:  # the lone * of keyword-only parameters is an operator to Cosmic Ray
                continue
            if tree in seen:
                continue
            seen.add(tree)
            changed = code.splitlines()
            at = next(i for i, pair in enumerate(zip(lines, changed, strict=False)) if pair[0] != pair[1])
            before, after = (" ".join(line.split()) for line in (lines[at], changed[at]))
            yield code, at + 1, f"{before}  ->  {after}"


class FirstFailure:
    """A pytest plugin that writes the name of the first test function to fail into a file."""

    def __init__(self, file):
        self.file = file

    def pytest_runtest_logreport(self, report):
        if report.failed and not self.file.exists():
            self.file.write_text(report.nodeid.partition("[")[0])


def run_tests(folder, tests, timeout, write_bytecode=False):
    """Run tests in a fork until one fails; return pytest's exit status, or None when it took too long."""
    sys.stdout.flush()
    killer = folder / "killer"
    killer.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        code = 3
        try:
            os.setpgid(0, 0)
            os.chdir(folder)
            log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1)
            os.dup2(log, 2)
            sys.path.insert(0, str(folder))
            sys.dont_write_bytecode = not write_bytecode
            code = int(pytest.main([*_OPTIONS, *tests], plugins=[FirstFailure(killer)]))
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def try_mutant(folder, line, stages, limits, killers):
    """Return "killed", "timed out" or "survived"; `killers` are pairs of line and test."""
    by_distance = sorted(killers, key=lambda pair: abs(pair[0] - line))
    nearest = list(dict.fromkeys(test for _, test in by_distance))[:2]
    for tests, limit in [*([(nearest, sum(limits))] if nearest else []), *zip(stages, limits, strict=True)]:
        status = run_tests(folder, tests, limit)
        if status is None:
            return "timed out"
        # a signal, a failure, a module that cannot be imported, not even by conftest.py
        if status < 0 or status in (1, 2, 4):
            if (folder / "killer").exists():
                killers.insert(0, (line, (folder / "killer").read_text()))
            return "killed"
        if status != 0:
            raise RuntimeError((folder / "log").read_text())
    return "survived"


def explained():
    """Return the listed survivors, "module: before -> after", and the reason of each."""
    reasons, reason = {}, ""
    for line in SURVIVORS.read_text().splitlines() if SURVIVORS.exists() else []:
        if line.startswith("## "):
            reason = line[3:]
        elif line.startswith("- `"):
            reasons[line[3:].rstrip("`")] = reason
    return reasons


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", default=list(TESTS), help="of: " + ", ".join(TESTS))
    parser.add_argument(
        "--share", type=float, default=1.0, help="of the mutants, drawn at random with seed 0"
    )
    parser.add_argument("--only", help="the mutants whose line matches this regular expression")
    parser.add_argument(
        "--listed", action="store_true", help="only the listed survivors: do they still survive?"
    )
    parser.add_argument("--files", type=int, help="run only so many test files of each module")
    parser.add_argument("--json", type=Path, help="write counts and survivors there")
    options = parser.parse_args()

    # What takes long to import, and nothing of focal_gbm, which is to be imported changed
    for name in _IMPORTS.split():
        __import__(name)
    known = explained()
    results, strangers = {}, 0
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for part in ("focal_gbm", "tests", "benchmarks", "docs"):
            shutil.copytree(
                ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__", "_build")
            )
        for file in ROOT.glob("*.*"):
            if file.is_file():
                shutil.copy(file, folder)
        for module in options.modules:
            path = folder / "focal_gbm" / f"{module}.py"
            source = path.read_text()
            stages = [
                [f"tests/test_{file}.py", *(["-k", part] if part else [])]
                for file, _, part in (name.partition(":") for name in TESTS[module].split()[: options.files])
            ]
            stages[0].append(f"focal_gbm/{module}.py")  # its doctests
            limits = []
            for tests in stages:
                began = time.monotonic()
                if run_tests(folder, tests, 600, write_bytecode=True) != 0:
                    sys.exit((folder / "log").read_text())
                limits.append(3 * (time.monotonic() - began) + 10)
            for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
                compiled.unlink()
            cases = list(mutants(source))
            if options.only:
                cases = [case for case in cases if re.search(options.only, case[2])]
            if options.listed:
                cases = [case for case in cases if f"{module}: {case[2]}" in known]
            n_made = len(cases)
            if options.share < 1:
                cases = random.Random(0).sample(cases, max(1, round(options.share * n_made)))
            counts, survivors, killers = Counter(), [], []
            began = time.monotonic()
            for code, line, change in cases:
                path.write_text(code)
                outcome = try_mutant(folder, line, stages, limits, killers)
                counts[outcome] += 1
                if outcome == "survived":
                    name = f"{module}: {change}"
                    survivors.append(name)
                    if name not in known:
                        strangers += 1
                        print(f"survives: {line}: - `{name}`", flush=True)
            path.write_text(source)
            results[module] = {
                "made": n_made,
                "run": len(cases),
                "killed": counts["killed"],
                "timed_out": counts["timed out"],
                "survived": counts["survived"],
                "explained": sum(name in known for name in survivors),
                "survivors": survivors,
                "seconds": round(time.monotonic() - began),
            }
            row = {key: value for key, value in results[module].items() if key != "survivors"}
            print(module, row, flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    sys.exit(1 if strangers else 0)


if __name__ == "__main__":
    main()
