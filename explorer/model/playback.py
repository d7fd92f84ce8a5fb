"""Time: where the next step, scope, time step or chapter begins, how playing moves t, what a step says."""

from __future__ import annotations

from math import ceil, floor, inf
from string import Formatter
from typing import Any

from autograd import Graph, Step, Trace
from explorer.model.breakpoints import Hit, first_hit, hit_at
from explorer.model.session import Session
from explorer.model.text import Label, array, label, number, tr
from scenes.scene import Notation

SECONDS_PER_STEP = 0.8
SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


def advanced(session: Session, seconds: float) -> tuple[float, bool]:
    """t after so many seconds of playing, and whether playing goes on; it stops exactly at a breakpoint."""
    state = session.state
    t = state.t + seconds * state.speed / SECONDS_PER_STEP
    hit = first_hit(session.trace, state.breakpoints, state.t, t) if state.breakpoints else None
    if hit is not None and (state.loop is None or hit.at <= state.loop[1]):
        return float(hit.at), False
    if state.loop is not None:
        a, b = state.loop
        if t >= b > a:
            return a + (t - b) % (b - a), True
        return t, True
    return min(t, float(session.end)), t < session.end


def stopped(session: Session, t: float) -> Hit | None:
    """The breakpoint that holds from exactly this moment on."""
    state = session.state
    return hit_at(session.trace, state.breakpoints, t) if state.breakpoints else None


def stop_words(session: Session, hit: Hit) -> str:
    """Why playing stops: `‖∂E/∂h²‖ = 3.2e-5 is below 0.001`."""
    trace, notation = session.trace, session.notation
    name = node_words(trace.graph, hit.node, notation, 1)
    if hit.gradient:
        name = derivative(trace.graph, hit.node, trace.loss, notation)
    forms = {
        "below": tr("‖{name}‖ = {size} is below {bound}"),
        "above": tr("‖{name}‖ = {size} is above {bound}"),
        "saturates": tr("{name} saturates: {size} from its end"),
        "nan": tr("{name} is no finite number"),
    }
    form = forms[hit.breakpoint.kind]
    return form.format(name=name, size=number(hit.size, 3), bound=number(hit.breakpoint.bound, 3))


def forward(session: Session) -> dict[str, Any]:
    """What one step forward changes: the moment, or behind the last one of a pass the update."""
    state = session.state
    if state.t >= session.end and session.more:
        return {"update": state.update + 1, "t": 0.0}
    return {"t": next_step(state.t, session.end)}


def back(session: Session) -> dict[str, Any]:
    """What one step back changes: the moment, or before the first one of a pass the update."""
    state = session.state
    if state.t <= 0 and state.update > 0:
        return {"update": state.update - 1, "t": inf}
    return {"t": previous_step(state.t)}


def next_step(t: float, end: int) -> float:
    return float(min(floor(t) + 1, end))


def previous_step(t: float) -> float:
    return float(max(ceil(t) - 1, 0))


def boundaries(trace: Trace, what: str) -> list[int]:
    """Moments at which another scope (`scope`), or another time step (`time`), has its turn."""
    graph = trace.graph

    def group(step: Step) -> tuple[object, ...]:
        if what == "time":
            return step.phase, step.time
        return step.phase, step.time, graph.scopes[step.node]

    marks = [0]
    for k in range(1, trace.end):
        if group(trace.steps[k]) != group(trace.steps[k - 1]):
            marks.append(k)
    return [*marks, trace.end]


def next_mark(marks: list[int], t: float) -> float:
    return float(next((m for m in marks if m > t + 1e-9), marks[-1]))


def previous_mark(marks: list[int], t: float) -> float:
    return float(next((m for m in reversed(marks) if m < t - 1e-9), marks[0]))


def shown_name(graph: Graph, node: int, notation: Notation) -> str:
    """A node's name; empty when it has none, or one that the notes do not use (see Notation.letters)."""
    name = graph.names[node]
    return "" if notation.letters.get(name.partition("_")[0]) == "" else name


def node_label(graph: Graph, node: int, notation: Notation) -> Label:
    """How the notes write a node: its name, else its op's symbol."""
    if name := shown_name(graph, node, notation):
        return label(name, graph.times[node], notation)
    op = graph.ops[node]
    return Label(op.symbol if op else "•")


def node_words(graph: Graph, node: int, notation: Notation, depth: int = 2) -> str:
    """A node in a sentence: its name, or for a nameless one the formula that made it."""
    op = graph.ops[node]
    if shown_name(graph, node, notation) or op is None:
        text = str(node_label(graph, node, notation))
        return text.replace("-", "−") if op is None else text
    return formula_words(graph, node, notation, depth - 1) if depth else "…"


def formula_words(graph: Graph, node: int, notation: Notation, depth: int = 2) -> str:
    """Right-hand side of the formula that computes a node."""
    op = graph.ops[node]
    if op is None or node in graph.held:
        return array(graph.values[node])
    words = _filled(op.text, [node_words(graph, j, notation, depth) for j in graph.inputs[node]])
    return words if graph.values[node].ndim else words.replace(" ⊙ ", "·")


def formula_labels(graph: Graph, node: int, notation: Notation) -> list[Label] | None:
    """The formula of a nameless node for its box: `W_in · x¹`; None when an input has no name either."""
    op = graph.ops[node]
    if op is None or op.arity is None:
        return None
    labels = []
    for literal, slot, _, _ in Formatter().parse(op.text):
        if literal:
            labels.append(Label(literal))
        if slot:
            if slot not in "abc":
                return None
            source = graph.inputs[node]["abc".index(slot)]
            if not shown_name(graph, source, notation):
                return None
            labels.append(node_label(graph, source, notation))
    return labels


def numbers_words(trace: Trace, node: int) -> str:
    """The formula that computes a node with the numbers filled in."""
    graph = trace.graph
    op = graph.ops[node]
    if op is None or node in graph.held:
        return array(trace.values[node])
    numbers = [array(trace.values[j], 3, 4) for j in graph.inputs[node]]
    if op.arity != 1:  # 2 · (−3), not 2 · −3
        numbers[1:] = [f"({n})" if n.startswith("−") else n for n in numbers[1:]]
    filled = _filled(op.text, numbers)
    if not graph.values[node].ndim:
        filled = filled.replace(" ⊙ ", " · ")
    return f"{filled} = {array(trace.values[node], 4, 4)}"


def back_words(graph: Graph, node: int, slot: int, loss: int, notation: Notation) -> str:
    """What a node sends to one input: `∂E/∂z ⊙ (1 − tanh² u)`."""
    op = graph.ops[node]
    assert op is not None
    back = op.back[min(slot, len(op.back) - 1)]
    inputs = [node_words(graph, j, notation, 1) for j in graph.inputs[node]]
    words = _filled(back, inputs, derivative(graph, node, loss, notation))
    return words if graph.values[graph.inputs[node][slot]].ndim else words.replace(" ⊙ ", " · ")


def derivative(graph: Graph, node: int, loss: int, notation: Notation) -> str:
    """`∂E/∂u³`."""
    top = node_words(graph, loss, notation) if graph.names[loss] else "E"
    bottom = node_words(graph, node, notation)
    return f"∂{top}/∂{bottom}" if shown_name(graph, node, notation) else f"∂{top}/∂({bottom})"


def describe(session: Session, t: float) -> str:
    """In words: the step that is under way at t, or was just done, and which breakpoint holds from t on."""
    words = moment_words(session.trace, session.notation, t)
    hit = stopped(session, t)
    if hit is not None:
        words = tr("Breakpoint: {why}").format(why=stop_words(session, hit)) + f"  ·  {words}"
    update = session.state.update
    return words if session.state.recipe is None else tr("update {k} · {words}").format(k=update, words=words)


def moment_words(trace: Trace, notation: Notation, t: float) -> str:
    """The same from a trace alone."""
    k = floor(t) if t > floor(t) else floor(t) - 1
    if k < 0:
        return tr("Press Space to play, → to step")
    k = min(k, trace.end - 1)
    count = tr("step {k} of {end}").format(k=k + 1, end=trace.end)
    return f"{count}: {step_words(trace, trace.steps[k], notation)}"


def step_words(trace: Trace, step: Step, notation: Notation) -> str:
    """The formula of one step in plain characters."""
    graph, node = trace.graph, step.node
    if step.phase == "forward":
        name = node_words(graph, node, notation, 1) if shown_name(graph, node, notation) else ""
        text = formula_words(graph, node, notation)
        return f"{name} = {text}" if name else text
    if step.phase == "loss":
        name = node_words(graph, node, notation)
        return f"∂{name}/∂{name} = 1"
    if step.phase == "update":
        gradient = derivative(graph, node, trace.loss, notation)
        return trace.rule.format(w=node_words(graph, node, notation), g=gradient)
    sent = []
    for slot, j in enumerate(graph.inputs[node]):
        if trace.contributions[node][slot] is not None:
            target = derivative(graph, j, trace.loss, notation)
            sent.append(f"{target} ← {back_words(graph, node, slot, trace.loss, notation)}")
    return ",  ".join(dict.fromkeys(sent[:3])) + (" …" if len(sent) > 3 else "")


def _filled(template: str, inputs: list[str], gradient: str = "") -> str:
    """A formula's template with its inputs put in, in brackets where it would be read wrongly without."""
    words = {**dict(zip("abc", inputs, strict=False)), "g": gradient}
    joined = {"plus": " + ".join(inputs), "list": "; ".join(inputs)}
    weaker = "+−" if template in ("{a} + {b}", "{a} − {b}") else "+−/⊙·^"
    parts = list(Formatter().parse(template))
    out = ""
    for k, (literal, slot, _, _) in enumerate(parts):
        out += literal
        if slot in joined:
            out += joined[slot]
        elif slot is not None:
            following = parts[k + 1][0] if k + 1 < len(parts) else ""
            alone = template == f"{{{slot}}}" or (
                literal.endswith(("(", "[", "|", ", ")) and following.startswith((")", "]", "|", ","))
            )
            bare = alone or slot == "g" or not _compound(words[slot], weaker)
            out += words[slot] if bare else f"({words[slot]})"
    return out


def _compound(words: str, operators: str) -> bool:
    """Whether one of the operators stands outside of all brackets."""
    depth = 0
    for k, c in enumerate(words):
        depth += (c in "([") - (c in ")]")
        if depth == 0 and k and c in operators:
            return True
    return False
