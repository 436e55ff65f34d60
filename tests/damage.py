"""Damages saved models and loads them, in a process of its own that a crash may end.

    python tests/damage.py FOLDER N SEED

Every file of the folder is a model. Prints one JSON line: how many were tried, refused and loaded.
"""

import json
import random
import re
import sys
from pathlib import Path

import numpy as np

from focal_gbm import FocalLGBMClassifier, FocalXGBClassifier

NUMBERS = [
    b"-1", b"0", b"1", b"3", b"7", b"999999", b"-99999", b"2147483647", b"-2147483648", b"9" * 20,
    b"1e999", b"nan", b"NaN", b"inf", b"x", b"", b"1.5.2", b"-", b"--3", b"1e", b'"a"', b"null", b"[]", b"01",
]  # fmt: skip
WORDS = [b"\xff" * 4, b"\0\0\0\1", b"\x7f\xff\xff\xff", b"\0" * 4, b"\x80\0\0\0"]


def damage(raw: bytes, rng: random.Random) -> bytes:
    """Return the model with a bit, some bytes, a number or a line of it changed."""
    b = bytearray(raw)
    how, at = rng.randrange(10), rng.randrange(len(raw))
    if how == 0:
        for _ in range(rng.randrange(1, 4)):
            b[rng.randrange(len(b))] ^= 1 << rng.randrange(8)
    elif how == 1:
        del b[at : at + rng.randrange(1, 30)]
    elif how == 2:
        del b[at:]
    elif how == 3:
        b[at : at + 4] = rng.randbytes(4)
    elif how == 4:
        b[at : at + 4] = rng.choice(WORDS)
    elif how == 5:
        lines = raw.split(b"\n")
        i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
        lines[i], lines[j] = lines[j], lines[i]
        return b"\n".join(lines if rng.random() < 0.5 else lines[:i] + lines[i + 1 :])
    elif how == 6 and rng.random() < 0.1:
        return rng.randbytes(rng.randrange(1, 400))
    else:
        numbers = [*re.finditer(rb"(?<=[=: ,\[\"])-?\d[\d.eE+-]*", raw)]
        one, other = rng.choice(numbers), rng.choice(numbers)
        # a number from elsewhere in the file is the most plausible of all
        new = other.group() if how > 8 else rng.choice(NUMBERS)
        b[one.start() : one.end()] = new
    return bytes(b)


def load(path: Path, X: np.ndarray, jobs: int = 1) -> None:
    """Load a model and do with it all that walks its trees."""
    is_text = path.suffix == ".txt"
    model = FocalLGBMClassifier(n_jobs=jobs) if is_text else FocalXGBClassifier(n_jobs=jobs)
    model.load_model(path)
    if is_text:
        booster = model.booster_
        X = X[:, : booster.num_feature()]
        for kind in ({}, {"raw_score": True}, {"pred_leaf": True}, {"pred_contrib": True}):
            booster.predict(X, predict_disable_shape_check=True, **kind)
        model.predict_proba(X)
        booster.feature_importance("gain")
        booster.model_to_string()
    else:
        import xgboost

        booster = model.get_booster()
        n = booster.num_features()
        data = xgboost.DMatrix(
            X[:, :n], feature_names=booster.feature_names, feature_types=booster.feature_types,
            enable_categorical=True,
        )  # fmt: skip
        for kind in ({}, {"output_margin": True}, {"pred_leaf": True}, {"pred_contribs": True}):
            booster.predict(data, validate_features=False, **kind)
        booster.save_raw("json")
        booster.get_score(importance_type="gain")


def main() -> None:
    folder, n, rng = Path(sys.argv[1]), int(sys.argv[2]), random.Random(int(sys.argv[3]))
    X = np.random.default_rng(0).normal(size=(40, 8))
    X[:, 5] = np.arange(40) % 8
    sources = {path: path.read_bytes() for path in sorted(folder.glob("*.*"))}
    counts = {"tried": 0, "refused": 0, "loaded": 0, "failed later": 0}
    for _ in range(n):
        for path, raw in sources.items():
            case = folder / "cases" / f"case{path.suffix}"
            case.parent.mkdir(exist_ok=True)
            case.write_bytes(damage(raw, rng))
            counts["tried"] += 1
            model = FocalLGBMClassifier() if path.suffix == ".txt" else FocalXGBClassifier()
            try:
                model.load_model(case)
            except ValueError:  # nothing else: an error of this package, which says what is wrong
                counts["refused"] += 1
                continue
            try:
                load(case, X)
                counts["loaded"] += 1
            except Exception:  # a table that does not fit the model
                counts["failed later"] += 1
    print(json.dumps(counts))


if __name__ == "__main__":
    main()
