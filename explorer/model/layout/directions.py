"""Which way templates run, on which sides their ports are, and which lane is above which.

Called by `Topology` once edges are cut and before boxes are put in order: the pairs of ports through which a
value recurs tell whether time goes to the right or to the left. Knows templates only, neither nodes nor the
scopes that share a template.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from explorer.model.layout.template import End, Path, Template

Templates = dict[Path, Template]


def direct(templates: Templates) -> None:
    """Directs every template, the outer ones first, as what is inside follows them."""
    for template in sorted(templates.values(), key=lambda t: len(t.key)):
        _direct(template, templates)
    for template in tuple(templates.values()):
        _begin_at_the_right(template, templates)


def _direct(t: Template, templates: Templates) -> None:
    """Which way a template runs, and on which sides its ports are."""
    if t.kind != "lanes":
        t.mirrored = t.mirrored or bool(t.back_pairs and not t.pairs and t.kind == "dag")
        if t.mirrored:
            t.pairs = t.back_pairs or t.pairs
            t.east_in, t.west_out = set(t.in_ports), set(t.out_ports)
            for inner in templates.values():
                if inner.key[: len(t.key)] == t.key:
                    inner.mirrored = True
        return
    inside: dict[Any, list[End]] = {p: [] for p in t.in_ports}
    for (a, _), b in t.edges:
        if a[0] == "in" and b[0][0] == "node":
            inside[a[1]].append(b)
    outside = {b[1]: a for a, (b, _) in t.edges if b[0] == "out" and a[0][0] == "node"}
    for name in ("pairs", "back_pairs"):
        for i, o in getattr(t, name):
            source, port_out = outside[o]
            for child, port_in in inside[i]:
                if child == source and t.children[child[1]]:
                    getattr(templates[(*t.key, child[1])], name).add((port_in, port_out))
    backward = {
        c
        for c, scope in t.children.items()
        if scope and (inner := templates[(*t.key, c)]).back_pairs and not inner.pairs
    }
    t.east_in = {p for p, goals in inside.items() if goals and all(c[1] in backward for c, _ in goals)}
    t.west_out = {p for p, (child, _) in outside.items() if child[1] in backward}
    _stack_lanes(t)
    for ((kind, a), port_a), ((goal, b), port_b) in t.edges:
        cells = [templates.get((*t.key, c)) for c in (a, b)]
        if kind != goal or kind != "node":
            continue
        if cells[0] is not None and cells[0].kind == "dag":
            cells[0].north.add(port_a)
        if cells[1] is not None and cells[1].kind == "dag" and not cells[1].recurs(port_b):
            cells[1].south.add(port_b)


def _begin_at_the_right(t: Template, templates: Templates) -> None:
    """Where the last step of a lane that runs backwards gets its first state: from the right."""
    if t.kind != "seq" or t.mirrored:
        return
    step, last = templates[*t.key, "t=*"], list(t.children)[-1]
    goals: dict[Any, list[End]] = defaultdict(list)
    for (a, _), b in t.edges:
        if a[0] == "in":
            goals[a[1]].append(b)
    t.east_in = {
        p for p, ends in goals.items() if all(b == ("node", last) and q in step.east_in for b, q in ends)
    }
    around = templates[t.key[:-1]] if t.key else None
    if not t.east_in or around is None or around.kind != "dag":
        t.east_in = set()
        return
    entries = {e for e in around.edges if e[1][0] == ("node", t.key[-1]) and e[1][1] in t.east_in}
    busy = {v for e in around.edges for v in ((e[1][0],) if e in entries else (e[0][0], e[1][0]))}
    around.reversed |= {e for e in entries if e[0][0] not in busy and e[0][0][0] == "node"}
    t.east_in = {p for p in t.east_in if all(e in around.reversed for e in entries if e[1][1] == p)}
    around.reversed = {e for e in around.reversed if e[1][1] in t.east_in}
    for (_, name), _ in (e[0] for e in around.reversed):
        beside = templates.get((*around.key, name))
        if beside is not None:
            beside.mirrored, beside.west_out = True, set(beside.out_ports)


def _stack_lanes(t: Template) -> None:
    """From the lowest lane, which the others read, to the highest."""
    before: dict[str, set[str]] = {c: set() for c in t.children}
    for (a, _), (b, _) in t.edges:
        if a[0] == b[0] == "node" and a[1] != b[1]:
            before[b[1]].add(a[1])
    while before:
        lane = next((c for c in before if not before[c] & before.keys()), next(iter(before)))
        t.lanes.append(lane)
        del before[lane]
