"""A parameter that the library would ignore without a word, and that reads like ours, is warned of."""

import warnings

import pytest
from estimators import focal_lgb, focal_xgb, make_table

TABLE = make_table(0, 200)


@pytest.mark.parametrize(
    ("make", "name", "meant"),
    [
        (focal_lgb, "gamma", "focal_gamma"),
        (focal_lgb, "alpha", "focal_alpha"),
        (focal_lgb, "focalgamma", "focal_gamma"),
        (focal_lgb, "hesian", "hessian"),
        (focal_xgb, "fokal_gamma", "focal_gamma"),
        (focal_xgb, "probabilty", "probability"),
    ],
)
@pytest.mark.filterwarnings(r"ignore:[\s\S]*Parameters:UserWarning")
def test_near_names(make, name, meant):
    with pytest.warns(
        UserWarning, match=rf"has no parameter {name}, which is ignored: did you mean {meant}\?$"
    ):
        make(**{name: 2.0}).fit(TABLE.X, TABLE.y)


def test_names_of_the_library():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        focal_xgb(gamma=0.1, reg_alpha=0.1).fit(TABLE.X, TABLE.y)
        focal_lgb(min_hessian=0.1, lambda_l1=0.1, max_bin=31).fit(TABLE.X, TABLE.y)


@pytest.mark.parametrize("make", [focal_xgb, focal_lgb])
@pytest.mark.parametrize("name", ["focal_alpha", "focal_gamma"])
def test_a_class_that_is_not_named(make, name):
    with pytest.raises(
        ValueError, match=rf"^{name} must have one .* for each of the classes \[0, 1\], got none for \[0\]\.$"
    ):
        make(**{name: {1: 9.0}}).fit(TABLE.X, TABLE.y)
    with pytest.raises(ValueError, match=r"got none for \[0\] and some for the unknown \[7\]\.$"):
        make(**{name: {1: 9.0, 7: 1.0}}).fit(TABLE.X, TABLE.y)
