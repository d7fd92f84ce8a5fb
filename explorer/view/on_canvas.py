"""What users do on one canvas, the main one or one beside it: look, copy, alter, and the menus for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QAction, QGuiApplication, QIcon
from PySide6.QtWidgets import QMenu

from explorer.model import clips, text
from explorer.model.actions import ACTIONS
from explorer.model.finding import hidden_by
from explorer.model.playback import node_words
from explorer.model.session import Session
from explorer.model.text import tr
from explorer.view.altered import ask_value
from explorer.view.canvas import Canvas
from explorer.view.icons import icon
from explorer.view.look import SYMBOLS

if TYPE_CHECKING:
    from explorer.view.window import Window

AROUND = 260  # scene units seen on either side of a node that was brought into view
OF_THE_WINDOW = frozenset({"show_in_outline", "add_breakpoint"})  # panels that show the main session only


class OnCanvas:
    """The Host of actions on a canvas and its session; all else that a Host offers is the window's."""

    def __init__(self, window: Window, canvas: Canvas) -> None:
        self.window, self.canvas = window, canvas
        canvas.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        canvas.customContextMenuRequested.connect(self.show_menu_at)
        canvas.node_opened.connect(lambda node: self.look_closer((node,)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.window, name)

    @property
    def session(self) -> Session:
        return self.canvas.session

    def fit(self) -> None:
        self.canvas.show_everything()

    def follow(self) -> None:
        self.canvas.follow()

    def zoom_to_selection(self) -> None:
        self.canvas.show_nodes(set(self.session.state.selection), most=2.4)

    def copy_picture(self) -> None:
        QGuiApplication.clipboard().setImage(self.canvas.grab_picture())
        self.window.statusBar().showMessage(tr("Picture copied"), 3000)

    def copy_value(self, format: str = "NumPy") -> None:
        node = self.session.state.selection[-1]
        QGuiApplication.clipboard().setText(clips.FORMATS[format](self.session.trace.values[node]))
        self.window.statusBar().showMessage(tr("Value copied"), 3000)

    def look_closer(self, nodes: Sequence[int]) -> None:
        """Show ops scalar by scalar, in front of the place where the first of them stands."""
        from explorer.view.lens import Lens

        first = max(nodes, default=0)
        name = node_words(self.session.trace.graph, first, self.session.notation)
        title = tr("{name}, scalar by scalar").format(name=name)
        x0, y0, x1, y1 = self.session.layout.rects[self.session.layout.box_of_node[first]]
        start = self.canvas.transform().mapRect(QRectF(x0, y0, x1 - x0, y1 - y0)).toRect()
        before = self.canvas.findChildren(Lens)

        def look() -> None:
            lens = Lens(self.canvas, nodes, title, start)
            for other in before:  # one at a time
                other.leave()
            lens.open()

        self.window.attempt(look)

    def reveal(self, node: int) -> None:
        """Select a node, unfold what hides it, and bring it into view where it can be read."""
        session = self.session
        hiding = hidden_by(session, node)
        chosen = session.state.selection if node in session.state.selection else (node,)
        if hiding:
            title = tr("Unfold {scope}").format(scope=max(hiding))
            session.update(selection=chosen, folded=session.state.folded - hiding, title=title)
        else:
            session.update(selection=chosen)
        box = session.layout.boxes[session.layout.box_of_node[node]]
        place = QRectF(box.x - box.w / 2, box.y - box.h / 2, box.w, box.h)
        transform = self.canvas.transform()
        seen = transform.inverted()[0].mapRect(QRectF(self.canvas.rect()))
        if transform.m11() < SYMBOLS or not seen.contains(place):
            self.canvas.show_rect(place.adjusted(-AROUND, -AROUND / 2, AROUND, AROUND / 2))

    def ask_hold(self) -> None:
        """Ask for the numbers that the selected results are held at."""
        graph = self.session.trace.graph
        nodes = [n for n in self.session.state.selection if graph.ops[n] is not None]
        value = ask_value(self.window, self.session, nodes)
        if value is not None:
            self.window.attempt(lambda: self.session.hold(nodes, value))

    # Menus

    def show_menu_at(self, point: QPoint) -> QMenu | None:
        """The menu of what is drawn at a point of the canvas; None while it is empty."""
        if self.session.recording is None:
            return None
        layout, there = self.session.layout, self.canvas.to_scene(QPointF(point))
        where = self.canvas.mapToGlobal(point)
        k = layout.box_at(there.x(), there.y())
        box = layout.boxes[k] if k is not None else None
        header = layout.area_header_at(there.x(), there.y()) or ""
        node = None if box is None or box.kind == "scope" else box.node
        if box is None and not header:
            edge = layout.edge_at(there.x(), there.y(), 6.0 / self.canvas.transform().m11())
            if edge is not None:
                return self.show_edge_menu(layout.edges[edge].members, where)
        return self.show_box_menu(node, box.scope if box else header, where)

    def show_box_menu(self, node: int | None, scope: str, where: QPoint) -> QMenu:
        """What can be done with a node; without one, with a scope (or, of the path "", with the picture)."""
        menu = self._menu()
        if node is not None:
            if node not in self.session.state.selection:
                self.session.update(selection=(node,))
            groups: tuple[tuple[str, ...], ...] = (
                ("look_inside", "look_inside_scope"),
                ("reveal", "zoom_to_selection", "show_in_outline"),
                self._what_if(node),
                ("copy_value", "copy_csv", "copy_latex", "copy_text", "copy_picture"),
                ("fold_around", "fold_all", "unfold_all"),
            )
        else:
            groups = (("copy_picture",), ("fit", "follow"), ("fold_all", "unfold_all"))
            if scope:
                folded = scope in self.session.state.folded
                title = tr("Unfold {scope}") if folded else tr("Fold {scope}")
                self._add(
                    menu,
                    "unfold" if folded else "fold",
                    title.format(scope=text.scope_title(scope)),
                    lambda: self.session.fold(scope, not folded),
                )
        for group in groups:
            menu.addSeparator()
            menu.addActions([q for name in group if (q := self._action(name, menu)) is not None])
        menu.popup(where)
        return menu

    def _what_if(self, node: int) -> tuple[str, ...]:
        """What of the lab can be done with a node."""
        graph = self.session.trace.graph
        names: tuple[str, ...] = ()
        if graph.ops[node] is not None:
            names = ("hold", "hold_at_zero", "hold_at_one", "hold_as_it_is")
        names += ("let_go",) * (node in graph.held) + ("thaw",) * (node in graph.frozen)
        names += ("freeze",) * (graph.kinds[node] in ("parameter", "input") and node not in graph.frozen)
        joined = tuple(n for n in ("cut_gradient", "mend_gradient") if ACTIONS[n].enabled(self))
        return (*names, *joined, "add_breakpoint")

    def show_edge_menu(self, edges: Sequence[tuple[int, int]], where: QPoint) -> QMenu:
        """What can be done with an edge, or with several that are drawn as one line."""
        graph, session = self.session.trace.graph, self.session
        menu = self._menu()
        open_edges = [(i, k) for i, k in edges if (i, k) not in graph.cuts]
        closed = [(i, k) for i, k in edges if (i, k) in graph.cuts and i not in graph.held]
        if open_edges:
            self._add(menu, "cut", tr("Cut the gradient here"), lambda: session.cut(open_edges))
        if closed:
            self._add(menu, "reset", tr("Mend the gradient here"), lambda: session.cut(closed, False))
        if menu.isEmpty():
            menu.addAction(tr("Nothing flows back here: the target is held")).setEnabled(False)
        menu.popup(where)
        return menu

    def _menu(self) -> QMenu:
        menu = QMenu(self.canvas)
        menu.aboutToHide.connect(menu.deleteLater)
        menu.setToolTipsVisible(True)
        return menu

    def _add(self, menu: QMenu, picture: str, words: str, work: Callable[[], None]) -> QAction:
        q = menu.addAction(icon(picture, self.window.theme.ink) if picture else QIcon(), words)
        q.triggered.connect(lambda: self.window.attempt(work))
        return q

    def _action(self, name: str, menu: QMenu) -> QAction | None:
        """The window's own action; on another canvas one of the same words, without its key."""
        if self.canvas is self.window.canvas:
            return self.window.menus.drawn(name)
        if name in OF_THE_WINDOW:
            return None
        action = ACTIONS[name]
        q = self._add(menu, action.icon, tr(action.title), lambda: action.run(self))
        q.setToolTip(tr(action.tip))
        q.setEnabled(action.enabled(self))
        return q
