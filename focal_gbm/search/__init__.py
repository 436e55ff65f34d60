"""FocalSearchCV: γ, α, the number of rounds and any other parameter, by cross-validation.

`search.py` goes through the grid, `stopping.py` sets rows aside to stop on, `results.py` reports as
GridSearchCV does.
"""

from focal_gbm.search.search import DEFAULT_GRID, FocalSearchCV

__all__ = ["DEFAULT_GRID", "FocalSearchCV"]
