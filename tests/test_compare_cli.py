"""The command line: what it prints, refuses and writes, whatever the terminal can show."""

import json
import os
import re
import subprocess
import sys

import jsonschema
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from focal_gbm import __main__ as entry
from focal_gbm.cli import app
from focal_gbm.compare import json_schema
from focal_gbm.compare.output import never_fail, write_whole


def made(n=240, n_classes=2, seed=0):
    draw = np.random.default_rng(seed)
    y = np.minimum((draw.random(n) < 0.3).astype(int) * draw.integers(1, n_classes, size=n), n_classes - 1)
    return pd.DataFrame(
        {
            "amount [€]": draw.normal(size=n) + y,
            "colour": np.array(["red", "green"])[draw.integers(0, 2, n)],
            "gap": np.where(draw.random(n) < 0.2, np.nan, draw.normal(size=n)),
            "kind": np.array(["good", "bad", "ugly"])[y],
        }
    )


QUICK = ["--folds", "3", "--repeats", "1", "--rounds", "5", "--gamma", "1", "--alpha", "none", "--jobs", "1"]


def call(*arguments):
    return CliRunner().invoke(app, ["compare", *map(str, arguments)])


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "made.csv"
    made().to_csv(path, index=False)
    return path


def test_the_command_prints_tables_and_an_answer_and_writes_html(file, tmp_path):
    report = tmp_path / "report.html"
    result = call(file, "--target", "kind", "--html", report, *QUICK)
    assert result.exit_code == 0, result.output
    for text in ("made.csv: 240 rows, 3 features (1 categorical)", "XGBoost", "LightGBM", "average precision",
                 "class weights", "Would focal loss help on this table?", "not significant"):  # fmt: skip
        assert text in result.output
    assert re.search(r"the class looked for is 'bad' \(\d+ of 240 rows", result.output)
    assert report.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_the_command_prints_json_alone(file):
    result = call(file, "--target", "kind", "--json", "--library", "lightgbm", "--top", 10, *QUICK)
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    jsonschema.validate(summary, json_schema())
    assert list(summary["libraries"]) == list(summary["verdict"]) == ["lightgbm"]
    scores = summary["libraries"]["lightgbm"]["contestants"]["log loss"]["scores"]
    assert {"precision_at_top", "recall_at_top", "recall_at_precision"} < set(scores)
    assert summary["verdict"]["lightgbm"]["metric"] == "precision_at_top"
    counts = made().kind.value_counts()
    assert summary["table"]["classes"] == {"good": counts["good"], "bad": counts["bad"]}


@pytest.mark.parametrize(("top", "found"), [("1%", 0.01), ("0.05", 0.05), ("12", 12.0), ("2.5 %", 0.025)])
def test_the_top_is_a_share_or_a_number(file, top, found):
    result = call(file, "--target", "kind", "--json", "--library", "lightgbm", "--top", top, *QUICK)
    assert json.loads(result.stdout)["protocol"]["top"] == found


def test_time_group_weight_and_costs(tmp_path):
    frame = made(400)
    frame["day"] = pd.date_range("2024-01-01", periods=400, freq="h").astype(str)
    frame["who"] = [f"C{i % 97}" for i in range(400)]
    frame["times"] = 1 + np.arange(400) % 3
    frame["loss"] = np.round(np.abs(frame["amount [€]"]) * 100, 2)
    frame.to_csv(tmp_path / "t.csv", index=False)
    report = tmp_path / "r.html"
    result = call(tmp_path / "t.csv", "--target", "kind", "--json", "--library", "xgboost", "--time", "day",
                  "--group", "who", "--weight", "times", "--cost-fp", 5, "--cost-fn", "loss", "--top", "5%",
                  "--html", report, *QUICK)  # fmt: skip
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    jsonschema.validate(summary, json_schema())
    assert summary["table"]["roles"] == {
        "time": "day", "ordered": False, "group": "who", "weight": "times", "cost_fp": 5.0, "cost_fn": "loss",
    }  # fmt: skip
    assert summary["table"]["features"] == 4  # the amount that is lost is one, too
    assert summary["protocol"]["splits_by"] == "time and group"
    assert summary["protocol"]["splits"] == 9
    verdict = summary["verdict"]["xgboost"]
    assert list(verdict["by_metric"]) == ["cost", "average_precision", "log_loss"]
    assert (verdict["metric"], summary["metrics"]["cost"]["decides"]) == ("cost", True)
    assert report.read_text(encoding="utf-8").count("<svg") == 3 + 2
    decide = ["--library", "xgboost", "--decide", "roc_auc"]
    result = call(tmp_path / "t.csv", "--target", "kind", "--json", *decide, *QUICK)
    assert json.loads(result.stdout)["verdict"]["xgboost"]["metric"] == "roc_auc"


def test_the_command_without_data_takes_the_embedded_table():
    result = call("--json", "--library", "lightgbm", *QUICK)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["table"]["rows"] == 1797


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["DATA"], r"say which column to predict: --target COLUMN"),
        (["DATA", "--target", "kin"], r"no column 'kin' .*did you mean 'kind'\?"),
        (["DATA", "--target", "kind", "--positive", "god"], r"no label 'god'.*did you mean 'good'"),
        (["DATA", "--target", "kind", "--gamma", "-1"], r"--gamma must be a finite number >= 0"),
        (["DATA", "--target", "kind", "--gamma", "1,x"], r"--gamma must be numbers.*got 'x'"),
        (["DATA", "--target", "kind", "--alpha", "1.5"], r"--alpha must be none, balanced, effective"),
        (["DATA", "--target", "kind", "--html", "nowhere/r.html"], r"the folder of .* does not exist"),
        (["DATA", "--target", "kind", "--precision", "2"], r"precision must lie in \(0, 1\]"),
        (["nowhere.csv", "--target", "kind"], r"nowhere\.csv does not exist"),
        (["--target", "kind"], r"no DATA was given"),
    ],
)
def test_the_command_refuses_in_one_line(file, arguments, message):
    refused_in_one_line(message, *(str(file) if one == "DATA" else one for one in arguments))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--html", "."], r"\(--html\) is a folder: name a file in it"),
        (["--cost-fp", "1"], r"--cost-fp and --cost-fn go together"),
        (["--cost-fp", "1", "--cost-fn", "amont"], r"no column 'amont' \(--cost-fn\)"),
        (["--time", "gap"], r"row \d+, column 'gap' \(--time\): the value is missing"),
        (["--time", "colour"], r"'colour' \(--time\) must hold numbers or times"),
        (["--group", "kind"], r"the target 'kind' cannot be --group, too"),
        (["--keep", "nothing"], r"no column 'nothing' \(--keep\)"),
        (["--top", "200%"], r"--top must be a share above 0 % and below 100 %"),
        (["--top", "few"], r"--top must be a share such as 1% or a number of rows"),
        (["--decide", "cost"], r"decide 'cost' needs --top or --cost-fp"),
        (["--decide", "speed"], r"decide must be one of average_precision"),
        (["--separator", ";;"], r"separator must be one character"),
        (["--decimal", ",", "--thousands", ","], r"must differ, got ','"),
        (["--margin", "2"], r"margin must lie in \(0, 1\)"),
        (["--time", "gap", "--ordered"], r"--ordered is for tables without a column of times"),
    ],
)
def test_options_that_make_no_sense_are_refused_in_one_line(file, arguments, message):
    refused_in_one_line(message, file, "--target", "kind", *arguments)


def refused_in_one_line(message, *arguments):
    result = call(*arguments)
    assert result.exit_code == 2
    assert re.search(message, result.stderr)
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""


def test_a_number_for_alpha_needs_two_classes(tmp_path):
    made(n_classes=3, n=300).to_csv(tmp_path / "three.csv", index=False)
    result = call(tmp_path / "three.csv", "--target", "kind", "--alpha", "0.25")
    assert result.exit_code == 2
    assert "--alpha as a number is for two classes, the target has 3" in result.stderr


def test_the_module_is_the_command():
    result = subprocess.run(
        [sys.executable, "-m", "focal_gbm"], capture_output=True, text=True, timeout=60, check=True
    )
    assert "compare" in result.stdout


def test_without_its_libraries_the_command_says_what_to_install(monkeypatch):
    real = entry.find_spec
    monkeypatch.setattr(entry, "find_spec", lambda name: None if name == "rich" else real(name))
    with pytest.raises(SystemExit, match=r"needs rich: pip install 'focal-gbm\[cli\]'$"):
        entry.main()


# Whatever the terminal can show

DIGITS = [
    "--library", "lightgbm", "--folds", "2", "--repeats", "1", "--rounds", "2", "--gamma", "1", "--alpha",
    "none", "--jobs", "1",
]  # fmt: skip


def command(*arguments, encoding="utf-8", **how):
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    return subprocess.Popen(
        [sys.executable, "-m", "focal_gbm", "compare", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, **how,
    )  # fmt: skip


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437", "latin-1", "utf-8"])
def test_a_terminal_that_lacks_a_character_gets_another(encoding, tmp_path):
    report = tmp_path / "report.html"
    process = command(*DIGITS, "--html", report, encoding=encoding)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "focal γ=1" in out.decode(encoding) or "focal gamma=1" in out.decode(encoding)
    assert "Error" not in err.decode(encoding)
    assert report.read_text(encoding="utf-8").endswith("</html>")


def test_every_character_that_is_printed_has_another():
    import io

    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    never_fail(stream)
    stream.write("γ=1 α ±0.2 − × ≥ ↑ • “x” é ┏┃ 字")
    stream.seek(0)
    assert stream.read() == 'gamma=1 alpha +-0.2 - x >= ^ * "x" e +| ?'


def test_json_and_help_are_printed_in_every_encoding():
    process = command(*DIGITS, "--json", encoding="ascii")
    assert json.loads(process.communicate(timeout=120)[0])["table"]["rows"] == 1797
    process = command("--help", encoding="cp437")
    assert b"--target" in process.communicate(timeout=60)[0]
    assert process.returncode == 0


def test_a_reader_that_goes_away_leaves_the_report(tmp_path):
    report = tmp_path / "report.html"
    process = command(*DIGITS, "--html", report)
    process.stdout.close()
    err = process.stderr.read().decode()
    process.stderr.close()
    process.wait(timeout=120)
    assert "Traceback" not in err
    assert report.read_text(encoding="utf-8").endswith("</html>")


def test_a_file_keeps_its_content_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "new \udc80")  # a surrogate, which no file can hold
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.html"]
    write_whole(path, "new")
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["report.html"]


def test_minutes_hold_for_reading_and_checking(tmp_path):
    frame = made(240).assign(**{f"x{i}": np.random.default_rng(i).normal(size=240) for i in range(30)})
    frame.to_csv(tmp_path / "t.csv", index=False)
    result = call(
        tmp_path / "t.csv", "--target", "kind", "--json", "--minutes", "1e-9", "--library", "lightgbm", *QUICK
    )
    summary = json.loads(result.stdout)
    notes = " ".join(summary["notes"])
    assert "looked for leaks in 0 of the 33 columns" in notes
    assert "2 of 3 splits" in notes
