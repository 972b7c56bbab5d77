"""The network that chooses a region learns from clicks, and is scored beside plain baselines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from terralogue.tools import at_point_changes_scores
from terralogue.tools.at_point_choice import load_chooser, write_chooser
from terralogue.tools.at_point_growth import DESCRIPTION
from terralogue.tools.at_point_training import (
    Click,
    by_source,
    calibrated,
    calibration_error,
    chosen,
    clicks,
    fit,
    main,
    simulated,
    table,
)


def made_up(count: int, seed: int) -> list[Click]:
    """Clicks of which two figures tell the overlap, with a little noise."""
    chance = np.random.default_rng(seed)
    found = []
    for number in range(count):
        figures = chance.normal(size=(12, len(DESCRIPTION))).astype(np.float32)
        figures[:, 5] = chance.uniform(0.2, 1)
        overlaps = figures[:, 5] / (1 + np.exp(-2 * figures[:, 3] + chance.normal(0, 0.1, 12)))
        source = "roofs" if number % 2 else "fields"
        found.append(Click(source, figures, overlaps.astype(np.float32), (0.2,), (0.3,)))
    return found


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_network_learns_what_tells_the_overlap(tmp_path: Path) -> None:
    validation = made_up(40, 1)
    chooser = calibrated(fit(made_up(80, 0), (8,)), validation)
    scores = table(chooser, validation, 0, 0)
    assert scores["chosen"]["mean"] > 0.9 * scores["best_grown"]["mean"]
    assert scores["disc"] == pytest.approx({"fields": 0.2, "roofs": 0.2, "mean": 0.2})
    assert scores["clicks"] == {"fields": 20, "roofs": 20}
    assert 0 <= calibration_error(chooser, validation) < 0.3
    assert chooser.probability(0.9) > chooser.probability(0.2)
    write_chooser(tmp_path, chooser)
    again = load_chooser(tmp_path)
    expected = chooser.overlap(validation[0].descriptions)
    assert again.overlap(validation[0].descriptions) == pytest.approx(expected, abs=1e-6)


def test_a_click_from_which_nothing_grew_scores_nothing() -> None:
    nothing = Click("roofs", np.zeros((0, 21), np.float32), np.zeros(0, np.float32), (0.1,), (0.1,))
    assert chosen(load_chooser(), nothing) == (0.0, 0.0)
    assert by_source([nothing], lambda click: chosen(load_chooser(), click)[1])["mean"] == 0


def test_simulated_fields_are_outlined_better_than_by_the_baselines() -> None:
    picture = simulated("sentinel2_l2a", 10.0, 204)
    found = list(clicks(picture, 3, np.random.default_rng(0)))
    assert len(found) == 3
    again = list(clicks(picture, 3, np.random.default_rng(0)))
    assert [click.discs for click in found] == [click.discs for click in again]
    reached = np.mean([chosen(load_chooser(), click)[1] for click in found])
    assert reached > np.mean([max(click.discs) for click in found])


def test_missing_data_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "has no folder images; name the folder of real data" in capsys.readouterr().err
    arguments = ["--data", str(tmp_path), "--val", "atlantis"]
    assert at_point_changes_scores.main(arguments) == 2
    assert "has to name some of the cities" in capsys.readouterr().err
