"""Recipes: real data that come with installed packages, ready to train on, nothing downloaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from converters.errors import InputError, MissingToolError
from edge_lstm.training.datasets import Table

__all__ = ["RECIPES", "Recipe", "find_recipe"]


@dataclass(frozen=True)
class Recipe:
    """``load`` gives the table, or raises MissingToolError where its package is missing;
    ``target`` is the column to predict unless another is asked for, ``training_share`` the
    part of the rows, 0…1, that comes before the test part."""

    name: str
    description: str
    source: str
    licence: str
    target: str
    training_share: float
    load: Callable[[], Table]

    def __str__(self) -> str:
        return f"{self.description} (recipe '{self.name}'; {self.source}; {self.licence})"


def find_recipe(name: str) -> Recipe:
    """The recipe of that name, or an InputError that lists the ones there are."""
    if name not in RECIPES:
        raise InputError(f"there is no recipe '{name}'; choose one of {', '.join(RECIPES)}")
    return RECIPES[name]


def _load_stock() -> Table:
    try:
        from bokeh_sampledata import stocks
    except ImportError as error:
        raise MissingToolError(
            "recipe 'stock' needs the package bokeh_sampledata: pip install 'edge-lstm[examples]'"
        ) from error
    prices = np.asarray(stocks.AAPL["adj_close"], np.float32)
    return Table(("adj_close",), prices[:, None], "recipe 'stock'")


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="stock",
            description="adjusted daily closing prices of AAPL, 2000 to 2013",
            source="Quandl WIKI, from bokeh_sampledata",
            licence="public domain",
            target="adj_close",
            # After 80 % of these days hardly a price returns into the range learnt from. After
            # 60 % three windows of ten do, over half of its width, and seven do not: enough to
            # measure the case that works and to show the one that the range alarm is for.
            training_share=0.6,
            load=_load_stock,
        ),
    )
}
