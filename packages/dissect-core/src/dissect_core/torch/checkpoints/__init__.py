"""Checkpoints: read without running what they contain, and written whole or not at all."""

from ._checkpoint import load_checkpoint, save_checkpoint
from ._export import export, variant_record, with_state
from ._pickle import RefusedNameError
from ._safetensors import load_safetensors, save_safetensors
from ._state_dicts import chosen_state, other_places, put_state, state_dict_of, state_dict_place
from ._torch_file import read_pickle

__all__ = [
    "RefusedNameError",
    "chosen_state",
    "export",
    "load_checkpoint",
    "load_safetensors",
    "other_places",
    "put_state",
    "read_pickle",
    "save_checkpoint",
    "save_safetensors",
    "state_dict_of",
    "state_dict_place",
    "variant_record",
    "with_state",
]
