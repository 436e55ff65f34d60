"""The command line: what it prints, refuses and writes, whatever the terminal can show."""

import io
import json
import os
import re
import shlex
import subprocess
import sys

import jsonschema
import numpy as np
import pytest
from test_compare import made
from typer.testing import CliRunner

from focal_gbm import __main__ as entry
from focal_gbm.cli import app
from focal_gbm.compare import json_schema

QUICK = ["--folds=3", "--repeats=1", "--rounds=5", "--gamma=1", "--jobs=1", "--library", "lightgbm"]


def call(*arguments):
    return CliRunner().invoke(app, ["compare", *map(str, arguments)])


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "made.csv"
    made().to_csv(path, index=False)
    return path


def test_the_verdict_comes_first_and_the_page_is_written(file, tmp_path):
    page = tmp_path / "page.html"
    result = call(file, "--target", "kind", "--html", page, *QUICK[:-2])
    assert result.exit_code == 0, result.output
    facts = ("Would focal loss help on made.csv?", "Keep the log", "240 rows, 3 features", "\nXGBoost ",
             "\nLightGBM ", "To fit XGBoost, log loss")  # fmt: skip
    assert [result.stdout.count(one) for one in facts] == [1, 2, 1, 1, 1, 1]
    found = [result.stdout.index(one) for one in facts]
    assert found == sorted(found)
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_every_option_reaches_the_comparison(tmp_path):
    frame = made(400).assign(who=[f"C{i % 97}" for i in range(400)], w=1 + np.arange(400) % 3, none="-")
    frame["day"] = [f"{1 + i // 15:02d}.03.2024" for i in range(400)]
    frame["loss"] = [f"{i % 50}.{i % 10:03d},5" for i in range(400)]
    frame["n"], frame["span"], frame["code"] = (
        np.arange(400),
        [f"{i % 90}h" for i in range(400)],
        np.arange(400) % 7,
    )
    path, page = tmp_path / "t.csv", tmp_path / "p.html"
    path.write_text("a comment\n" + frame.to_csv(index=False, sep=";", decimal=","), encoding="cp1252")
    words = shlex.split("""--target kind --json --time day --date-format %d.%m.%Y --group who --weight w
        --cost-fp 5 --cost-fn loss --top 5% --top 20 --precision 0.5 --sep ';' --decimal , --thousands .
        --skip 1 --encoding cp1252 --na - --keep n --numeric span --categorical code --drop gap --alpha none
        --alpha 0.25 --html""")
    result = call(path, *words, page, *QUICK)
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    jsonschema.validate(summary, json_schema())
    roles = {
        "time": "day",
        "ordered": False,
        "group": "who",
        "weight": "w",
        "cost_fp": 5.0,
        "cost_fn": "loss",
    }
    assert summary["table"]["roles"] == roles
    assert summary["table"]["features"] == ["amount [€]", "colour", "loss", "n", "span", "code"]
    assert summary["table"]["categorical"] == ["colour", "code"]
    assert (summary["protocol"]["splits_by"], summary["protocol"]["splits"]) == ("time and group", 9)
    assert summary["protocol"]["alpha"] == [None, 0.25]
    assert list(summary["verdict"]["lightgbm"]["words"]) == ["cost", "log_loss"]
    assert {"amount_top_20", "recall_top_5%", "recall_at_0.5"} < set(summary["metrics"])
    assert "focal γ=1, α 0.25" in summary["libraries"]["lightgbm"]["contestants"]
    path.write_text("\n".join(f"{i * i % 17},{'None' if i % 3 else 'Apnea'}" for i in range(60)))
    result = call(path, "--target", "f1", "--header", "none", "--na-only", "--positive", "None", "--json", *QUICK)
    assert json.loads(result.stdout)["table"]["classes"] == {"Apnea": 20, "None": 40}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["DATA"], r"DATA and --target COLUMN, the column to predict, go together"),
        (["--target", "kind"], r"go together"),
        (["nowhere.csv", "--target", "kind"], r"nowhere\.csv cannot be read"),
        (["DATA", "--target", "kin"], r"no column 'kin' .*did you mean 'kind'\?"),
        (["DATA", "--target", "kind", "--positive", "god"], r"no label 'god'.*did you mean 'good'"),
        (["DATA", "--target", "kind", "--html", "nowhere/r.html"], r"the folder of .* does not exist"),
        (["DATA", "--target", "kind", "--header", "2"], r"--header must be first or none, got '2'"),
        (["DATA", "--target", "kind", "--decide", "cost"], r"decide must be a score that is reported"),
        (["DATA", "--target", "kind", "--sep", ";;"], r"cannot be read"),
        (["DATA", "--target", "kind", "--time", "gap"], r"row \d+, column 'gap' \(--time\): the value is"),
        (["DATA", "--target", "kind", "--alpha", "few", *QUICK], r"few"),
        (["DATA", "--target", "kind", "--gamma", "-1", "--jobs", "1"], r"focal_gamma must be"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_in_one_line(file, arguments, message):
    result = call(*(str(file) if one == "DATA" else one for one in arguments))
    assert result.exit_code == 2
    assert re.search(message, result.stderr)
    assert (len(result.stderr.splitlines()), result.stdout) == (1, "")


def test_without_its_libraries_the_command_says_what_to_install(monkeypatch):
    real = entry.find_spec
    monkeypatch.setattr(entry, "find_spec", lambda name: None if name == "rich" else real(name))
    with pytest.raises(SystemExit, match=r"needs rich: pip install 'focal-gbm\[cli\]'$"):
        entry.main()


def command(*arguments, encoding="utf-8"):
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    words = [sys.executable, "-m", "focal_gbm", "compare", *map(str, arguments)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)


@pytest.mark.parametrize("encoding", ["ascii", "cp437"])
def test_a_terminal_that_lacks_a_character_gets_another(encoding):
    out, err = command(*QUICK, "--gamma", "2", encoding=encoding).communicate(timeout=300)
    assert "focal γ=2" in out.decode(encoding) or "focal gamma=2" in out.decode(encoding)
    assert "1,797 rows" in out.decode(encoding)
    assert err == b""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="focal_gbm_plain")
    entry.never_fail(stream)
    stream.write("γ=1 α ±0.2 − ≥ ↑ • 5\u00a0% … 字")
    stream.seek(0)
    assert stream.read() == "gamma=1 alpha +-0.2 - >= ^ * 5 % ... ?"


def test_a_reader_that_goes_away_leaves_the_page(tmp_path):
    process = command(*QUICK, "--html", tmp_path / "page.html")
    process.stdout.close()
    assert "Traceback" not in process.stderr.read().decode()
    process.stderr.close()
    process.wait(timeout=300)
    assert (tmp_path / "page.html").read_text(encoding="utf-8").rstrip().endswith("</html>")
