"""Recipes and a user's own files of settings: what wins, and what is refused where."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from alexnet.model.config import NetworkConfig, TrainConfig
from alexnet.model.recipe import (
    OPTIONS,
    RECIPES,
    RecipeName,
    gather_settings,
    read_settings,
)
from alexnet.pipeline.errors import ConfigError

# docs/article.md and Keras: what the article's code says.
ARTICLE = {
    "variant": "article",
    "augment": "article",
    "optimizer": "sgd",
    "learning_rate": 0.001,
    "schedule": "constant",
    "weight_decay": 0,
    "loss": "one-hot",
    "batch_size": 32,
    "image_size": 227,
}


def test_the_recipes_are_the_shipped_files() -> None:
    assert {path.stem for path in RECIPES.iterdir()} == set(get_args(RecipeName))


@pytest.mark.parametrize("name", get_args(RecipeName))
def test_a_recipe_says_where_it_is_from_and_can_be_trained(name: str) -> None:
    assert (RECIPES / f"{name}.toml").read_text("utf-8").startswith("# ")
    settings = gather_settings(name, None, {})
    for config in (NetworkConfig, TrainConfig):
        config(**{k: v for k, v in settings.items() if OPTIONS[k] is config})


def test_the_articles_recipe_is_the_articles() -> None:
    assert gather_settings("article", None, {}) == ARTICLE


def test_a_setting_wins_over_a_file_and_a_file_over_a_recipe(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('epochs = 3\nbatch-size = 16\nvariant = "bn"\nfreeze = ["conv1"]\n')
    gathered = gather_settings("article", own, {"epochs": 5})
    changed = {"epochs": 5, "batch_size": 16, "variant": "bn", "freeze": ("conv1",)}
    assert gathered == ARTICLE | changed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# a\n\nlearning_rte = 0.1\n", "line 3: learning_rte is no setting; the "),
        ("# a\n\nlearning_rte = 0.1\n", "nearest is learning_rate"),
        ("qqq = 1\n", "line 1: qqq is no setting; there are "),
        ("num_classes = 3\n", "line 1: num_classes is no setting"),
        ("seed = 1\n[train]\nepochs = 3\n", "line 2: train is no setting"),
        (
            "seed = 1\nepochs = 'many'\n",
            "line 2: epochs is 'many'; it needs a whole number",
        ),
        ("xla = 1\n", "line 1: xla is 1; it needs true or false"),
        ("seed = 1\ndropout = 1.0\n", "line 2: dropout is 1.0; it needs 0 to below 1"),
        ("epochs = -3\n", "line 1: epochs is -3; it needs 0 to 1,000,000"),
        ("augment = 'moden'\n", "line 1: augment is 'moden'; it needs one of "),
        ("clip-norm = 0\n", "line 1: clip_norm is 0; it needs above 0, and finite"),
        ("learning_rate = inf\n", "line 1: learning_rate is inf; it needs a number"),
        ("epochs = 2026-01-01\n", "line 1: epochs is datetime.date"),
        ("epochs 3\n", "is no TOML: Expected '=' after a key"),
        ("epochs 3\n", "at line 1"),
    ],
)
def test_a_file_with_something_else_is_refused(
    text: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        read_settings(path)
    assert str(path) in str(error.value)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("recipe", "config", "message"),
    [
        (None, "gone.toml", "no such file: gone.toml. Expected TOML"),
        (None, ".", "no such file: ."),
        ("bst", None, "recipe is 'bst'; it needs one of article, paper, fast, best"),
    ],
)
def test_a_missing_file_or_recipe_is_named(
    recipe: Any, config: Any, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        gather_settings(recipe, config and Path(config), {})


def test_bytes_that_are_no_text_are_no_toml(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is no TOML"):
        read_settings(tmp_path / "own.toml")
