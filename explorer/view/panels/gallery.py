"""The gallery: every scene with a thumbnail that the app draws itself, by family, with a search field.

The start page uses the same list, larger, beside the recent files.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QIcon, QImage, QPainter, QPaintEvent, QPixmap
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListView,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from explorer.model.session import Session
from explorer.model.text import language, tr
from explorer.view import paint
from explorer.view.fonts import ui_font
from explorer.view.icons import icon
from explorer.view.panels import Panel, panel
from explorer.view.theme import Theme
from scenes import SCENES
from scenes.scene import FAMILIES, Scene

_thumbnails: dict[tuple[str, Theme, int, int], QPixmap] = {}


def family_title(family: str) -> str:
    return {
        "foundations": tr("Foundations"),
        "vision": tr("Vision"),
        "recurrent": tr("Recurrent networks"),
        "words": tr("Words and documents"),
        "sequences": tr("Sequences"),
    }[family]


def thumbnail(scene: Scene, theme: Theme, width: int, height: int, ratio: float) -> QPixmap:
    """The scene's graph with every gradient arrived, small; drawn once, and again in another theme."""
    key = (scene.id, theme, width, round(ratio * 100))
    if key not in _thumbnails:
        for old in [k for k in _thumbnails if k[1] != theme]:
            del _thumbnails[old]
        session = Session()
        session.open_scene(scene.id)
        frame = session.frame(session.end * 0.72)
        value_limit, gradient_limit = paint.limits(frame)
        image = QImage(round(width * ratio), round(height * ratio), QImage.Format.Format_RGB32)
        image.setDevicePixelRatio(ratio)
        painter = QPainter(image)
        paint.fill_background(painter, QRectF(0, 0, width, height), theme)
        whole = paint.bounds(frame)
        # a wide picture is cut at the right rather than shrunk to nothing
        part = QRectF(whole.left(), whole.top(), min(whole.width(), whole.height() * 2.1), whole.height())
        painter.setTransform(paint.fit(part, width, height, margin=6.0))
        paint.paint(
            painter,
            frame,
            paint.Look(theme, session.notation, value_limit=value_limit, gradient_limit=gradient_limit),
        )
        painter.end()
        _thumbnails[key] = QPixmap.fromImage(image)
    return _thumbnails[key]


class SceneList(QListWidget):
    """Scenes under the headings of their families. `chosen` tells the id of the one that was opened."""

    chosen = Signal(str)

    def __init__(self, theme: Theme, picture: QSize, *, grid: bool) -> None:
        super().__init__()
        self.theme = theme
        self.picture = picture
        self.setIconSize(picture)
        self.setUniformItemSizes(False)
        self.setVerticalScrollMode(QListWidget.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWordWrap(True)
        self.setAccessibleName(tr("Scenes"))
        if grid:
            self.setViewMode(QListView.ViewMode.IconMode)
            self.setResizeMode(QListView.ResizeMode.Adjust)
            self.setMovement(QListView.Movement.Static)
            self.setSpacing(10)
        self.grid = grid
        self.waiting: list[tuple[QListWidgetItem, Scene]] = []  # for their thumbnails
        self._draw_next = QTimer(self, interval=10)  # the window itself comes first
        self._draw_next.timeout.connect(self._draw_one)
        self.itemActivated.connect(self._open)
        self.itemClicked.connect(self._open)
        self.show_matching("")

    def show_matching(self, words: str) -> int:
        """List the scenes that contain every word; returns how many."""
        self.clear()
        self.waiting.clear()
        wanted = words.casefold().split()
        count = 0
        for family in FAMILIES:
            scenes = [s for s in SCENES.values() if s.family == family and _matches(s, wanted)]
            if scenes and not self.grid:
                heading = QListWidgetItem(family_title(family))
                heading.setFlags(Qt.ItemFlag.NoItemFlags)
                heading.setFont(ui_font(11, bold=True))
                self.addItem(heading)
            for scene in scenes:
                item = QListWidgetItem(scene.title[language()])
                item.setData(Qt.ItemDataRole.UserRole, scene.id)
                item.setToolTip(scene.summary[language()])
                item.setIcon(QIcon(self._blank()))
                if self.grid:
                    item.setTextAlignment(Qt.AlignmentFlag.AlignHCenter)
                    item.setSizeHint(QSize(self.picture.width() + 16, self.picture.height() + 52))
                self.addItem(item)
                self.waiting.append((item, scene))
                count += 1
        if not count:
            nothing = QListWidgetItem(tr("No scene matches"))
            nothing.setFlags(Qt.ItemFlag.NoItemFlags)
            self.addItem(nothing)
        self._draw_next.start()
        return count

    def _blank(self) -> QPixmap:
        pixmap = QPixmap(self.picture)
        pixmap.fill(Qt.GlobalColor.transparent)
        return pixmap

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self.waiting and not self._draw_next.isActive():
            self._draw_next.start()

    def _draw_one(self) -> None:
        """One thumbnail per turn of the event loop, so that the window answers meanwhile."""
        if not self.waiting or self.visibleRegion().isEmpty():  # closed, or behind another tab
            self._draw_next.stop()
            return
        item, scene = self.waiting.pop(0)
        size, ratio = self.picture, self.devicePixelRatioF()
        item.setIcon(QIcon(thumbnail(scene, self.theme, size.width(), size.height(), ratio)))

    def _open(self, item: QListWidgetItem) -> None:
        scene = item.data(Qt.ItemDataRole.UserRole)
        if scene:
            self.chosen.emit(scene)


def _matches(scene: Scene, wanted: list[str]) -> bool:
    haystack = " ".join(
        [
            scene.id,
            scene.title.en,
            scene.title.ja,
            scene.summary.en,
            scene.summary.ja,
            scene.family,
            scene.source,
        ]
    ).casefold()
    return all(word in haystack for word in wanted)


@panel("gallery", "Gallery", Qt.DockWidgetArea.LeftDockWidgetArea)
class Gallery(Panel):
    """The list of scenes at the side."""

    def build(self) -> QWidget:
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(6, 6, 6, 6)
        self.search = QLineEdit()
        self.search.setPlaceholderText(tr("Search scenes"))
        self.search.setClearButtonEnabled(True)
        self.list = SceneList(self.theme, QSize(84, 50), grid=False)
        self.search.textChanged.connect(self.list.show_matching)
        self.search.returnPressed.connect(self._open_first)
        self.list.chosen.connect(self.host.open_scene)
        column.addWidget(self.search)
        column.addWidget(self.list)
        return content

    def focus(self) -> None:
        self.search.setFocus()
        self.search.selectAll()

    def _open_first(self) -> None:
        for row in range(self.list.count()):
            scene = self.list.item(row).data(Qt.ItemDataRole.UserRole)
            if scene:
                self.host.open_scene(scene)
                return

    def refresh(self, changed: frozenset[str]) -> None:
        if not changed & {"scene", "everything"}:
            return
        for row in range(self.list.count()):
            item = self.list.item(row)
            if item.data(Qt.ItemDataRole.UserRole) == self.session.state.scene:
                self.list.setCurrentItem(item)


class StartPage(QWidget):
    """What the window shows when no scene is open: recent files, the gallery, a new expression."""

    def __init__(
        self,
        theme: Theme,
        recent: list[str],
        *,
        open_scene: Callable[[str], None],
        open_file: Callable[[str], None],
        ask_open: Callable[[], None],
        new_expression: Callable[[], None],
    ) -> None:
        super().__init__()
        self.setAutoFillBackground(True)
        page = QHBoxLayout(self)
        page.setContentsMargins(28, 22, 28, 18)
        page.setSpacing(26)
        left = QVBoxLayout()
        left.setSpacing(8)
        title = QLabel("Backstep")
        title.setFont(ui_font(30, bold=True))
        slogan = QLabel(tr("Watch back-propagation happen, step by step."))
        slogan.setWordWrap(True)
        new = QPushButton(icon("new", theme.accent), tr("New expression…"))
        new.clicked.connect(new_expression)
        browse = QPushButton(icon("open", theme.accent), tr("Open a file…"))
        browse.clicked.connect(ask_open)
        left.addWidget(title)
        left.addWidget(slogan)
        left.addSpacing(10)
        left.addWidget(new)
        left.addWidget(browse)
        left.addSpacing(14)
        heading = QLabel(tr("Recent files"))
        heading.setFont(ui_font(13, bold=True))
        left.addWidget(heading)
        self.recent = QListWidget()
        self.recent.setAccessibleName(tr("Recent files"))
        for path in recent:
            item = QListWidgetItem(icon("file", theme.faint_ink), path.replace("\\", "/").rpartition("/")[2])
            item.setToolTip(path)
            item.setData(Qt.ItemDataRole.UserRole, path)
            self.recent.addItem(item)
        self.recent.itemClicked.connect(lambda i: open_file(i.data(Qt.ItemDataRole.UserRole)))
        self.recent.itemActivated.connect(lambda i: open_file(i.data(Qt.ItemDataRole.UserRole)))
        empty = QLabel(tr("Scenes that you save appear here. You can also drop a file on the window."))
        empty.setWordWrap(True)
        empty.setStyleSheet(f"color: {theme.faint_ink}")
        empty.setAlignment(Qt.AlignmentFlag.AlignTop)
        left.addWidget(self.recent if recent else empty, 1)
        side = QWidget()
        side.setLayout(left)
        side.setFixedWidth(250)
        right = QVBoxLayout()
        search = QLineEdit()
        search.setPlaceholderText(tr("Search scenes"))
        search.setClearButtonEnabled(True)
        self.scenes = SceneList(theme, QSize(250, 132), grid=True)
        search.textChanged.connect(self.scenes.show_matching)
        self.scenes.chosen.connect(open_scene)
        right.addWidget(search)
        right.addWidget(self.scenes, 1)
        page.addWidget(side)
        page.addLayout(right, 1)
