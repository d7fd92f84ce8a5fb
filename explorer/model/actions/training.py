"""The Training menu: which update to be at. Updates are taken by the panel; nothing is trained here."""

from __future__ import annotations

from explorer.model.actions.registry import Host, action
from explorer.model.text import tr


def can_train(host: Host) -> bool:
    recording = host.session.recording
    return recording is not None and bool(recording.graph.leaves("parameter"))


def in_training(host: Host) -> bool:
    return host.session.state.recipe is not None


@action("Training panel", "Training", "Ctrl+Shift+T", icon="train", enabled=can_train)
def show_training(host: Host) -> None:
    """Choose how the scene is trained, and watch it learn"""
    host.panels["training"].show_panel()


@action("Train or pause", "Training", "Ctrl+T", enabled=can_train, separate=True)
def train(host: Host) -> None:
    """Take updates at full speed as far as the recipe says, or pause"""
    host.panels["training"].toggle()


@action("Cancel training", "Training", enabled=in_training)
def cancel_training(host: Host) -> None:
    """Stop, and go back to where training was started from"""
    host.panels["training"].cancel()


def _go_to_update(host: Host, update: int) -> None:
    """Training that runs pauses; what is shown is what was asked for."""
    host.panels["training"].pause()
    host.session.update(update=update, playing=False)


@action("Next update", "Training", "Ctrl+Shift+Right", enabled=in_training, separate=True)
def next_update(host: Host) -> None:
    """Go to the next batch, with the parameters after this update"""
    _go_to_update(host, host.session.state.update + 1)


@action("Previous update", "Training", "Ctrl+Shift+Left", enabled=in_training)
def previous_update(host: Host) -> None:
    """Go back to the batch before"""
    _go_to_update(host, host.session.state.update - 1)


@action("Go to the first epoch", "Training", "Ctrl+Home", enabled=in_training, separate=True)
def first_epoch(host: Host) -> None:
    """Go to before the first update"""
    _go_to_update(host, 0)


@action("Go to the best epoch", "Training", "Ctrl+B", enabled=in_training)
def best_epoch(host: Host) -> None:
    """Go to where the validation loss is lowest so far, the training loss where there is no other"""
    training = host.session.training
    assert training is not None
    _go_to_update(host, training.best * training.per_epoch)


@action("Go to the last epoch", "Training", "Ctrl+End", enabled=in_training)
def last_epoch(host: Host) -> None:
    """Go to where training has come to"""
    training = host.session.training
    assert training is not None
    _go_to_update(host, training.head.update)


@action("Leave training", "Training", enabled=in_training, separate=True)
def leave_training(host: Host) -> None:
    """Show the scene as it is without training"""
    host.session.update(recipe=None, title=tr("Leave training"))
