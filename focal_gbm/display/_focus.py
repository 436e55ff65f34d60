"""FocusDisplay: how much of the loss the hardest rows carry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logit
from sklearn.preprocessing import LabelEncoder
from sklearn.utils.validation import check_consistent_length, column_or_1d

from focal_gbm._validation import FloatArray, check_sample_weight
from focal_gbm.display._axes import PAPER_GAMMAS, check_gamma_list, draw, label_of, pyplot
from focal_gbm.losses import BinaryFocalLoss, Loss, MarginLoss, MulticlassFocalLoss
from focal_gbm.training.estimator import FocalClassifierMixin

#: Shares of the rows at which the curves are kept: even steps, and small ones where the hardest rows of
#: a large table are.
_ROW_SHARE = np.unique(np.concatenate([np.linspace(0.0, 1.0, 201), np.geomspace(1e-5, 0.1, 201)]))

_PANELS_A_LINE = 3


class FocusDisplay:
    """Share of the total loss that the hardest rows carry, class by class: the paper's figure 4.

    The rows of each class are sorted by their loss, hardest first, and the loss is summed. The farther a
    curve bends away from the diagonal, the fewer rows training attends to. As in the paper the scores are
    those of one model, and only γ of the loss changes; the curves then never cross. Weights α drop out
    within a class. It is recommended to use `from_estimator` or `from_predictions` to create a display.

    Parameters
    ----------
    row_share : ndarray of shape (n_points,)
        Share of a class's rows, of their weight if they have one, hardest first.
    loss_share : ndarray of shape (n_classes, n_gammas, n_points)
        Share of the class's loss that they carry.
    gammas : sequence of n_gammas floats
    classes : sequence of n_classes labels
    estimator_name : str, default=None
        Title of the legend.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes, of shape (n_classes,)
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D
        Class by class, γ by γ.

    References
    ----------
    Lin, Goyal, Girshick, He, Dollár: Focal Loss for Dense Object Detection, ICCV 2017,
    arXiv:1708.02002, figure 4. There the easiest rows come first.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> import numpy as np
    >>> from focal_gbm import FocusDisplay
    >>> y, z = [0, 0, 0, 0, 1, 1], np.array([-4.0, -3.0, -2.0, 1.0, 0.5, 3.0])
    >>> display = FocusDisplay.from_predictions(y, z, gammas=[0, 2])
    >>> [round(float(share), 2) for share in display.loss_share_of(0.25)[0]]  # the hardest of four
    [0.87, 1.0]
    """

    def __init__(
        self,
        *,
        row_share: FloatArray,
        loss_share: FloatArray,
        gammas: Sequence[float | MarginLoss],
        classes: Sequence[Any],
        estimator_name: str | None = None,
    ) -> None:
        self.row_share = row_share
        self.loss_share = loss_share
        self.gammas = gammas
        self.classes = classes
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        gammas: Sequence[float | MarginLoss] = PAPER_GAMMAS,
        sample_weight: ArrayLike | None = None,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> FocusDisplay:
        """Compute the shares from the scores of a fitted classifier, and draw them.

        Parameters
        ----------
        estimator : fitted classifier
            Of this package: its focal scores are taken. Any other with `predict_proba`, such as the
            libraries' own: its probabilities, clipped to [eps, 1-eps] as scikit-learn does.
        X : array-like, data frame or sparse matrix of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            True labels.
        gammas, sample_weight, name, ax, **kwargs
            As for `from_predictions`; `name` defaults to the estimator's class.

        Returns
        -------
        FocusDisplay

        Raises
        ------
        TypeError, ValueError
            Naming the argument that is wrong.
        sklearn.exceptions.NotFittedError
            If the estimator was not fitted.
        ImportError
            If matplotlib is not installed.
        """
        if isinstance(estimator, FocalClassifierMixin):
            raw_prediction = estimator.decision_function(X)  # type: ignore[attr-defined]
        elif hasattr(estimator, "predict_proba"):
            raw_prediction = _scores(estimator.predict_proba(X))
        else:
            raise TypeError(f"estimator must have predict_proba, got {type(estimator).__name__}.")
        return cls.from_predictions(
            y,
            raw_prediction,
            gammas=gammas,
            sample_weight=sample_weight,
            labels=estimator.classes_,
            name=name or type(estimator).__name__,
            ax=ax,
            **kwargs,
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        raw_prediction: ArrayLike,
        *,
        gammas: Sequence[float | MarginLoss] = PAPER_GAMMAS,
        sample_weight: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> FocusDisplay:
        """Compute the shares from scores, and draw them.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            True labels, of any type; every class must have a row.
        raw_prediction : array-like of float of shape (n_samples,) or (n_samples, n_classes)
            Scores z, in logits of σ(z) or softmax(z), columns in the sorted order of the labels.
        gammas : sequence of float, default=(0, 0.5, 1, 2, 5)
            Focusing parameters, >= 0.
        sample_weight : array-like of shape (n_samples,), default=None
            A weight of k is k copies of the row.
        labels : array-like of shape (n_classes,), default=None
            The labels in the order of the columns; None sorts those of `y_true`.
        name, ax, **kwargs
            As for `plot`.

        Returns
        -------
        FocusDisplay

        Raises
        ------
        TypeError, ValueError
            Naming the argument that is wrong.
        ImportError
            If matplotlib is not installed.
        """
        margin_losses = check_gamma_list(gammas)
        y = column_or_1d(y_true)
        z = np.asarray(raw_prediction)
        check_consistent_length(y, z)
        weight = check_sample_weight(sample_weight, len(y))
        weight = np.ones(len(y)) if weight is None else weight.astype(np.float64)
        encoder = LabelEncoder().fit(y)
        classes = encoder.classes_ if labels is None else np.asarray(labels)
        if not np.array_equal(classes, encoder.classes_):
            raise ValueError(
                f"y_true must hold rows of every class, {classes.tolist()}, and of no other, "
                f"got {encoder.classes_.tolist()}."
            )
        codes = encoder.transform(y)
        losses = [_loss(one, len(classes)).loss(codes, z) for one in margin_losses]
        of_class = [
            [_shares(loss[codes == k], weight[codes == k], label) for loss in losses]
            for k, label in enumerate(classes.tolist())
        ]
        display = cls(
            row_share=_ROW_SHARE,
            loss_share=np.array(of_class),
            gammas=tuple(gammas),
            classes=classes.tolist(),
            estimator_name=name,
        )
        return display.plot(ax, **kwargs)

    def loss_share_of(self, row_share: float) -> FloatArray:
        """Return the share of the loss that the hardest share of rows carries.

        Parameters
        ----------
        row_share : float
            In [0, 1]; 0.01 is the hardest row of a hundred of its class.

        Returns
        -------
        ndarray of shape (n_classes, n_gammas)
        """
        if not 0.0 <= row_share <= 1.0:
            raise ValueError(f"row_share must lie in [0, 1], got {row_share!r}.")
        return np.array(
            [[np.interp(row_share, self.row_share, curve) for curve in one] for one in self.loss_share]
        )

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> FocusDisplay:
        """Draw one panel a class.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of n_classes Axes, default=None
            Where to draw. Single Axes give their room to the panels; None makes a figure.
        name : str, default=None
            Title of the legend; None is `estimator_name`.
        **kwargs
            For ``ax.plot``, for all lines.

        Returns
        -------
        self
        """
        self.axes_ = self._panels(ax)
        name = self.estimator_name if name is None else name
        labels = [label_of(one) for one in check_gamma_list(self.gammas)]
        self.lines_ = []
        for panel, label, share in zip(self.axes_, self.classes, self.loss_share, strict=True):
            panel.plot([0, 1], [0, 1], color="0.7", linewidth=0.8, linestyle=":", zorder=0)  # all rows alike
            self.lines_ += draw(panel, self.row_share, share, labels, name, legend="lower right", **kwargs)
            panel.set(title=f"Rows of class {label}", xlabel="Share of the rows, hardest first")
            place = panel.get_subplotspec()
            if place is None or place.is_first_col():
                panel.set_ylabel("Share of their total loss")
            panel.set(xlim=(0.0, 1.0), ylim=(0.0, 1.0))
            for axis in (panel.xaxis, panel.yaxis):
                axis.set_major_formatter("{x:.0%}")
        self.figure_ = self.axes_[0].figure
        return self

    def _panels(self, ax: Any) -> NDArray[Any]:
        n_panels = len(self.classes)
        if ax is not None and np.size(ax) > 1:
            if np.size(ax) != n_panels:
                raise ValueError(f"ax must hold {n_panels} Axes, one a class, got {np.size(ax)}.")
            return np.ravel(ax)
        columns = min(n_panels, _PANELS_A_LINE)
        lines = -(-n_panels // columns)
        if ax is None:
            size = (4.2 * columns, 3.6 * lines)
            figure = pyplot().figure(figsize=size, layout="constrained")
            grid = figure.add_gridspec(lines, columns)
        else:
            ax = np.ravel(ax)[0]
            if ax.get_subplotspec() is None:
                raise ValueError(f"ax must be of a grid, as subplots makes, or {n_panels} Axes, one a class.")
            figure = ax.figure
            grid = ax.get_subplotspec().subgridspec(lines, columns)
            ax.set_axis_off()
        return np.array([figure.add_subplot(grid[divmod(i, columns)]) for i in range(n_panels)])


def _scores(probability: FloatArray) -> FloatArray:
    """Return scores whose σ or softmax are the probabilities."""
    eps = np.finfo(probability.dtype).eps
    probability = np.clip(probability, eps, 1 - eps)
    return np.asarray(logit(probability[:, 1]) if probability.shape[1] == 2 else np.log(probability))


def _loss(margin_loss: MarginLoss, n_classes: int) -> Loss:
    if n_classes == 2:
        return BinaryFocalLoss(margin_loss=margin_loss)
    return MulticlassFocalLoss(n_classes, margin_loss=margin_loss)


def _shares(loss: FloatArray, weight: FloatArray, label: Any) -> FloatArray:
    """Return the share of the loss at each of the shares of rows, hardest first."""
    order = np.argsort(-loss, kind="stable")
    rows = np.concatenate([[0.0], np.cumsum(weight[order])])
    total = np.concatenate([[0.0], np.cumsum(loss[order] * weight[order], dtype=np.float64)])
    if not total[-1] > 0.0:
        raise ValueError(f"The rows of class {label!r} must have a loss and a weight, got a total of 0.")
    return np.interp(_ROW_SHARE, rows / rows[-1], total / total[-1])
