"""The vague-query set: what its files hold, and how seeds become items."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from terralogue.datasets.errors import InputError
from terralogue.datasets.sensors import get_sensor
from terralogue.datasets.vague_build import PARTS, build, fillings, part_of, slip
from terralogue.datasets.vague_seeds import FOLDER, LANGUAGES, Phrase, read_seeds

SEED = """@ lake measure | angler
> 1 opt -> tools segment water,wetland
> 1 s1 -> refuse sensor
p How big is the lake in {unit}?
c:de wie groß ist der see
"""


@pytest.fixture(scope="module")
def parts() -> Mapping[str, list[dict[str, Any]]]:
    return {
        part: [
            json.loads(line)
            for line in (FOLDER / f"{part}.jsonl").read_text(encoding="utf-8").splitlines()
        ]
        for part in PARTS
    }


def written(tmp_path: Path, text: str) -> Path:
    (tmp_path / "some.txt").write_text(text, encoding="utf-8")
    return tmp_path


def test_the_files_are_what_the_seeds_give(parts: Mapping[str, list[dict[str, Any]]]) -> None:
    assert build(read_seeds()) == parts


def test_no_seed_and_no_wording_crosses_from_part_to_part(
    parts: Mapping[str, list[dict[str, Any]]],
) -> None:
    seeds: dict[str, set[str]] = defaultdict(set)
    wordings: dict[str, set[str]] = defaultdict(set)
    for part, items in parts.items():
        for item in items:
            seeds[item["seed"]].add(part)
            wordings[json.dumps([item["query"].casefold(), item["history"]])].add(part)
    assert all(len(found) == 1 for found in (*seeds.values(), *wordings.values()))


def test_the_set_is_large_and_varied(parts: Mapping[str, list[dict[str, Any]]]) -> None:
    items = [item for found in parts.values() for item in found]
    assert len(items) >= 1500
    assert len({item["seed"] for item in items}) >= 250
    languages = Counter(item["language"] for item in items)
    assert set(languages) == set(LANGUAGES)
    assert min(languages.values()) >= 40
    assert len({item["vagueness"] for item in items}) == 7
    assert len({item["persona"] for item in items}) >= 200
    for part in parts.values():
        assert {item["gold"]["route"] for item in part} == {"answer", "tools", "clarify", "refuse"}


def test_both_members_of_a_pair_differ_in_inputs_and_share_no_route(
    parts: Mapping[str, list[dict[str, Any]]],
) -> None:
    for items in parts.values():
        groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for item in items:
            groups[json.dumps([item["query"], item["history"]])].append(item)
        paired = [group for group in groups.values() if len(group) > 1]
        assert len(paired) > 50
        for one, other in paired:
            assert one["inputs"] != other["inputs"]
            routes = [set(item["gold"]["acceptable_routes"]) for item in (one, other)]
            assert not routes[0] & routes[1]


def test_gold_is_whole_and_sensors_are_known(parts: Mapping[str, list[dict[str, Any]]]) -> None:
    detail = {"tools": "tool", "clarify": "missing_slot", "refuse": "reason"}
    for item in (item for found in parts.values() for item in found):
        gold = item["gold"]
        assert gold["route"] == gold["acceptable_routes"][0]
        if gold["route"] in detail:
            assert gold[detail[gold["route"]]], item["id"]
        for scene in item["inputs"]["scenes"]:
            get_sensor(scene["sensor"])
        assert "{" not in item["query"]


def test_a_seed_is_read_with_its_cases_and_wordings(tmp_path: Path) -> None:
    (seed,) = read_seeds(written(tmp_path, SEED))
    assert (seed.id, seed.act, seed.personas) == ("lake", "measure", ("angler",))
    assert seed.cases[0].gold == {
        "route": ("tools",), "tool": ("segment",), "target": ("water", "wetland"),
    }  # fmt: skip
    assert [p.language for p in seed.phrases] == ["en", "de"]
    items = [item for part in build([seed]).values() for item in part]
    assert {item["gold"]["route"] for item in items} == {"tools", "refuse"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SEED.replace("water,wetland", "puddle"), "puddle"),
        (SEED + SEED, "rename one of: lake"),
        ("p a wording without a seed\n", "no line of a seed"),
        ("@ lake measure | angler\np How big?\n", "needs a line"),
    ],
)
def test_a_broken_seed_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_seeds(written(tmp_path, text))


def test_slots_are_filled_with_words_that_name_their_targets() -> None:
    found = fillings(Phrase("precise", "en", "how much {areal}"), random.Random(1))
    assert 1 < len(found) <= 3
    assert all(one.targets for one in found)


def test_a_slip_changes_letters_within_words_only() -> None:
    text = "How many hectares of woodland?"
    slipped = slip(text, random.Random(3))
    assert slipped != text
    assert len(slipped.split()) == len(text.split())
    assert abs(len(slipped) - len(text)) <= 2


def test_seeds_written_after_a_scoring_stay_on_the_side_that_they_were_written_for() -> None:
    placed = {"late-": "test", "goal-": "train"}
    for seed in read_seeds():
        for opening, part in placed.items():
            if seed.id.startswith(opening):
                assert part_of(seed) == part


def test_no_later_training_question_repeats_a_held_out_one(
    parts: Mapping[str, list[dict[str, Any]]],
) -> None:
    held = {item["query"].casefold() for part in ("val", "test") for item in parts[part]}
    later = {i["query"].casefold() for i in parts["train"] if i["seed"].startswith("goal-")}
    # Names of things alone, such as "grassland as well", may be said of anything.
    assert not {query for query in later & held if len(query.split()) > 3}
