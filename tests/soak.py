"""Long runs that the normal suite does in short: `make soak`, or `python -m tests.soak fuzz` and the others.

`fuzz` spoils real scene files at random and demands one clear error, or a state that survives saving and
runs; `kill` kills programs while they save and demands a whole file; `window` kills the window while its
user edits and demands that the next start offers the work of all but the last minute; `hour` lets a monkey
loose on one window for an hour and demands that nothing breaks, stalls or eats memory.
"""

import argparse
import base64
import gc
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from explorer.model.alterations import leaves_by_key
from explorer.model.files import FileError, decode, encode, load, recoverable, save
from explorer.model.files.atomic import write_atomic
from explorer.model.session import State
from explorer.model.state import Breakpoint, Recipe, UserChapter
from explorer.model.whole import OWN
from scenes import SCENES
from scenes.scene import SceneError

REAL = Path(__file__).parent / "explorer" / "scene_files"

STARTS = (
    '{"format": "backstep-scene", "version": 1, "scene": ',
    "[",
    "{",
    '"',
    "\\u202e",
    "../",
    "<img src=x>",
)
ODD: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63) - 1, 10**30, 0.5, -0.0, 1e308,
    float("nan"), float("inf"), "", "nan", "inf", "bptt", "f8", "O8", "a" * 5000,
    "../../etc/passwd", "\x00\x1b[31m", "\u202egnp.exe", "\ud800",
    [], {}, [[]], [0] * 100, [2**24] * 8, {"shape": [2], "dtype": "f8", "data": [1, 2]}, {"a": {"b": [{}]}},
]  # fmt: skip


def same(a, b):
    """Whether two states agree in all that a file keeps, arrays bit for bit."""
    arrays = ("edits", "trained", "clamps")
    names = {f.name for f in fields(State)} - {*arrays, "playing", "highlight"}
    if any(getattr(a, n) != getattr(b, n) for n in names):
        return False
    if any(getattr(a, n).keys() != getattr(b, n).keys() for n in arrays):
        return False
    pairs = [(getattr(a, n)[key], getattr(b, n)[key]) for n in arrays for key in getattr(a, n)]
    return all((x.dtype, x.shape, x.tobytes()) == (y.dtype, y.shape, y.tobytes()) for x, y in pairs)


def full_state(id, size=3):
    """A state of the scene with something in every field, and the keywords that go with it."""
    edits = {
        "W": np.array([[0.1, -0.0, np.nan], [np.inf, -np.inf, 1e-320]]),
        "long": np.linspace(-1, 1, 24 * size),
        "mask": np.array([True, False]),
        "#12": np.array(3, dtype=np.int32),
        "f": np.array([0.1, 2], dtype=np.float32),
    }
    state = State(
        scene=id,
        parameters=SCENES[id].defaults(),
        seed=7,
        edits=edits,
        recipe=Recipe(
            "adam", 0.01, "cosine", clip=1.5, decay=0.01, frozen=("b_*", "W"), patience=3, epochs=20
        ),
        update=12,
        trained={"W": np.array([[0.5, -1.0]]), "#12": np.array(1e-320)},
        folded=frozenset({f"{id}/t=1", f"{id}/t=2/時"}),
        t=12.25,
        speed=2.0,
        selection=(3, 1),
        loop=(2.0, 9.5),
        camera=(-10.5, 20.0, 1.5),
        clamps={"h_1": np.array([0.5, -1.0, 1e-320]), "#12": np.array(2.0)},
        cuts=frozenset({("h_2", 1), ("#13", 0)}),
        frozen=frozenset({"W", "b"}),
        breakpoints=(Breakpoint("below", "h_*", 1e-3), Breakpoint("nan", "#12", on=False)),
        chapter="start",
        notes="one\n\ntwo $x$\n",
        chapters=(
            UserChapter("one", "Erstes 一", "# Hi\n*there*", 1.0, 2.5, ("W", "#12"), (0.0, 1.0, 2.0)),
            UserChapter("two"),
        ),
    )
    return state, {"title": "A <b>title</b>", "ext": {"org.example": b'{"a":  [1,{"b": null}]}'}}


def corpus():
    """One full and one bare file per scene."""
    files = []
    for id, scene in SCENES.items():
        state, extras = full_state(id)
        files += [encode(state, **extras), encode(State(scene=id, parameters=scene.defaults()))]
    graphs = [
        path.read_bytes() for path in sorted(REAL.glob("*/*.backstep")) if b'"graph"' in path.read_bytes()
    ]
    return files + graphs * (len(files) // len(graphs))


def spoil_bytes(rng, data):
    """A few small injuries to the text."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        i, j = sorted((rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)))
        j = min(j, i + rng.choice((1, 4, 30, 400)))
        match rng.randrange(7):
            case 0 if i < len(data):
                data[i] ^= 1 << rng.randrange(8)
            case 1:
                del data[i:j]
            case 2:
                data[i:i] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 5)))
            case 3:
                data[i:i] = data[i:j] * rng.choice((1, 2, 50))
            case 4 if rng.random() < 0.2:
                del data[i:]
            case 5:
                data[i:i] = rng.choice(STARTS).encode() * rng.choice((1, 1, 3))
            case 6 if i < len(data):
                data[i:j] = rng.choice(("0", "9", "-", "1e999", "NaN", "null", "true", '""')).encode()
        if not data:
            break
    return bytes(data)


def places(tree):
    """Every (container, key) of a JSON tree."""
    found, todo = [], [tree]
    while todo:
        item = todo.pop()
        keys = list(item) if isinstance(item, dict) else range(len(item))
        found += [(item, key) for key in keys]
        todo += [item[key] for key in keys if isinstance(item[key], dict | list)]
    return found


def spoil_tree(rng, data):
    """A few changes of values, keys and structure; the result is still JSON, or nearly."""
    tree = json.loads(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        found = places(tree)
        if not found:
            break
        holder, key = rng.choice(found)
        odd = json.loads(json.dumps(rng.choice(ODD)))  # a copy: a tree that holds itself has no end
        match rng.randrange(6):
            case 0:
                holder[key] = odd
            case 1:
                del holder[key]
            case 2 if isinstance(holder, dict):
                holder[rng.choice(("x", "t", "data", "b64", "shape", "../x", "\u202e", "k" * 200))] = odd
            case 3 if isinstance(holder, dict):
                holder[str(key) + rng.choice(("", "s", "\x07"))] = holder.pop(key)
            case 4:
                other, name = rng.choice(found)
                holder[key] = json.loads(json.dumps(other[name])) if name in places_of(other) else odd
            case 5 if isinstance(holder[key], int | float):
                holder[key] = rng.choice((holder[key] + 1, -holder[key], holder[key] * 1e6, str(holder[key])))
    return json.dumps(tree, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")


def places_of(holder):
    return holder if isinstance(holder, dict) else range(len(holder))


def verdict(data, name="mutant.backstep", run=True):
    """The error's code, or `loaded`; raises AssertionError when the promise is broken.

    What loads must survive saving and, with `run`, be built and run forward, or end in one clear error too.
    """
    begun = time.perf_counter()
    try:
        loaded = decode(data, name)
    except FileError as error:
        check_error(error)
        result = error.code
    else:
        text = encode(loaded.state, **loaded.extras())
        again = decode(text, name)
        assert same(loaded.state, again.state)
        assert encode(again.state, **again.extras()) == text
        result = "newer, loaded" if loaded.read_only else "loaded"
    assert time.perf_counter() - begun < 1
    if run and result.endswith("loaded"):
        begun = time.perf_counter()
        try:
            run_once(loaded)
        except SceneError as refusal:  # of values that fit one by one, and not together
            assert str(refusal).isprintable()
            assert len(str(refusal)) <= 300
            result = "loaded, refused by its scene"
        assert time.perf_counter() - begun < 3
    return result


@lru_cache(maxsize=64)
def recorded(scene, parameters, seed):
    """A scene built once for the many mutants that leave its parameters alone."""
    recording = SCENES[scene].build(dict(parameters), seed=seed)
    return recording.graph, recording.loss


def run_once(loaded):
    """Build what a file says, put its edits in, and compute every node and every gradient once."""
    state = loaded.state
    if state.scene == OWN:
        graph, loss = loaded.graph.build()
    else:
        graph, loss = recorded(state.scene, tuple(sorted(state.parameters.items())), state.seed)
    leaves = leaves_by_key(graph)
    before = {key: leaf.value for key, leaf in leaves.items()}
    for key, value in state.edits.items():
        if key in leaves and leaves[key].shape == value.shape:
            leaves[key].value = value
    graph.forward()
    graph.backward(loss)
    for key, leaf in leaves.items():
        leaf.value = before[key]


def check_error(error):
    """One line that can be shown as it is."""
    message = str(error)
    assert message.isprintable(), ascii(message)
    assert 20 <= len(message) <= 300, message
    assert error.code.replace("_", "").islower()
    assert error.place.isprintable()
    assert len(error.place) <= 100


def fuzz(count, seed=0):
    """How often each verdict fell, the slowest one in seconds, and by how many MB memory grew at most."""
    rng = random.Random(seed)
    files = corpus()
    for data in files:
        verdict(data)
    verdicts = Counter()
    start, slowest = peak(), 0.0
    for i in range(count):
        data = rng.choice(files)
        data = spoil_tree(rng, data) if i % 2 else spoil_bytes(rng, data)
        begun = time.perf_counter()
        try:
            verdicts[verdict(data)] += 1
        except Exception:
            print(f"seed {seed}, input {i}: {base64.b64encode(data[:20_000]).decode()}", file=sys.stderr)
            raise
        slowest = max(slowest, time.perf_counter() - begun)
    assert peak() - start < 100, "more than 100 MB"
    return verdicts | {"slowest": round(slowest, 3), "MB": round(peak() - start, 1)}


def peak():
    """The most memory that the process has had, in MB; 0 where the system does not say."""
    try:
        import resource
    except ImportError:
        return 0.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def version(number):
    """A state that takes a moment to write and says which one it is."""
    array = np.full(200_000, float(number))
    return State(scene="bptt", parameters=SCENES["bptt"].defaults(), seed=number, edits={"W": array})


def save_for_ever(path, states, texts, plain, whole):
    """Until somebody ends the process; `whole`: with encoding and checks, not the writing alone."""
    for i in range(10**9):
        if plain:
            path.write_bytes(texts[i % 4])
        elif whole:
            save(path, states[i % 4])
        else:
            write_atomic(path, texts[i % 4])


def kill(count, seed=0, plain=False):
    """Kill programs while they save; with `plain`, while they write the file without any care.

    Needs a process with a single thread, as it forks. How many were hit while writing, and how many files
    are lost.
    """
    rng = random.Random(seed)
    states = [version(number) for number in range(4)]
    texts = [encode(state) for state in states]
    tally = Counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "scene.backstep")
        save(path, states[0])
        begun = time.perf_counter()
        save(path, states[1])
        span = 3 * (time.perf_counter() - begun)
        for turn in range(count):
            left = set(Path(folder).glob(".*.tmp"))
            child = os.fork()
            if child == 0:
                try:
                    save_for_ever(path, states, texts, plain, whole=turn % 8 == 0)
                finally:
                    os._exit(1)
            if plain or turn % 8 == 0:
                time.sleep(rng.random() * span)
            else:
                time.sleep(rng.random() * span / 10)
                late = time.perf_counter() + 5
                while time.perf_counter() < late and not set(Path(folder).glob(".*.tmp")) - left:
                    pass  # until a save has just begun
                time.sleep(rng.random() * span / 200)
            os.kill(child, signal.SIGKILL)
            status = os.waitpid(child, 0)[1]
            assert os.WIFSIGNALED(status), "a save failed by itself"
            tally["kills"] += 1
            tally["hit while writing"] += bool(set(Path(folder).glob(".*.tmp")) - left)
            try:
                tally["lost"] += path.read_bytes() not in texts or load(path).state.scene != "bptt"
                backup = Path(f"{path}~")
                tally["backups lost"] += not plain and backup.read_bytes() not in texts
            except (FileError, OSError):
                tally["lost"] += 1
    return tally


# Killing the window


def edit_for_ever(folder, log):
    """A window whose user changes a number five times a second, until somebody ends the process."""
    from PySide6.QtCore import QTimer

    from explorer.app import make_application
    from explorer.view.settings import Settings
    from explorer.view.window import Window

    app = make_application()
    window = Window(settings=Settings(str(folder / "settings.ini")), keep_in=folder / "kept")
    window.show()
    window.open_scene("bptt")
    leaf = window.session.recording["b"].id
    edits = iter(range(1, 10**9))

    def edit():
        i = next(edits)
        window.session.edit(leaf, [float(i), 0.0, 0.0])
        log.write(f"{i} {time.monotonic()}\n")
        log.flush()

    timer = QTimer(interval=200)
    timer.timeout.connect(edit)
    timer.start()
    app.exec()


def kill_windows(count, seed=0, together=10, longest=75.0):
    """Kill windows after six seconds of editing or more; how often work is offered, and how much is lost."""
    rng = random.Random(seed)
    tally = Counter()
    worst = 0.0
    with tempfile.TemporaryDirectory() as place:
        for first in range(0, count, together):
            folders = [Path(place, str(k)) for k in range(first, min(first + together, count))]
            children = {}
            for folder in folders:
                folder.mkdir()
                run = [sys.executable, "-m", "tests.soak", "edit", "--folder", str(folder)]
                children[folder] = subprocess.Popen(
                    run,
                    env=os.environ | {"QT_QPA_PLATFORM": "offscreen"},
                    cwd=REAL.parents[2],
                    stderr=subprocess.DEVNULL,
                )
            ends = {folder: first_edit(folder) + rng.uniform(6, longest) for folder in folders}
            killed = {}
            for folder in sorted(folders, key=lambda f: ends[f]):
                time.sleep(max(0.0, ends[folder] - time.monotonic()))
                children[folder].send_signal(signal.SIGKILL)
                children[folder].wait()
                killed[folder] = time.monotonic()
            for folder in folders:
                lost = lost_seconds(folder, killed[folder])
                tally["kills"] += 1
                tally["recovery offered"] += bool(recoverable(folder / "kept"))
                tally["over a minute"] += lost > 60.5  # as the timer fires, and not to the millisecond
                worst = max(worst, lost)
    return tally | {"most lost, seconds": round(worst, 1)}


def first_edit(folder):
    """When the user of a window that is starting has begun."""
    late = time.monotonic() + 60
    log = folder / "edits.log"
    while time.monotonic() < late:
        if log.exists() and "\n" in log.read_text():
            return float(log.read_text().split()[1])
        time.sleep(0.05)
    raise TimeoutError("the window does not start")


def lost_seconds(folder, end):
    """From the first edit that did not come back to the end of the program."""
    lines = [line.split() for line in (folder / "edits.log").read_text().splitlines()]
    made = {int(line[0]): float(line[1]) for line in lines if len(line) == 2}
    items = recoverable(folder / "kept")
    kept = int(items[0].load().state.edits["b"][0]) if items else 0
    return max(0.0, end - made[kept + 1]) if kept + 1 in made else 0.0


# An hour at the window

MOST_GROWTH = 20.0  # MB after warming up


def hour(minutes, seed=0):
    """How many events, the memory minute by minute, and by how many MB it grew; raises Broken.

    Every minute the window shows the same small scene, so that what is measured is what stays behind. The
    first third, at most ten minutes, is for what is made once: pictures of scenes, letters, plots.
    """
    from tests.view.monkey import Monkey, turn_round, window_of_its_own

    with window_of_its_own() as window:
        monkey = Monkey(window, seed, every=50, rest=0.08)  # some ten events a second
        begun, curve = time.monotonic(), []
        while len(curve) <= minutes:
            while time.monotonic() < begun + 60 * len(curve):
                monkey.act()
            window.set_language("en")
            window.set_theme("light")
            window.resize(1280, 760)
            window.open_scene("bptt")
            turn_round()
            gc.collect()
            curve.append(round(resident(), 1))
            print(f"minute {len(curve) - 1}: {curve[-1]} MB after {monkey.count} events", flush=True)
    return {"events": monkey.count, "MB": curve, "growth, MB": growth(curve), "slowest": monkey.slowest}


def growth(curve):
    """From the end of warming up to the end, each the middle of three minutes."""
    first = min(10, len(curve) // 3)
    return round(median(curve[-3:]) - median(curve[first : first + 3]), 1)


def resident():
    """The memory that the process has now, in MB; on other systems than Linux the most it has had."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except OSError:
        return peak()


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, count in (("fuzz", 100_000), ("kill", 200), ("window", 50)):
        command = commands.add_parser(name)
        command.add_argument("--count", type=int, default=count)
        command.add_argument("--seed", type=int, default=0)
        if name == "kill":
            command.add_argument("--least", type=int, default=150, help="kills that must hit a write")
            command.add_argument(
                "--plain",
                action="store_true",
                help="without care: must lose files, or the test shows nothing",
            )
    lasting = commands.add_parser("hour")
    lasting.add_argument("--minutes", type=int, default=60)
    lasting.add_argument("--seed", type=int, default=0)
    commands.add_parser("edit").add_argument("--folder", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    if chosen.command == "edit":
        with open(chosen.folder / "edits.log", "w") as log:
            edit_for_ever(chosen.folder, log)
    begun = time.perf_counter()
    if chosen.command == "hour":
        if chosen.minutes < 3:
            lasting.error("growth shows in three minutes at the least")
        try:
            tally = hour(chosen.minutes, chosen.seed)
        except AssertionError as broken:
            print(broken, file=sys.stderr)
            return 1
        bad = tally["growth, MB"] > MOST_GROWTH
        if bad:
            print(f"memory grew by {tally['growth, MB']} MB after warming up", file=sys.stderr)
    elif chosen.command == "fuzz":
        tally, bad = fuzz(chosen.count, chosen.seed), False
    elif chosen.command == "window":
        tally = kill_windows(chosen.count, chosen.seed)
        bad = bool(tally["over a minute"]) or tally["recovery offered"] < chosen.count
    else:
        tally = kill(chosen.count, chosen.seed, chosen.plain)
        bad = tally["hit while writing"] < chosen.least and not chosen.plain
        bad |= bool(tally["lost"]) != chosen.plain or bool(tally["backups lost"])
    print(json.dumps(dict(tally) | {"seconds": round(time.perf_counter() - begun, 1)}))
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
