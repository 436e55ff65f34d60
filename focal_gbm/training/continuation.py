"""Training that goes on from a model: whether its raw predictions mean what those of the new loss mean."""

from __future__ import annotations

import math
from typing import Any

from focal_gbm.losses import Loss, MarginLoss


def check_goes_on(previous: Loss | None, loss: Loss, name: str) -> None:
    """Raise where the trees of a model would be read by another link than they were trained for.

    Log-odds are log-odds, whatever the γ and α that they were trained with: of a model of the library
    alone, of ``focal_link="logit"``, or of the log loss without class weights. Focal scores are those of one
    γ and α.

    Parameters
    ----------
    previous : Loss or None
        That of the model to go on from; None of a model that the library trained alone.
    loss : Loss
        That of the fit.
    name : str
        The argument that the model was given as.

    Raises
    ------
    ValueError
        Naming both.
    """
    before = _scores(previous) if previous is not None else [None] * len(_scores(loss))
    if not _same(before, _scores(loss)):
        told = "log-odds of the library's own" if previous is None else _description(previous)
        raise ValueError(
            f"{name} must have raw predictions of the same meaning as this fit: it has {told}, and this fit "
            f"{_description(loss)}. Give both the same focal_gamma, focal_alpha and margin_loss, or train "
            'both with focal_link="logit", whose log-odds are the same for all of them.'
        )


def is_log_odds(loss: Loss) -> bool:
    """Say whether σ or softmax of raw predictions is the probability."""
    return all(one is None for one in _scores(loss))


def _groups(loss: Loss) -> list[list[tuple[MarginLoss, float]]]:
    """Return (loss of the margin, α) of the classes of each label, or of all classes."""
    pairs = loss.weighted_losses()
    size = 2 if loss.activation == "sigmoid" else len(pairs)
    return [pairs[i : i + size] for i in range(0, len(pairs), size)]


def _scores(loss: Loss) -> list[Any]:
    """Return what scores are, of each label: None for log-odds, or the losses with α but for a factor."""
    scores: list[Any] = []
    for group in _groups(loss):
        ratios = [alpha / group[0][1] for _, alpha in group]
        is_log_loss = all(one.is_log_loss for one, _ in group) and all(ratio == 1.0 for ratio in ratios)
        is_log_odds = is_log_loss or loss.focal_link == "logit"
        scores.append(None if is_log_odds else ([one for one, _ in group], ratios))
    return scores


def _same(before: list[Any], after: list[Any]) -> bool:
    def one(a: Any, b: Any) -> bool:
        if a is None or b is None:
            return a is b
        ratios = zip(a[1], b[1], strict=True)
        return a[0] == b[0] and all(math.isclose(x, y, rel_tol=1e-9) for x, y in ratios)

    return len(before) == len(after) and all(map(one, before, after))


def _description(loss: Loss) -> str:
    if loss.focal_link == "logit":
        return 'log-odds (focal_link="logit")'
    texts = []
    for group in _groups(loss):
        symbols = dict.fromkeys(one.symbol for one, _ in group)
        alphas = ", ".join(f"{alpha:.6g}" for _, alpha in group)
        texts.append(f"{' and '.join(symbols)}, α = ({alphas})")
    return f"focal scores of {'; '.join(dict.fromkeys(texts))}"
