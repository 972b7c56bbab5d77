"""Slopes, intervals and significance of short series."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest

from terralogue.tools.trend import decimal_year, fit_trend


def test_a_line_is_its_own_trend() -> None:
    years = [1985.5, 1995.5, 2005.5, 2015.5, 2020.5]
    trend = fit_trend(years, [2 - 0.1 * year for year in years])
    assert trend.slope == pytest.approx(-0.1)
    assert trend.low == pytest.approx(-0.1)
    assert trend.high == pytest.approx(-0.1)
    assert trend.line == pytest.approx([2 - 0.1 * year for year in years])
    # Of the 120 orders of five values two are as extreme.
    assert trend.p == pytest.approx(2 / 120)


def test_one_outlier_does_not_turn_the_slope() -> None:
    years = np.arange(2000, 2012)
    values = 3.0 * years
    values[5] = 1e6
    trend = fit_trend(list(years), list(values))
    assert trend.slope == pytest.approx(3, abs=0.2)
    assert trend.low is not None
    assert trend.high is not None
    assert trend.low <= trend.slope <= trend.high


def test_the_p_value_is_mann_and_kendalls() -> None:
    # S = 7 - 3 concordant minus discordant pairs; exact null distribution of five values.
    trend = fit_trend([1, 2, 3, 4, 5], [1.0, 3.0, 2.0, 5.0, 4.0])
    assert trend.p == pytest.approx(28 / 120)


def test_constant_values_have_no_significance() -> None:
    trend = fit_trend([2001, 2002, 2003, 2004], [5.0, 5.0, 5.0, 5.0])
    assert trend.slope == 0
    assert trend.p is None


def test_three_values_have_no_interval() -> None:
    trend = fit_trend([2001, 2002, 2003], [1.0, 2.0, 4.0])
    assert trend.low is None
    assert trend.high is None
    assert trend.p == pytest.approx(1 / 3)


def test_times_are_fractions_of_years() -> None:
    assert decimal_year(datetime(2020, 1, 1)) == 2020
    assert decimal_year(datetime(2021, 7, 2, 12)) == pytest.approx(2021.5)
    assert decimal_year(datetime(2020, 12, 31, 12)) < 2021
