"""Processes that share each pack: what each of them computes, and which models they can share."""

from types import SimpleNamespace
from typing import cast

import pytest
import torch

from engine.build import team_of
from engine.config.schema import Config
from engine.exits import UsageError
from engine.parallel.processes import Processes
from engine.parallel.team import Team
from engine.policy import Policy
from tests.engine.tiny_folder import tiny_llama


def test_a_pack_is_divided_token_by_token() -> None:
    """Each of a team computes its share of the tokens; what is left over is filled up."""
    parts = []
    for rank in range(3):
        team = Team(cast(Processes, SimpleNamespace(rank=rank, world=3)))
        team.size, team.index = 3, rank  # as in a team of three, without a group to meet in
        parts.append(team.part(torch.arange(1, 8)[None]))
    assert torch.cat(parts, 1).tolist() == [[1, 2, 3, 4, 5, 6, 7, 0, 0]]


def test_processes_that_cannot_divide_the_heads_cannot_share_a_pair() -> None:
    config = Config.model_validate(
        {
            "model": {"id": "x/y"},
            "data": {"sources": [{"path": "x/y"}]},
            "launch": {"devices": 3, "sequence_parallel": 3},
        }
    )
    alone = cast(Processes, SimpleNamespace(rank=0, world=3))
    with pytest.raises(UsageError, match="must divide the model's 4 attention heads"):
        team_of(config, Policy(tiny_llama()), alone)
    with pytest.raises(UsageError, match="needs a model that runs packs"):
        team_of(config, Policy(tiny_llama(), "single"), alone)
