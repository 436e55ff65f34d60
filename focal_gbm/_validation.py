"""Arrays of any type, and checks of arguments.

Every message says which argument, what was expected and what came.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from numbers import Real
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Elements a block: its dozen temporaries in float64 take 1.5 MiB, about the cache of one core.
BLOCK_SIZE = 16384


def row_blocks(n_rows: int, row_size: int = 1) -> Iterator[slice]:
    """Yield slices that cover ``range(n_rows)`` in blocks of about BLOCK_SIZE elements."""
    step = max(1, BLOCK_SIZE // row_size)
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def smallest_integers(codes: NDArray[Any], n_classes: int) -> NDArray[Any]:
    """Return class codes in the smallest type that holds them: a fit keeps those of every row."""
    return codes.astype(np.min_scalar_type(max(n_classes - 1, 0)), copy=False)


def as_numpy(values: Any) -> NDArray[Any]:
    """Return an array, column or table of any of the libraries' types as NumPy's."""
    values = on_cpu(values)
    if hasattr(values, "collect"):  # a polars LazyFrame
        values = values.collect()
    return np.asarray(values)


def as_column(values: Any) -> NDArray[Any]:
    """Return what `as_numpy` does, without a second axis of length 1."""
    array = as_numpy(values)
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array


#: How arrays and tables on a CUDA device come to the CPU, by package. NumPy refuses to do it by itself.
_TO_CPU = {"cudf": "to_pandas", "cupy": "get", "numba": "copy_to_host"}


def on_cpu(array: Any) -> Any:
    """Return an array, column or table of a CUDA device as NumPy's or pandas', all else as it came."""
    method = _TO_CPU.get(type(array).__module__.partition(".")[0])
    return array if method is None else getattr(array, method)()


FloatArray: TypeAlias = NDArray[np.floating[Any]]

#: The kernels form gamma**2 in float32, whose largest number is 3.4e38.
MAX_GAMMA = 1e15


def check_gamma(gamma: object, name: str = "gamma", most: float = MAX_GAMMA) -> float:
    """Return the focusing parameter as a float, or say what is wrong with it."""
    if isinstance(gamma, (bool, np.bool_)) or not isinstance(gamma, Real):
        raise TypeError(f"{name} must be a real number >= 0, got {gamma!r} ({type(gamma).__name__}).")
    try:
        value = float(gamma)
    except OverflowError:  # an integer of more than 308 digits
        value = math.inf
    if not 0.0 <= value <= most:
        raise ValueError(f"{name} must be a finite number >= 0 and at most {most:g}, got {gamma!r}.")
    return value


def values_by_label(by_label: Mapping[Any, Any], classes: NDArray[Any], name: str, what: str) -> dict[Any, Any]:
    """Return a dict {label: value} in the order of `classes`, each of which it must name, and no other."""
    known = classes.tolist()
    missing = [label for label in known if label not in by_label]
    unknown = [label for label in by_label if label not in known]
    if missing or unknown:
        got = [f"none for {missing}"] if missing else []
        got += [f"some for the unknown {unknown}"] if unknown else []
        raise ValueError(f"{name} must have one {what} for each of the classes {known}, got {' and '.join(got)}.")
    return {label: by_label[label] for label in known}


def check_class_weights(weights: object, n_classes: int, name: str) -> tuple[float, ...]:
    """Return ``n_classes`` finite, positive weights as a tuple of floats."""
    try:
        array = np.asarray(weights, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must hold {n_classes} positive numbers, one per class, got {weights!r}.") from None
    if array.shape != (n_classes,):
        raise ValueError(
            f"{name} must hold {n_classes} positive numbers, one per class, got an array of shape {array.shape}."
        )
    if not (np.isfinite(array).all() and (array > 0).all()):
        raise ValueError(f"{name} must be finite and > 0 for every class, got {array.tolist()}.")
    return tuple(array.tolist())


def check_raw_prediction(raw_prediction: ArrayLike, shape: tuple[int, ...] | None = None) -> FloatArray:
    """Return ``raw_prediction`` as a float32 or float64 array; other floats are refused.

    float16 is refused instead of being widened: eleven bits do not carry a margin.
    """
    raw = np.asarray(raw_prediction)
    if raw.dtype.kind in "iub":
        raw = raw.astype(np.float64)
    if raw.dtype not in (np.float32, np.float64):
        raise TypeError(f"raw_prediction must be float32 or float64, got {raw.dtype}.")
    if shape is not None and raw.shape != shape:
        raise ValueError(f"raw_prediction must have shape {shape}, got {raw.shape}.")
    return raw


def check_binary_labels(y_true: ArrayLike, name: str = "y_true") -> NDArray[np.bool_]:
    """Return labels in {0, 1} as a boolean array of shape (n,)."""
    y = np.asarray(y_true)
    if y.ndim != 1:
        raise ValueError(f"{name} must have shape (n_samples,), got shape {y.shape}.")
    if y.dtype == np.bool_:
        return y
    if y.dtype.kind not in "iuf":
        raise TypeError(f"{name} must hold the numbers 0 and 1, got dtype {y.dtype}.")
    positive: NDArray[np.bool_] = y == 1
    wrong = ~(positive | (y == 0))
    if wrong.any():
        raise ValueError(f"{name} must hold only 0 and 1, got {y[wrong][0]!s} at row {int(wrong.argmax())}.")
    return positive


def check_sample_weight(
    sample_weight: ArrayLike | None, n_samples: int, name: str = "sample_weight"
) -> FloatArray | None:
    """Return weights, of shape (n,) or (n, 1), as a float array of shape (n,): finite, >= 0, not all zero."""
    if sample_weight is None:
        return None
    weight = as_column(sample_weight)
    if weight.dtype.kind in "iub":
        weight = weight.astype(np.float64)
    elif weight.dtype.kind != "f":
        try:
            weight = weight.astype(np.float64)
        except (TypeError, ValueError):
            raise TypeError(f"{name} must hold real numbers, got dtype {weight.dtype}.") from None
    if weight.shape != (n_samples,):
        raise ValueError(f"{name} must have shape ({n_samples},), got shape {weight.shape}.")
    if not np.isfinite(weight).all():
        row = int((~np.isfinite(weight)).argmax())
        raise ValueError(f"{name} must be finite, got {weight[row]!s} at row {row}.")
    if (weight < 0).any():
        row = int((weight < 0).argmax())
        raise ValueError(f"{name} must be >= 0, got the negative weight {weight[row]!s} at row {row}.")
    if n_samples and not weight.any():
        raise ValueError(f"{name} must have at least one positive weight, got all weights zero.")
    return weight


def check_choice(value: object, choices: Sequence[str], name: str) -> str:
    """Return ``value`` if it is one of ``choices``."""
    if not isinstance(value, str) or value not in choices:
        expected = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"{name} must be one of {expected}, got {value!r}.")
    return value
