"""The two formats of `torch.save`, and plain pickles, read as data and within the size of the file."""

import io
import pickle
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, TypeAlias

import torch

from ...storage.archives import Bounded, open_archive
from ._pickle import Budget, Machine, RefusedNameError, names_in
from ._pickle_names import StorageType, Values, check_tensor, harmless_names

Allowed: TypeAlias = Callable[..., Any] | tuple[Callable[..., Any], str]

# The older format of `torch.save`: these two numbers, facts of the system, the content, keys, and memory.
_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001


class TorchScriptError(pickle.UnpicklingError):
    """An archive holds a TorchScript program."""


def read_torch(file: BinaryIO, allow: Sequence[Allowed] = ()) -> Any:
    """Return what `torch.save` wrote; see `load_checkpoint`. Errors are those of a damaged pickle or archive."""
    stream = Bounded(file)
    return _PickleReader(stream.left(), allow).torch(stream)


def read_pickle(file: BinaryIO, allow: Sequence[Allowed] = ()) -> Any:
    """Read a plain pickle as data, without running anything that it contains.

    Parameters
    ----------
    file : binary file
        Open for reading.
    allow : sequence of types, functions or (callable, str) pairs
        What the pickle may contain beside tensors, arrays and plain containers; see `load_checkpoint`.

    Returns
    -------
    object
        All tensors on the CPU.

    Raises
    ------
    RefusedNameError
        If the pickle names anything else.
    Exception
        If it is damaged; the kind depends on the damage.

    Examples
    --------
    >>> read_pickle(io.BytesIO(pickle.dumps({"score": 0.5, "labels": [1, 2]})))
    {'score': 0.5, 'labels': [1, 2]}
    """
    stream = Bounded(file)
    return _PickleReader(stream.left(), allow).plain(stream)


def known_names(allow: Sequence[Allowed]) -> set[str]:
    """Return all names that a file may use, the allowed ones included."""
    return {*harmless_names(Budget(0))[0], *(name for name, _ in map(_named, allow))}


def names_of(file: BinaryIO) -> Iterator[str]:
    """Yield all names in a file of `torch.save`, until it breaks off or is damaged."""
    stream = Bounded(file)
    if zipfile.is_zipfile(file):
        with open_archive(file) as archive:
            yield from names_in(io.BytesIO(archive.read(f"{_folder(archive)}/data.pkl")))
    else:
        file.seek(0)
        while stream.left():
            yield from names_in(stream)


class _PickleReader:
    """Reads one file, with its tables of names and its budget of memory."""

    def __init__(self, n_bytes: int, allow: Sequence[Allowed]) -> None:
        self._n_bytes = n_bytes
        self._budget = Budget(n_bytes)
        self._names, self._states = harmless_names(self._budget)
        self._allowed = {
            **self._names,
            "torch.storage._load_from_bytes": self._values,
            **dict(_named(item) for item in allow),
        }

    def plain(self, stream: Bounded) -> Any:
        machine = self._machine(self._allowed)
        return machine.checked(machine.read(stream))

    def torch(self, stream: Bounded) -> Any:
        start = stream.peek(4)
        names = {**self._allowed}
        del names["torch.storage._load_from_bytes"]  # only plain pickles hold the values of a tensor as bytes
        machine, content = (self._zip if start == b"PK\3\4" else self._legacy)(stream, names)
        return machine.checked(content)

    def _machine(self, names: Mapping[str, Any], storage: Callable[[Any], Any] | None = None) -> Machine:
        return Machine(names, self._states, self._budget, storage)

    def _values(self, data: Any) -> Values:
        """Return all values of a tensor in a plain pickle: bytes of `torch.save`, which hold a pickle again."""
        if type(data) is not bytes:
            raise pickle.UnpicklingError("the values of a tensor must be bytes")
        self._budget.take(len(data))
        try:
            stream = Bounded(io.BytesIO(data))
            read = self._zip if stream.peek(4) == b"PK\3\4" else self._legacy
            _, content = read(stream, self._names)
        except RefusedNameError as error:
            raise RefusedNameError(f"{error.name} inside the values of a tensor") from error
        if type(content) is not Values:
            raise pickle.UnpicklingError("the values of a tensor must be a storage")
        return content

    def _zip(self, stream: Bounded, names: Mapping[str, Any]) -> tuple[Machine, Any]:
        with open_archive(stream) as archive:
            folder, found = _folder(archive), set(archive.namelist())
            if f"{folder}/constants.pkl" in found:
                raise TorchScriptError("it is a TorchScript program")
            swapped = (
                f"{folder}/byteorder" in found
                and archive.read(f"{folder}/byteorder") != sys.byteorder.encode()
            )
            vectors: dict[str, torch.Tensor] = {}

            def storage(reference: Any) -> Values:
                dtype, key, n_values = _reference(reference, 5)
                if key not in vectors:
                    entry = archive.getinfo(f"{folder}/data/{key}")
                    if entry.file_size != n_values * dtype.itemsize:
                        raise pickle.UnpicklingError(f"memory {key} has another size than its tensors say")
                    with archive.open(entry) as source:
                        vectors[key] = _filled(torch.empty(n_values, dtype=dtype), source, swapped)
                return Values(_typed(vectors[key], dtype))

            machine = self._machine(names, storage)
            content = machine.read(io.BytesIO(archive.read(f"{folder}/data.pkl")))
        return machine, content

    def _legacy(self, stream: Bounded, names: Mapping[str, Any]) -> tuple[Machine, Any]:
        vectors: dict[str, torch.Tensor] = {}
        n_bytes_left = stream.left()

        def storage(reference: Any) -> Values:
            nonlocal n_bytes_left
            dtype, key, n_values = _reference(reference, 6)
            if key not in vectors:
                n_bytes_left -= n_values * dtype.itemsize
                if n_bytes_left < 0:
                    raise pickle.UnpicklingError("its tensors need more memory than the file has bytes")
                vectors[key] = torch.empty(n_values, dtype=dtype)
            elif n_values != len(vectors[key]):
                raise pickle.UnpicklingError(f"memory {key} has two sizes")
            values = _typed(vectors[key], dtype)
            return Values(values if reference[5] is None else _part(values, reference[5]))

        machine = self._machine(names, storage)
        if machine.read(stream) != _MAGIC or machine.read(stream) != _VERSION:
            raise ValueError("it does not begin as files of `torch.save` do")
        machine.read(stream)  # facts of the system that wrote it
        content = machine.read(stream)
        keys = machine.read(stream)
        if type(keys) is not list or sorted(map(str, keys)) != sorted(vectors):
            raise pickle.UnpicklingError("the list of its memory is another than its tensors need")
        for key in keys:
            if int.from_bytes(stream.read(8), "little") != len(vectors[key]):
                raise EOFError("it breaks off, or memory has another size than its tensors say")
            _filled(vectors[key], stream, swapped=False)
        return machine, content


def _named(item: Allowed) -> tuple[str, Callable[..., Any]]:
    if isinstance(item, tuple):
        made, name = item
        return name, made
    return f"{item.__module__}.{item.__qualname__}", item


def _folder(archive: zipfile.ZipFile) -> str:
    """Return the name of the folder that holds everything in an archive: the file's name when it was written."""
    folders = [name.removesuffix("/data.pkl") for name in archive.namelist() if name.endswith("/data.pkl")]
    if len(folders) != 1:
        raise zipfile.BadZipFile("it holds no data.pkl, or several")
    return folders[0]


def _reference(reference: Any, length: int) -> tuple[torch.dtype, str, int]:
    """Return type, key and number of values of some memory, from a persistent reference of `torch.save`."""
    if type(reference) is not tuple or len(reference) != length or reference[0] != "storage":
        raise pickle.UnpicklingError("a persistent reference must be the memory of a tensor")
    kind, key, device, n_values = reference[1:5]
    if type(kind) is not StorageType or type(key) is not str or type(device) is not str:
        raise pickle.UnpicklingError("the memory of a tensor must have a type, a key and a device")
    if type(n_values) is not int or n_values < 0:
        raise pickle.UnpicklingError("the memory of a tensor must have a size")
    return kind.dtype, key, n_values


def _typed(vector: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    if vector.dtype != dtype:
        raise pickle.UnpicklingError("the same memory has two types")
    return vector


def _part(vector: torch.Tensor, view: Any) -> torch.Tensor:
    """Return a part of some memory: torch below 0.4 kept it as a view with a key, an offset and a size."""
    if type(view) is not tuple or len(view) != 3 or not all(type(n) is int and n >= 0 for n in view[1:]):
        raise pickle.UnpicklingError("a view of memory must have a key, an offset and a size")
    _, offset, size = view
    if offset + size > len(vector):
        raise pickle.UnpicklingError("a view reaches beyond its memory")
    return vector[offset : offset + size]


def _filled(vector: torch.Tensor, source: Any, swapped: bool) -> torch.Tensor:
    raw = vector.view(torch.uint8)
    left = raw.numpy().data
    while left:
        chunk = source.read(min(len(left), 2**20))
        if not chunk:
            raise EOFError("it breaks off")
        left[: len(chunk)] = chunk
        left = left[len(chunk) :]
    if swapped:
        size = vector.dtype.itemsize // (2 if vector.is_complex() else 1)
        raw.copy_(raw.view(-1, size).flip(1).reshape(-1))
    check_tensor(vector, Budget(raw.numel()))
    return vector
