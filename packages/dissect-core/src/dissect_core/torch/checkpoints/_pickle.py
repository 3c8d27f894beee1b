"""Read pickles as data, by a machine that knows containers, numbers and text, and looks every name up in a table."""

import pickle
import pickletools
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

_MAX_OPCODES = 20_000_000
_MAX_DEPTH = 100
_MAX_INT_BITS = 256
_CONTAINER_BYTES = 200
"""About what an empty container takes in memory; a pickle makes one with a single byte."""


class Stream(Protocol):
    """A stream that a pickle is read from."""

    def read(self, size: int, /) -> bytes:
        """Return `size` bytes, or fewer at the end."""

    def readline(self) -> bytes:
        """Return the bytes up to the next newline, with it."""


class RefusedNameError(pickle.UnpicklingError):
    """A pickle asks for something that is not in the table.

    Attributes
    ----------
    name : str
        Module and attribute, joined by a dot.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"it asks for {name}")
        self.name = name


class Budget:
    """Memory that the content of a file may take: 256 MiB, and ten times the size of the file."""

    def __init__(self, n_bytes_of_file: int) -> None:
        self._left = 2**28 + 10 * n_bytes_of_file

    def take(self, n_bytes: int) -> None:
        """Count what is about to be allocated, or what a copy of a tensor would take."""
        self._left -= n_bytes
        if self._left < 0:
            raise pickle.UnpicklingError("its content would take far more memory than the file has bytes")


class Unfinished:
    """A value that may only occur while a pickle is read, and not in the content that is returned."""


class Named(Unfinished):
    """An entry of the table that a pickle may call; it is an object of our own, so that nothing can change it."""

    def __init__(self, name: str, target: Callable[..., Any]) -> None:
        self.name = name
        self.target = target


class Machine:
    """Reads one pickle.

    Parameters
    ----------
    names : mapping of str to object
        All that the pickle may name. Callables are called with arguments that the file chooses, all others are
        values. Objects of the types among them may be given a state.
    states : mapping of type to callable
        Further types whose objects the pickle may give a state, with functions that check the state and set it.
    budget : Budget
        Shared by all pickles of a file.
    storage : callable, optional
        Answers persistent references, by which `torch.save` names the memory of tensors.

    Notes
    -----
    `pickle.Unpickler` guards names only: it sets attributes of whatever lies on the stack, appends to anything
    that has such a method, and allocates what the file asks for. `torch.load` admits some fifty names, of which
    many allocate terabytes. Here an instruction works on exact types alone.
    """

    def __init__(
        self,
        names: Mapping[str, Any],
        states: Mapping[type, Callable[[Any, Any], None]],
        budget: Budget,
        storage: Callable[[Any], Any] | None = None,
    ) -> None:
        self._names = names
        self._states = states
        self._types = {target for target in names.values() if isinstance(target, type)}
        self._budget = budget
        self._storage = storage
        self._n_opcodes = 0

    def read(self, stream: Stream) -> Any:
        """Return the content of a pickle. Pass it to `checked` once its tensors have their values."""
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        for opcode, arg, _ in pickletools.genops(stream):  # type: ignore[arg-type]  # asks for a whole file
            self._n_opcodes += 1
            if self._n_opcodes > _MAX_OPCODES:
                raise pickle.UnpicklingError(f"it has more than {_MAX_OPCODES:,} instructions")
            if opcode.name == "STOP":
                break
            do = _DO.get(opcode.name)
            if do is None:
                raise pickle.UnpicklingError(f"the instruction {opcode.name} is not used by such files")
            do(self, arg)
        content = self._stack.pop()
        if self._stack or self._marks:
            raise pickle.UnpicklingError("something is left over at its end")
        return content

    def checked(self, content: Any) -> Any:
        """Return content after a check: it must not be endless, far too large to walk through, or unfinished."""
        left = 1000 + 10 * self._n_opcodes
        below: list[Iterator[Any]] = [iter((content,))]
        while below:
            for part in below[-1]:
                left -= 1
                if isinstance(part, Unfinished):
                    what = part.name if isinstance(part, Named) else type(part).__name__
                    raise pickle.UnpicklingError(f"it holds a bare {what}")
                inside = self._inside(part)
                if inside is not None:
                    below.append(inside)
                    break
            else:
                below.pop()
            if len(below) > _MAX_DEPTH:
                raise pickle.UnpicklingError(f"it is nested more than {_MAX_DEPTH} deep, or holds itself")
            if left < 0:
                raise pickle.UnpicklingError("it holds the same parts again and again")
        return content

    def _inside(self, part: Any) -> Iterator[Any] | None:
        inside: Iterable[Any]
        if isinstance(part, dict):
            inside = part.values()
        elif type(part) in (list, tuple):
            inside = part
        elif type(part) in self._types and hasattr(part, "__dict__"):
            inside = vars(part).values()
        else:
            return None
        return iter(inside)

    # What the instructions do.

    def push(self, value: Any) -> None:
        if isinstance(value, int) and value.bit_length() > _MAX_INT_BITS:
            raise pickle.UnpicklingError(f"it holds a whole number of more than {_MAX_INT_BITS} bits")
        self._stack.append(value)

    def push_old_text(self, text: str) -> None:
        """Push text of Python 2, which is bytes."""
        self._stack.append(text.encode("latin1").decode("utf-8"))

    def push_container(self, container: Any) -> None:
        self._budget.take(_CONTAINER_BYTES)
        self._stack.append(container)

    def mark(self, _: Any) -> None:
        self._marks.append(self._stack)
        self._stack = []

    def marked(self) -> list[Any]:
        items, self._stack = self._stack, self._marks.pop()
        return items

    def drop_marked(self) -> None:
        self.marked()

    def pop(self, _: Any) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self.marked()

    def tuple_of(self, count: int) -> None:
        if len(self._stack) < count:
            raise pickle.UnpicklingError("something is missing for a tuple")
        self._stack[-count:] = [tuple(self._stack[-count:])]

    def top(self, *types: type) -> Any:
        if type(self._stack[-1]) not in types:
            raise pickle.UnpicklingError(f"a {type(self._stack[-1]).__name__} cannot be filled like that")
        return self._stack[-1]

    def extend(self, items: list[Any]) -> None:
        self.top(list).extend(items)

    def set_items(self, items: list[Any]) -> None:
        target = self.top(dict, OrderedDict, Counter)
        if len(items) % 2:
            raise pickle.UnpicklingError("a key has no value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[plain_key(key)] = value

    def put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def find(self, name: str) -> None:
        name = _modern(*name.split(" ", 1))
        if name not in self._names:
            raise RefusedNameError(name)
        target = self._names[name]
        self._stack.append(Named(name, target) if callable(target) else target)

    def find_on_stack(self, _: Any) -> None:
        attribute, module = self._stack.pop(), self._stack.pop()
        if type(module) is not str or type(attribute) is not str:
            raise pickle.UnpicklingError("a name must be text")
        self.find(f"{module} {attribute}")

    def call(self, new: bool) -> None:
        args, named = self._stack.pop(), self._stack.pop()
        if type(named) is not Named or type(args) is not tuple:
            raise pickle.UnpicklingError(f"a {type(named).__name__} cannot be called")
        self._budget.take(_CONTAINER_BYTES)
        args = tuple(arg.target if type(arg) is Named else arg for arg in args)
        if new and isinstance(named.target, type):
            made = named.target.__new__(named.target, *args)
        else:
            made = named.target(*args)
        self._stack.append(made)

    def build(self, _: Any) -> None:
        state, made = self._stack.pop(), self._stack[-1]
        if type(made) in self._states:
            self._states[type(made)](made, state)
        elif type(made) in self._types and hasattr(made, "__setstate__"):
            made.__setstate__(state)
        elif type(made) in self._types and type(state) is dict and hasattr(made, "__dict__"):
            vars(made).update(state)
        else:
            raise pickle.UnpicklingError(f"a {type(made).__name__} cannot be given a state")

    def persistent(self, _: Any) -> None:
        reference = self._stack.pop()
        if self._storage is None:
            shown = reference if type(reference) is str else type(reference).__name__
            raise RefusedNameError(f"the persistent reference {shown!r}")
        self._stack.append(self._storage(reference))


def plain_key(key: Any) -> Any:
    """Return a key after a check: hashing deep tuples can end the process, and lone surrogates cannot be printed."""
    for part in key if type(key) is tuple else (key,):
        if type(part) is str:
            part.encode()  # refuses lone surrogates
        elif type(part) not in (int, float, bool, bytes, type(None)):
            raise pickle.UnpicklingError(f"a {type(part).__name__} cannot be a key")
    return key


def _modern(module: str, attribute: str = "") -> str:
    """Return the full name of what a pickle names; up to protocol 2, pickles use the names of Python 2."""
    module, attribute = NAME_MAPPING.get((module, attribute), (IMPORT_MAPPING.get(module, module), attribute))
    return f"{module}.{attribute}"


def names_in(stream: Stream) -> Iterator[str]:
    """Yield all names in a pickle that can be seen without following it; raise an error where it is damaged."""
    texts: list[str] = []
    for opcode, arg, _ in pickletools.genops(stream):  # type: ignore[arg-type]  # as above
        if isinstance(arg, str) and opcode.name in ("GLOBAL", "INST"):
            yield _modern(*arg.split(" ", 1))
        elif opcode.name == "STACK_GLOBAL" and len(texts) == 2:
            yield _modern(*texts)
        elif isinstance(arg, str):
            texts = [*texts[-1:], arg]


def _pushed(make: Callable[[], Any]) -> Callable[[Machine, Any], None]:
    return lambda machine, _: machine.push_container(make())


def _dict(machine: Machine, _: Any) -> None:
    items = machine.marked()
    machine.push_container({})
    machine.set_items(items)


def _frozenset(machine: Machine, _: Any) -> None:
    machine.push_container(frozenset(plain_key(item) for item in machine.marked()))


def _add_items(machine: Machine, _: Any) -> None:
    items = machine.marked()
    machine.top(set).update(plain_key(item) for item in items)


_VALUES = (
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING UNICODE SHORT_BINUNICODE BINUNICODE"
    " BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8"
)
_DO: dict[str, Callable[[Machine, Any], None]] = {
    "PROTO": lambda machine, arg: None,
    "FRAME": lambda machine, arg: None,
    "NONE": lambda machine, arg: machine.push(None),
    "NEWTRUE": lambda machine, arg: machine.push(True),
    "NEWFALSE": lambda machine, arg: machine.push(False),
    **dict.fromkeys(_VALUES.split(), Machine.push),
    **dict.fromkeys(("BINSTRING", "SHORT_BINSTRING"), Machine.push_old_text),
    "EMPTY_LIST": _pushed(list),
    "EMPTY_DICT": _pushed(dict),
    "EMPTY_SET": _pushed(set),
    "EMPTY_TUPLE": lambda machine, arg: machine.push(()),
    "MARK": Machine.mark,
    "POP": Machine.pop,
    "POP_MARK": lambda machine, arg: machine.drop_marked(),
    "DUP": lambda machine, arg: machine.push(machine._stack[-1]),
    "LIST": lambda machine, arg: machine.push(machine.marked()),
    "DICT": _dict,
    "TUPLE": lambda machine, arg: machine.push(tuple(machine.marked())),
    "TUPLE1": lambda machine, arg: machine.tuple_of(1),
    "TUPLE2": lambda machine, arg: machine.tuple_of(2),
    "TUPLE3": lambda machine, arg: machine.tuple_of(3),
    "FROZENSET": _frozenset,
    "ADDITEMS": _add_items,
    "APPEND": lambda machine, arg: machine.extend([machine._stack.pop()]),
    "APPENDS": lambda machine, arg: machine.extend(machine.marked()),
    "SETITEM": lambda machine, arg: machine.set_items([machine._stack.pop(), machine._stack.pop()][::-1]),
    "SETITEMS": lambda machine, arg: machine.set_items(machine.marked()),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda machine, arg: machine.push(machine._memo[arg])),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), Machine.put),
    "MEMOIZE": lambda machine, arg: machine.put(len(machine._memo)),
    "GLOBAL": Machine.find,
    "INST": Machine.find,
    "STACK_GLOBAL": Machine.find_on_stack,
    "REDUCE": lambda machine, arg: machine.call(new=False),
    "NEWOBJ": lambda machine, arg: machine.call(new=True),
    "BUILD": Machine.build,
    "BINPERSID": Machine.persistent,
}
