"""`freehold simulate`: histories of many nodes in virtual time, and what came of them."""

import argparse
import logging
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from freehold.simulator.history import HistoryOutcome


def add_commands(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `simulate`."""
    help = "nodes and a Master in virtual time, with everything that goes wrong; a seed tells the same history again"
    parser = subparsers.add_parser("simulate", help=help, description=help)
    parser.add_argument("--seed", type=int, default=0, help="of the first history (default: %(default)s)")
    parser.add_argument("--histories", type=int, default=1, metavar="N", help="how many, each with the next seed")
    parser.add_argument("--nodes", type=int, default=3, metavar="N", help="in each (default: %(default)s)")
    parser.add_argument("--days", type=float, default=0.06, metavar="D", help="of trouble (default: %(default)s)")
    parser.add_argument("--faults", type=int, default=30, metavar="N", help="in each (default: %(default)s)")
    parser.add_argument("--orders", type=int, default=12, metavar="N", help="of customers (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N", help="processes (default: all cores)")
    parser.set_defaults(run=_simulate)


def _simulate(options: argparse.Namespace) -> int:
    seeds = range(options.seed, options.seed + options.histories)
    bad = instances = faults = cpu_ms = 0
    for outcome in _outcomes(options, seeds):
        instances, faults = instances + outcome.instances, faults + outcome.faults
        cpu_ms += outcome.cpu_ms
        if len(seeds) == 1:
            print("\n".join(outcome.happened))
        if outcome.wrong:
            bad += 1
            print(f"seed {outcome.seed}:", *outcome.wrong, sep="\n    ", file=sys.stderr)
            print(f"    again: freehold simulate --seed {outcome.seed}{_different(options)}", file=sys.stderr)
    print(
        f"{len(seeds)} histories of {options.nodes} nodes, {faults} faults, {instances} instances,"
        f" {cpu_ms / 1000:.0f} CPU seconds of theirs counted: {bad or 'nothing'} went wrong."
    )
    if not instances:
        print("No instance was granted in any of them: nothing was tried.", file=sys.stderr)
    return 1 if bad or not instances else 0


def _outcomes(options: argparse.Namespace, seeds: range) -> "Iterator[HistoryOutcome]":
    jobs = min(options.jobs, len(seeds))
    shares = [(options, seeds[first::jobs]) for first in range(jobs)]
    if jobs == 1:
        yield from _share(shares[0])
        return
    # Each process has a Master of its own: Django takes one database in a process.
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        for outcomes in pool.map(_share, shares):
            yield from outcomes


def _share(share: tuple[argparse.Namespace, range]) -> "list[HistoryOutcome]":
    from freehold.simulator.history import rooms, run

    options, seeds = share
    logging.disable(logging.CRITICAL)
    with rooms() as folder:
        return [
            run(folder, seed, nodes=options.nodes, days=options.days, faults=options.faults, orders=options.orders)
            for seed in seeds
        ]


def _different(options: argparse.Namespace) -> str:
    """Return the options that a history depends on, where they are not the usual ones."""
    usual = {"nodes": 3, "days": 0.06, "faults": 30, "orders": 12}
    return "".join(
        f" --{name} {getattr(options, name)}" for name, value in usual.items() if getattr(options, name) != value
    )
