"""Limits on building a model: on its memory, by the size of its weights' files, and on its modules."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from torch.nn.modules import module as hooks

from ..errors import ModelError

AT_LEAST = 1 << 28
"""Bytes that any model may take, however small its files."""
TIMES = 8
"""A model may take this many times the bytes of its weights, which may be stored in half precision."""
MODULES_AT_MOST = 20_000
"""Detectors of Transformers have some 1,500."""


@contextmanager
def building_budget(folder: Path) -> Iterator[None]:
    """Refuse a config whose model takes more memory than its weights could fill, before the memory is taken.

    Transformers builds models without memory first: what they would take shows in the shapes of their parameters.

    Parameters
    ----------
    folder : Path
        Of the model.

    Raises
    ------
    ModelError
        If bytes or modules are too many.
    """
    n_files = sum(file.stat().st_size for file in folder.iterdir() if file.suffix in (".safetensors", ".bin"))
    most, thread = max(AT_LEAST, TIMES * n_files), threading.get_ident()
    n_bytes = n_modules = 0

    def see_tensor(module: torch.nn.Module, name: str, tensor: torch.Tensor | None) -> None:
        nonlocal n_bytes
        if tensor is not None and threading.get_ident() == thread:
            n_bytes += tensor.numel() * tensor.element_size()
            if n_bytes > most:
                refuse(
                    f"over {most / 1e6:,.0f} MB, which its weights of {n_files / 1e6:,.1f} MB could not fill"
                )

    def see_module(module: torch.nn.Module, name: str, inner: torch.nn.Module | None) -> None:
        nonlocal n_modules
        if inner is not None and threading.get_ident() == thread:
            n_modules += 1
            if n_modules > MODULES_AT_MOST:
                refuse(f"over {MODULES_AT_MOST:,} modules, as no detector of Transformers does")

    def refuse(what: str) -> None:
        raise ModelError(
            f"model {folder}: was refused, as its config asks for a model that takes {what}. If you trust whoever made "
            "it, say --trust (`trust=True`)."
        )

    with ExitStack() as stack:
        stack.callback(hooks.register_module_parameter_registration_hook(see_tensor).remove)
        stack.callback(hooks.register_module_buffer_registration_hook(see_tensor).remove)
        stack.callback(hooks.register_module_module_registration_hook(see_module).remove)
        yield
