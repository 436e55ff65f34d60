r"""Make a table as a payment service has it: times, customers, amounts, and fraud that drifts.

    python examples/make_payments.py payments.csv
    focal-gbm compare payments.csv --target fraud --time when --group customer \
        --cost-fp 5 --cost-fn amount --html payments.html

Nothing here is real. Fraud depends on the amount, the hour, the age of the account and the country; its share
grows over the year, and in the second half it moves to the small hours and to larger amounts (drift). A tenth
of the customers is careless, which no column says but their id.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

#: Makes 4 to 5 % of all payments fraud.
_INTERCEPT = -5.4

_COUNTRIES = np.array(["DE", "FR", "NL", "PL", "US"])


def payments(rows: int = 20_000, seed: int = 0) -> pd.DataFrame:
    """Return payments of one year in the order of their times.

    Parameters
    ----------
    rows : int
    seed : int

    Returns
    -------
    DataFrame
        With the columns when, customer, amount, country, account_days, hour, fraud.
    """
    draw = np.random.default_rng(seed)
    n_customers = max(rows // 6, 10)
    careless = draw.random(n_customers) < 0.1
    home = draw.choice(len(_COUNTRIES), n_customers, p=[0.35, 0.25, 0.15, 0.15, 0.1])
    opened = draw.uniform(-900, 300, n_customers)
    day = np.sort(draw.uniform(0, 365, rows))
    customer = draw.integers(0, n_customers, rows)
    abroad = draw.random(rows) < 0.06
    country = np.where(abroad, draw.integers(0, len(_COUNTRIES), rows), home[customer])
    amount = np.round(draw.lognormal(3.6, 1.1, rows), 2)
    second = np.round(np.where(draw.random(rows) < 0.12, draw.uniform(0, 6, rows), draw.normal(14, 4, rows)) * 3600)
    second = np.clip(second, 0, 86_399)
    account = np.maximum(day - opened[customer], 0.0)
    late = day > 182
    score = (
        _INTERCEPT
        + 0.9 * (np.log(amount) - 3.6) * np.where(late, 1.5, 0.8)
        + np.where(late, 1.8, 0.4) * (second < 6 * 3600)
        + 1.4 * (country != home[customer])
        + 1.1 * (account < 30)
        + 2.6 * careless[customer]
        + 0.8 * day / 365
        + draw.normal(0, 0.6, rows)
    )
    fraud = draw.random(rows) < 1 / (1 + np.exp(-score))
    when = pd.Timestamp(2024, 1, 1) + pd.to_timedelta(np.floor(day), unit="D") + pd.to_timedelta(second, unit="s")
    frame = pd.DataFrame(
        {
            "when": when.strftime("%Y-%m-%d %H:%M:%S"),
            "customer": [f"C{number:06d}" for number in customer],
            "amount": amount,
            "country": _COUNTRIES[country],
            "account_days": np.round(account, 1),
            "hour": (second // 3600).astype(int),
            "fraud": np.where(fraud, "yes", "no"),
        }
    )
    return frame.sort_values("when", kind="stable", ignore_index=True)


def main() -> None:
    """Write the table to a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    table = payments(arguments.rows, arguments.seed)
    table.to_csv(arguments.file, index=False)
    share = (table.fraud == "yes").mean()
    print(f"{len(table):,} payments of {table.customer.nunique():,} customers, {share:.2%} fraud")


if __name__ == "__main__":
    main()
