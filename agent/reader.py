"""Image-reading models by name, loaded once for the process, when they are first needed."""

from __future__ import annotations

import logging
import threading
from functools import cache
from typing import Final

from terralogue.datasets.errors import EOError
from terralogue.vlm.vlm import VLM, VLMS, Query, Reading, Task, load_vlm

DEFAULT: Final = "embedded"
THREAD: Final = "terralogue-vlm"
"""Name of the thread that loads a model in the background."""
# Two threads that want one model wait for one loading, not for two.
_LOADING: Final = threading.Lock()

logger = logging.getLogger(__name__)


@cache
def _loaded(spec: str) -> VLM:
    return load_vlm(spec)


class NamedReader:
    """A model of `load_vlm` that loads itself when it is first asked; safe to share by threads."""

    def __init__(self, spec: str = DEFAULT) -> None:
        """Note the name; nothing is loaded yet.

        Raises:
            InputError: no such provider; the message lists what there is.
        """
        if spec.partition(":")[0] not in VLMS:
            load_vlm(spec)
        self.name = spec
        # Adapters are switched inside a model, so one question at a time.
        self._asking = threading.Lock()

    @property
    def tasks(self) -> frozenset[Task]:
        """What it can do; loads it.

        Raises:
            EOError: it cannot be loaded.
        """
        return self._model().tasks

    def answer(self, query: Query) -> Reading:
        """Read the pictures; see `VLM.answer`."""
        model = self._model()
        with self._asking:
            return model.answer(query)

    def warm_up(self) -> None:
        """Begin to load it, beside everything else."""
        threading.Thread(target=self._warm, name=THREAD, daemon=True).start()

    def _model(self) -> VLM:
        with _LOADING:
            return _loaded(self.name)

    def _warm(self) -> None:
        try:
            self._model()
        except EOError as error:
            # Whoever asks the first question is told the same.
            logger.warning("%s", error)
