"""Checkpoints: read without running what they contain, and written whole or not at all."""

from ._checkpoint import load_checkpoint as load_checkpoint, save_checkpoint as save_checkpoint
from ._export import export as export, variant_record as variant_record, with_state as with_state
from ._pickle import RefusedNameError as RefusedNameError
from ._safetensors import (
    load_safetensors as load_safetensors,
    require_safetensors as require_safetensors,
    save_safetensors as save_safetensors,
)
from ._state_dicts import (
    chosen_state as chosen_state,
    other_places as other_places,
    put_state as put_state,
    state_dict_of as state_dict_of,
    state_dict_place as state_dict_place,
)
from ._torch_file import read_pickle as read_pickle
