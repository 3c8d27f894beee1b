from importlib.util import find_spec

from hypothesis import settings

# A busy machine must not make a property fail.
settings.register_profile("dissect", deadline=None)
settings.load_profile("dissect")

if find_spec("torch"):
    import torch

    torch.set_num_threads(1)  # the tensors here are tiny: threads only cost time
