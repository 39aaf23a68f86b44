"""Processes killed while clients log over REST: every value once, and a retry cures whatever they see."""

from __future__ import annotations

from typing import Any

from rekam.testing import LocalStack
from tests.support.faults import Faults
from tests.support.gateways import gateways_beside
from tests.support.mlflow_rest import Rest
from tests.support.rest_fleet import rest_fleet

VICTIMS = ("gateway", "tracking-project", "tracking-serve", "nats", "postgres")


def test_each_killed_in_turn_loses_nothing_and_doubles_nothing(mortal_stack: LocalStack) -> None:
    mortal_stack.reset()
    faults = Faults(mortal_stack)
    with rest_fleet(mortal_stack.http) as fleet:
        fleet.caught_up()
        for name in (*VICTIMS, "gateway"):
            before = faults.pids()[name]
            faults.kill(name)
            faults.all_ready({name: before})
            fleet.caught_up()
    assert fleet.check() > 0
    assert any(logger.repeated for logger in fleet.loggers)


def test_no_gateway_takes_points_for_a_run_once_its_delete_is_answered(mortal_stack: LocalStack) -> None:
    mortal_stack.reset()
    metric: dict[str, Any] = {"key": "loss", "value": 1.0, "timestamp": 1}
    with (
        gateways_beside(Faults(mortal_stack), 1) as (beside,),
        Rest(mortal_stack.http) as one,
        Rest(beside.http) as other,
    ):
        for _ in range(20):
            run_id = one.tell("runs/create", experiment_id="0")["run"]["info"]["run_id"]
            other.tell("runs/log-metric", run_id=run_id, **metric)
            one.tell("runs/delete", run_id=run_id)
            assert other.refused("runs/log-metric", run_id=run_id, **metric)[0] == 400
            other.tell("runs/restore", run_id=run_id)
            one.tell("runs/log-metric", run_id=run_id, **metric)
