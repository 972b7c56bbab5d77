from __future__ import annotations

from typing import Any

import pytest

from terralogue.agent.figures import check_figures
from terralogue.agent.wording import describe


def result(tool: str, figures: dict[str, tuple[float, str]], **more: Any) -> dict[str, Any]:
    measured = [
        {"name": name, "value": value, "unit": unit, "label": more.pop(f"{name}_label", "")}
        for name, (value, unit) in figures.items()
    ]
    return {"tool": tool, "title": "Something", "measurements": measured, **more}


WATER = {
    "area": (312.43, "ha"),
    "share": (12.12, "%"),
    "observed_share": (95.8, "%"),
    "hidden_area": (113.2, "ha"),
}


def test_an_area_is_told_with_its_share_and_what_was_hidden() -> None:
    found = result("segment", WATER, area_label="Water")
    assert describe(found) == (
        "Water covers 312.4 ha, 12.1 % of what could be seen. 95.8 % of the scene could be seen; "
        "113.2 ha was hidden by cloud or had no data."
    )
    assert "of the region could be seen" in describe(found, confined=True)


def test_where_much_was_hidden_what_is_there_is_called_unknown() -> None:
    figures = {**WATER, "observed_share": (45.5, "%"), "hidden_area": (5.49, "ha")}
    text = describe(result("segment", figures, area_label="Water"))
    assert text.endswith("5.49 ha was hidden by cloud or had no data. What is there is unknown.")


def test_a_burn_is_told_by_its_severity() -> None:
    figures = {"gain_area": (9.0, "ha"), "loss_area": (0.0, "ha"), "net_area": (9.0, "ha")}
    figures |= {"area": (9.0, "ha"), "share": (3.0, "%"), "low_severity_area": (6.5, "ha")}
    figures |= {"moderate_low_severity_area": (2.5, "ha"), "high_severity_area": (0.0, "ha")}
    found = result(
        "detect_change", figures, low_severity_area_label="Burned, low severity",
        moderate_low_severity_area_label="Burned, moderate-low severity",
    )  # fmt: skip
    text = describe(found)
    assert "Of the burn: 6.50 ha low severity, 2.50 ha moderate-low severity." in text


def test_without_ground_the_share_is_told_first() -> None:
    figures = {"pixels": (1024.0, "px"), "share": (25.0, "%"), "observed_share": (100.0, "%")}
    found = result("segment", figures, pixels_label="Water")
    assert describe(found) == (
        "Water covers 25 % of what could be seen (1,024 pixels). All of the scene could be seen."
    )


def test_without_ground_the_interval_is_that_of_the_share() -> None:
    figures = {"pixels": (1024.0, "px"), "share": (25.0, "%"), "observed_share": (100.0, "%")}
    figures |= {"share_low": (21.0, "%"), "share_high": (28.0, "%")}
    figures |= {"pixels_low": (860.0, "px"), "pixels_high": (1147.0, "px")}
    text = describe(result("segment", figures, pixels_label="Roads"))
    assert "(1,024 pixels). It is probably between 21 % and 28 %. All" in text


def test_a_count_is_told_with_its_interval() -> None:
    def told(count: float, low: float, high: float) -> str:
        figures = {"count": (count, "1"), "count_low": (low, "1"), "count_high": (high, "1")}
        figures["observed_share"] = (100.0, "%")
        return describe(result("detect_objects", figures, count_label="Ships"))

    seen = "All of the scene could be seen."
    assert told(12, 10, 15) == f"Ships: 12 found, probably between 10 and 15 in all. {seen}"
    assert told(0, 0, 2) == f"Ships: none found; there may be up to 2. {seen}"
    assert told(0, 0, 0) == f"Ships: none found. {seen}"


def test_a_count_whose_error_is_unknown_is_told_without_an_interval_and_trees_by_the_hectare() -> (
    None
):
    figures = {"count": (12.0, "1"), "density": (74.0, "per ha")}
    found = result("detect_objects", figures, count_label="Trees")
    unknown = "how many were missed is not known"
    assert describe(found) == f"Trees: 12 found; {unknown}. That is 74 per hectare."
    check_figures(describe(found), [found])
    none = result("detect_objects", {"count": (0.0, "1")}, count_label="Vehicles")
    assert describe(none) == f"Vehicles: none found; {unknown}."


def test_change_tells_gain_loss_and_net() -> None:
    figures = {
        "gain_area": (3.5, "ha"),
        "loss_area": (11.81, "ha"),
        "net_area": (-8.31, "ha"),
        "area": (15.31, "ha"),
        "share": (4.2, "%"),
        "observed_share": (100.0, "%"),
    }
    assert "3.50 ha gained, 11.8 ha lost, net change -8.31 ha." in describe(
        result("detect_change", figures)
    )


@pytest.mark.parametrize(
    ("p", "said"), [(0.01, "That is a trend"), (0.4, "That is no clear trend")]
)
def test_a_series_says_whether_it_is_a_trend(p: float, said: str) -> None:
    figures = {
        "slope": (0.0123, "per year"),
        "slope_low": (0.002, "per year"),
        "slope_high": (0.03, "per year"),
        "p_value": (p, "1"),
        "first": (0.31, "1"),
        "last": (0.42, "1"),
    }
    text = describe(result("time_series", figures))
    assert "from 0.31 to 0.42, by 0.0123 per year on average" in text
    assert said in text


def test_an_index_is_told_by_its_middle_and_its_range() -> None:
    names = {"mean": 0.479, "median": 0.746, "minimum": -0.4, "maximum": 0.79, "p5": -0.35}
    figures = {name: (value, "1") for name, value in {**names, "p95": 0.764}.items()}
    assert "0.479 on average, median 0.746" in describe(result("compute_index", figures))


def test_an_index_tells_in_which_part_it_is_lowest_and_highest() -> None:
    names = {"mean": 0.4, "median": 0.4, "minimum": -0.4, "maximum": 0.8, "p5": 0.1, "p95": 0.7}
    figures = {name: (value, "1") for name, value in names.items()}
    figures |= {"lowest_part": (0.21, "1"), "highest_part": (0.66, "1")}
    found = {**result("compute_index", figures), "lowest_in": "left", "highest_in": "lower right"}
    said = "Of nine parts it is lowest in the left (0.21 on average) and highest in the lower right"
    assert said in describe(found)
    check_figures(describe(found), [found])


@pytest.mark.parametrize(
    ("label", "said"),
    [("Roads", "Roads cover 4 ha"), ("Snow and ice", "Snow and ice cover 4 ha"),
     ("Water", "Water covers 4 ha"), ("Grass", "Grass covers 4 ha")],
)  # fmt: skip
def test_a_class_has_the_verb_of_its_number(label: str, said: str) -> None:
    figures = {"area": (4.0, "ha"), "share": (2.0, "%")}
    assert describe(result("segment", figures, area_label=label)).startswith(said)


def test_zonal_statistics_tell_the_index_in_full_and_the_bands_by_their_means() -> None:
    spread = {"mean": 0.54, "median": 0.66, "p5": 0.2, "p95": 0.86, "minimum": 0.1, "maximum": 0.9}
    figures = {name: (value, "1") for name, value in spread.items()}
    figures |= {"B04_mean": (0.09, "1"), "B04_std": (0.05, "1"), "observed_share": (95.1, "%")}
    found = result("zonal_statistics", figures, mean_label="NDVI mean")
    index, bands, seen = describe(found, confined=True).splitlines()[1:]
    assert index.startswith("- NDVI: 0.54 on average, median 0.66.")
    assert bands == "- Means by band: B04 0.09; medians and spreads are in the table."
    assert seen == "- 95.1 % of the region could be seen."


def test_a_tool_without_a_sentence_gets_a_list() -> None:
    found = result("count_moons", {"moons": (2.0, "1")}, moons_label="Moons")
    assert describe(found) == "Something:\n- Moons: 2"


@pytest.mark.parametrize("tool", ["segment", "detect_change", "compute_index", "time_series"])
def test_a_result_without_the_usual_figures_is_listed(tool: str) -> None:
    found = result(tool, {"odd": (0.123456, "%")})
    assert describe(found) == "Something:\n- odd: 0.123 %"
    check_figures(describe(found), [found])
