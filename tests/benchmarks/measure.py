"""How things are measured: interleaved rounds, medians of CPU time, one Row for each number."""

from __future__ import annotations

import gc
import importlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
Job = Callable[[], Any]


@dataclass(frozen=True)
class Row:
    """One measured number, beside a peer's where there is one."""

    name: str
    value: float
    unit: str
    peer: str | None = None
    peer_value: float | None = None
    limit: float | None = None  # what `value` may reach, or `ratio` where `relative`
    relative: bool = False

    @property
    def ratio(self) -> float | None:
        return self.value / self.peer_value if self.peer_value else None

    @property
    def goal(self) -> str | None:
        if self.limit is None:
            return None
        return f"<= {self.limit:g} {'x ' + str(self.peer) if self.relative else self.unit}"

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None without a goal, and when the peer is not here."""
        reached = self.ratio if self.relative else self.value
        return None if self.limit is None or reached is None else bool(reached <= self.limit)

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "peer": self.peer,
            "peer_value": self.peer_value,
            "ratio": self.ratio,
            "goal": self.goal,
            "met": self.met,
        }


missing: set[str] = set()


def peer(name: str) -> ModuleType | None:
    """A peer's module, None when it is not installed; what is missing is told at the end."""
    try:
        return importlib.import_module(name)
    except ImportError:
        missing.add(name.partition(".")[0])
        return None


def samples(
    jobs: Mapping[str, Job],
    seconds: float,
    *,
    least: int = 5,
    most: int = 1000,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, list[float]]:
    """Seconds of every job in every round. The jobs take turns, so that a slow moment hits them all."""
    for job in jobs.values():
        job()
    found: dict[str, list[float]] = {name: [] for name in jobs}
    end = time.monotonic() + seconds
    collecting = gc.isenabled()
    rounds = 0
    collected = 0.0
    gc.disable()
    try:
        while rounds < least or (rounds < most and time.monotonic() < end):
            # The collector runs between rounds and not in them, often enough that no garbage piles up.
            if time.monotonic() - collected > 0.05:
                gc.collect()
                collected = time.monotonic()
            for name, job in jobs.items():
                start = clock()
                job()
                found[name].append(clock() - start)
            rounds += 1
    finally:
        if collecting:
            gc.enable()
    return found


def medians(jobs: Mapping[str, Job], seconds: float, **options: Any) -> dict[str, float]:
    """Median seconds of CPU time of every job, from `samples`."""
    return {name: statistics.median(s) for name, s in samples(jobs, seconds, **options).items()}


def cpu_with_children() -> float:
    """CPU seconds of this process and of its finished children; a wall clock where there is no such count."""
    try:
        import resource
    except ImportError:
        return time.perf_counter()
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def fresh_python(*arguments: str, compiled: str) -> None:
    """Run a new interpreter, without a display, and fail if it fails.

    From its second run on it finds the modules in the folder `compiled`, as after an installation.
    """
    paths = os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH", "")) if p)
    environment = os.environ | {
        "PYTHONPATH": paths,
        "QT_QPA_PLATFORM": "offscreen",
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": compiled,
    }
    command = [sys.executable, *arguments]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, timeout=120)
