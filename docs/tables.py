"""A Sphinx extension: tables of the documentation, from benchmarks/results, so that no number drifts."""

import json
import re
from pathlib import Path

import pandas as pd
from scipy.stats import gmean

RESULTS = Path(__file__).parent.parent / "benchmarks" / "results"
GENERATED = Path(__file__).parent / "_generated"

LIBRARIES = {"xgboost": "XGBoost", "lightgbm": "LightGBM"}


def load(name: str) -> tuple[pd.DataFrame, str]:
    """Return the rows of a result, and a line that says where they come from."""
    result = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    versions = ", ".join(f"{package} {result['versions'][package]}" for package in LIBRARIES)
    source = f"`benchmarks/{result['command']}`, {versions}, {result['machine']}."
    return pd.DataFrame(result["rows"]), source


def markdown(header: list[str], rows: list[list[str]], source: str) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join(["| " + " | ".join(line) + " |" for line in lines] + ["", source, ""])


def probabilities(name: str) -> str:
    """Return the log loss of scores and posteriors over the library's own, for each γ."""
    frame, source = load(name)
    frame = frame[frame["contestant"].str.fullmatch(r"γ=[\d.]+")]
    n_tables = frame["table"].nunique()
    header = [
        "",
        *(f"{library}, {gamma}" for library in LIBRARIES.values() for gamma in frame["contestant"].unique()),
    ]
    rows = {"log loss of the raw score": [], "**log loss of `predict_proba`**": [], "average precision": []}
    for library in LIBRARIES:
        for gamma in frame["contestant"].unique():
            some = frame[(frame["library"] == library) & (frame["contestant"] == gamma)]
            raw, posterior, precision = rows.values()
            raw.append(f"{gmean(some['ratio of the raw score']):.2f}")
            posterior.append(f"**{gmean(some['log loss ratio']):.2f}**")
            precision.append(f"{some['AP difference'].mean():+.3f}")
    over = "Over the library's own loss" + (
        f", the geometric mean of {n_tables} tables; average precision: mean difference. "
        if n_tables > 1
        else f", on {frame['table'].iloc[0]}; average precision: difference. "
    )
    return markdown(header, [[label, *values] for label, values in rows.items()], over + source)


SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
RATIO = "of the library's round"
QUANTITIES = ("loss", "gradient", "Hessian", "probability", "start")


def power(value: float) -> str:
    """Return two digits, without the zeros that fill an exponent."""
    if 0.01 <= value < 100:
        return f"{value:.2g}"
    return re.sub(r"e([+-])0*", lambda sign: "e" + sign[1].strip("+"), f"{value:.1e}")


def accuracy() -> str:
    """Return the largest relative error of every formula of ours, for each γ."""
    frame, source = load("accuracy_of_derivatives")
    ours = frame[frame["contestant"] == "focal_gbm"]
    gammas = ours["gamma"].unique()
    rows = []
    for (dtype, formula), some in ours.groupby(["dtype", "formula"], sort=False):
        for quantity in QUANTITIES:
            errors = some[some["quantity"] == quantity.lower()].set_index("gamma")["error"]
            if len(errors):
                rows.append([f"{quantity}, {formula}", dtype, *(power(errors[gamma]) for gamma in gammas)])
    rows.sort(key=lambda row: row[1], reverse=True)
    return markdown(["formula", "type", *(f"γ={gamma:g}" for gamma in gammas)], rows, source)


def accuracy_of_peers() -> str:
    """Return how far the derivatives of others are right, gradient / Hessian."""
    frame, source = load("accuracy_of_derivatives")
    frame = frame[frame["right_up_to"].notna() & ~frame["contestant"].str.contains("clipped")]
    header, rows = ["", "type"], []
    for gamma in (0.5, 2):
        header += [f"γ={gamma}: relative error", "right up to", "not finite"]
    for (dtype, name), some in frame.groupby(["dtype", "contestant"], sort=False):
        known = some["version"].iloc[0]
        cells = [f"{name} {known}" if isinstance(known, str) else name, dtype]
        for gamma in (0.5, 2):
            pair = some[some["gamma"] == gamma].sort_values("quantity")  # gradient, Hessian
            cells += [
                " / ".join(map(power, pair["error"])),
                " / ".join(f"{margin:g}" for margin in pair["right_up_to"]),
                " / ".join(f"{count:g}" for count in pair["not_finite"]),
            ]
        rows.append(cells)
    rows.sort(key=lambda row: row[1], reverse=True)
    return markdown(header, rows, source)


def case_name(case: str) -> str:
    """Return rows, features and classes as people read them."""
    n_rows, n_features, n_classes = map(int, case.split("x"))
    power = len(str(n_rows)) - 1
    leading = "" if n_rows == 10**power else f"{n_rows // 10**power}·"
    classes = "" if n_classes == 2 else f", {n_classes} classes"
    return f"{leading}10{str(power).translate(SUPERSCRIPTS)} × {n_features}{classes}"


def fit_time() -> str:
    """Return the time of a fit over the library's own, with the range of the turns."""
    frame, source = load("fit_time_vs_library")
    frame["order"] = [tuple(map(int, case.split("x")[::-1])) for case in frame["case"]]
    losses = ("γ=0", "γ=2")
    header = [
        "rows × features",
        "threads",
        *(f"{library}, {loss}" for library in LIBRARIES.values() for loss in losses),
    ]
    rows = []
    for _, some in frame.sort_values(["order", "threads"]).groupby(["case", "threads"], sort=False):
        cells = [case_name(some["case"].iloc[0]), str(some["threads"].iloc[0])]
        for library in LIBRARIES:
            for loss in losses:
                row = some[(some["library"] == library) & (some["loss"] == loss)].iloc[0]
                spread = (
                    f" [{row['ratio, lowest']:.2f}, {row['ratio, highest']:.2f}]" if row["turns"] > 1 else ""
                )
                cells.append(f"{row['ratio']:.2f}{spread}")
        rows.append(cells)
    return markdown(header, rows, on_each(frame, source))


def on_each(frame: pd.DataFrame, source: str) -> str:
    """Return where a result comes from whose rows are of several machines."""
    machines = frame.groupby("threads")["machine"].first()
    said = "; ".join(f"{threads} threads: {machine}" for threads, machine in machines.items())
    return f"{source.rpartition(', x86')[0]}. {said}."


def memory() -> str:
    """Return the memory of a fit above the library's own."""
    frame, source = load("memory")
    rows = [
        [
            f"{LIBRARIES[row['library']]}, {case_name(row['case'])}",
            *(
                f"{row[key]:g}"
                for key in ("library MiB", "focal MiB", "bytes a row", "bytes a row and class")
            ),
        ]
        for row in frame.to_dict("records")
    ]
    return markdown(["", "own loss, MiB", "γ=2, MiB", "bytes a row", "a row and class"], rows, source)


def round_profile() -> str:
    """Return the parts of a round."""
    frame, source = load("round_profile")
    header = ["", *(f"{n} threads, ms [quartiles]" for n in sorted(frame["threads"].unique()))]
    header += [f"{n} threads, {RATIO}" for n in sorted(frame["threads"].unique())]
    rows = []
    for (library, part), some in frame.groupby(["library", "part"], sort=False):
        by_threads = some.set_index("threads")
        parts = [by_threads.loc[n] for n in sorted(frame["threads"].unique())]
        rows.append(
            [
                f"{library}, {part}",
                *(f"{row['ms']:.3g} [{row['p25']:.3g}, {row['p75']:.3g}]" for row in parts),
                *(f"{row[RATIO]:.3f}" for row in parts),
            ]
        )
    return markdown(header, rows, on_each(frame, source))


def gpu() -> str:
    """Return fits on a CUDA device over the library's own."""
    frame, source = load("gpu")
    fits = frame[(frame["part"] == "fit") & frame["seconds"].notna()]
    losses = [loss for loss in fits["loss"].unique() if loss != "own loss"]
    rows = []
    for (case, kind), some in fits.groupby(["case", "kind"], sort=False):
        by_loss = some.set_index("loss")
        cells = [f"{case_name(case)}, {kind}", f"{by_loss['seconds']['own loss']:.2f}"]
        for loss in losses:
            cells.append(f"{by_loss['over own'][loss]:.2f}" if loss in by_loss.index else "")
        rows.append(cells)
    header = ["100 rounds", "own loss, s", *losses]
    return markdown(header, rows, f"{frame['name'].dropna().iloc[0]}. {source}")


def gpu_lightgbm() -> str:
    """Return a round of LightGBM's CUDA tree method."""
    frame, source = load("gpu")
    frame = frame[frame["part"].str.startswith("LightGBM")]
    rows = [
        [row["loss"], f"{row['ms']:.1f}", f"{row['ms objective']:.1f}", f"{row['over own']:.2f}"]
        for row in frame.to_dict("records")
    ]
    threads = f"5·10⁶ × 28, {frame['threads'].iloc[0]:.0f} threads of the CPU. "
    header = ["", "a round, ms", "of it the objective, ms", "over own"]
    return markdown(header, rows, threads + source)


def gpu_kernels() -> str:
    """Return milliseconds of the CUDA kernels."""
    frame, source = load("gpu")
    frame = frame[frame["part"] == "kernel"]
    rows = [
        [
            f"{row['rows'] // 10**6:g}·10⁶ rows, {row['classes']:g} classes, γ={row['gamma']:g}, "
            f"{row['link']} link",
            f"{row['ms']:.2f}",
            f"{row['ms mean focal loss']:.2f}",
            f"{row['kernel / copy']:.2f}",
        ]
        for row in frame.to_dict("records")
    ]
    header = ["", "gradient and Hessian, ms", "mean loss, ms", "bandwidth, of a copy's"]
    return markdown(header, rows, source)


def predict_time() -> str:
    """Return the time of predict_proba over the library's own."""
    frame, source = load("predict_time")
    rows = [
        [
            f"{LIBRARIES[row['library']]}, {row['classes']} classes, "
            f"{row['rows']} row{'s' * (row['rows'] > 1)}",
            f"{1e3 * row['library seconds']:{'.0f' if row['rows'] > 1 else '.2f'}}",
            *(
                f"{row[loss]:.2f} [{row[f'{loss}, p10']:.2f}, {row[f'{loss}, p90']:.2f}]"
                for loss in ("γ=0", "γ=2")
            ),
            f"{row['link seconds'] / row['library seconds']:.1%}",
        ]
        for row in frame.to_dict("records")
    ]
    return markdown(["", "own loss, ms", "γ=0", "γ=2", "the link alone"], rows, source)


def shared_cores() -> str:
    """Return the time of a fit on shared cores, with threads that spin and with threads that sleep."""
    frame, source = load("shared_cores")
    rows = [
        [
            f"{LIBRARIES[row['library']]}, {row['loss']}",
            *(
                f"{row[f'{policy} seconds']:.1f} [{row[f'{policy} seconds, longest']:.1f}]"
                for policy in ("default", "passive")
            ),
        ]
        for row in frame.to_dict("records")
    ]
    load_ = f"{frame['rows'].iloc[0]:,} rows, 100 rounds; load of the machine {frame['load'].median():g}. "
    header = ["seconds, median [longest]", "as it comes", "`OMP_WAIT_POLICY=passive`"]
    return markdown(header, rows, load_ + source)


def kernel() -> str:
    """Return nanoseconds a row of the objective and of others."""
    frame, source = load("kernel")
    rows = [[row["contestant"], f"{row['ns']:.3g}"] for row in frame.to_dict("records")]
    return markdown(["", "ns a row"], rows, source)


def links() -> str:
    """Return log loss and average precision of the logit link beside the focal link."""
    result = json.loads((RESULTS / "links.json").read_text(encoding="utf-8"))
    frame = pd.DataFrame(result["geometric_means"])
    gammas = frame["gamma"].unique()
    quantities = {
        "log loss, quotient": ("over_focal", "over_focal_error", ".3f"),
        "average precision, difference": (
            "average_precision_difference", "average_precision_error", "+.3f",
        ),
    }  # fmt: skip
    rows = []
    for quantity, (key, error, form) in quantities.items():
        for (classes, library), some in frame[frame["link"] == "logit"].groupby(["classes", "library"]):
            by_gamma = some.set_index("gamma")
            cells = [f"{by_gamma[key][g]:{form}} ± {by_gamma[error][g]:.3f}" for g in gammas]
            rows.append([f"{quantity}, {library}, {classes} classes", *cells])
    for path in sorted(RESULTS.glob("links_*.json")):  # single tables, with more folds
        alone = json.loads(path.read_text(encoding="utf-8"))
        of_link = pd.DataFrame(alone["tables"]).query("link == 'logit'")
        for library, some in of_link.groupby("library"):
            by_gamma = some.set_index("gamma")
            cells = [f"{by_gamma.over_focal[g]:.3f} ± {by_gamma.over_focal_error[g]:.3f}" for g in gammas]
            table, folds = (
                alone["options"]["only"].removesuffix("_mc").removesuffix("_adbench"),
                by_gamma.folds.iloc[0],
            )
            rows.append([f"log loss, quotient, {library}, {table} alone, {folds} folds", *cells])
    options = " ".join(f"--{name} {result['options'][name]}" for name in ("repeats", "folds"))
    n_tables = len({row["table"] for row in result["tables"]})
    source = f"Logit over focal link, the mean over {n_tables} tables. `benchmarks/links.py {options}`."
    return markdown(["", *(f"γ={gamma:g}" for gamma in gammas)], rows, source)


def leaving() -> str:
    """Return how far predictions of a model of the logit link are from predict_proba, elsewhere."""
    frame, source = load("leaving")

    def cell(difference: float | None) -> str:
        return "" if difference is None else power(difference) if difference else "0"

    columns = [(library, classes) for library in LIBRARIES.values() for classes in ("two", "many")]
    found = frame.set_index(["tool", "library", "classes"])["difference"]
    rows = [
        [tool, *(cell(found.get((tool, *column))) for column in columns)] for tool in frame["tool"].unique()
    ]
    header = ["", *(f"{library}, {classes} classes" for library, classes in columns)]
    return markdown(header, rows, "Largest difference from `predict_proba`. " + source)


def write(app: object) -> None:
    """Write all tables."""
    GENERATED.mkdir(exist_ok=True)
    for table in (
        accuracy,
        accuracy_of_peers,
        fit_time,
        gpu,
        gpu_kernels,
        gpu_lightgbm,
        memory,
        round_profile,
        predict_time,
        shared_cores,
        kernel,
        links,
        leaving,
    ):
        (GENERATED / f"{table.__name__}.md").write_text(table(), encoding="utf-8")
    for kind in ("binary", "multiclass"):
        text = probabilities(f"probabilities_{kind}")
        (GENERATED / f"probabilities_{kind}.md").write_text(text, encoding="utf-8")
    from tables_of_study import all_tables  # which takes this module's functions

    for name, text in all_tables().items():
        (GENERATED / f"{name}.md").write_text(text, encoding="utf-8")


def setup(app: object) -> dict[str, bool]:
    """Tell Sphinx."""
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True}
