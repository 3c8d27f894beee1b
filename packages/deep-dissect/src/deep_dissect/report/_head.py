"""The head of a report: detector, weights, data, interventions, seeds, precision and versions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from dissect_eval.study import TRUTH, StudyResults, counted

__all__ = ["head_of"]

CHECKSUM = 12
"""Digits that are shown of a checksum."""
NAMED_AT_MOST = 12
NOT_ON_RECORD = "not on record"


def head_of(results: StudyResults) -> list[tuple[str, str]]:
    """Return the head of a report: what was measured, and with what.

    Parameters
    ----------
    results : StudyResults

    Returns
    -------
    list of (str, str)
        A term and its text, without anything that differs from run to run.
    """
    environment = results.study.environment
    frozen, noted = (_mapping(environment.get(name)) for name in ("frozen", "incidental"))
    detector = _mapping(frozen.get("detector"))
    return [
        ("detector", _detector(detector, noted)),
        ("weights", _checksum(detector.get("weights_sha256"))),
        ("data", _data(results, frozen, noted)),
        ("classes", _listed(results.study.class_names)),
        *(("ablation", text) for text in _ablations(results)),
        ("seeds", _seeds(results)),
        ("precision", _precision(frozen, detector)),
        ("versions", _versions(frozen, detector)),
    ]


def _detector(detector: Mapping[str, Any], noted: Mapping[str, Any]) -> str:
    name = str(noted.get("detector") or NOT_ON_RECORD)
    config = detector.get("config_sha256") or detector.get("config")
    if isinstance(config, Mapping):
        return "; ".join([name, *(f"{_words(part)} {_checksum(value)}" for part, value in config.items())])
    return f"{name}; config {_checksum(config)}" if config else name


def _data(results: StudyResults, frozen: Mapping[str, Any], noted: Mapping[str, Any]) -> str:
    truth = _mapping(frozen.get("truth")).get("sha256") or frozen.get("annotations_sha256")
    file = noted.get("annotations") or TRUTH
    folder = str(noted.get("image_folder") or "").replace("\\", "/").rstrip("/").rpartition("/")[2]
    measured = set(results.truth.image_ids.tolist())
    images = [image.file_name for image in results.study.images if image.image_id in measured]
    named = images[0] if len(images) == 1 else f"{images[0]} to {images[-1]}"
    parts = [
        f"{file}{f' (truth {_checksum(truth)})' if truth else ''}",
        f"{counted(results.truth.n_images, 'image')} {f'in {folder}/ ' if folder else ''}({named})",
        f"{results.truth.n_boxes:,} true box{'' if results.truth.n_boxes == 1 else 'es'}",
    ]
    return "; ".join(parts)


def _ablations(results: StudyResults) -> Iterator[str]:
    """Yield for each ablation its target, its interventions, and the number of its variants and controls."""
    kinds = Counter((row["ablation"], row["kind"]) for row in results.variants)
    asked = getattr(results.study.spec, "ablations", ())
    for one in asked:
        target = one.target
        what = target.components if isinstance(target.components, str) else ", ".join(target.components)
        counts = [counted(kinds[one.name, "ablation"], "variant")]
        counts += [counted(n, "random control")] if (n := kinds[one.name, "control"]) else []
        yield (
            f"{one.name}: {_listed(_kind(each) for each in one.interventions)}; {target.unit} of {what}, selected by "
            f"{one.select.by}: {', '.join(counts)}"
        )
    for (name, kind), n in kinds.items():  # what a plan adds, such as the single units of pairs
        if kind == "ablation" and name not in {one.name for one in asked}:
            yield f"{name}: {counted(n, 'variant')}"


def _kind(intervention: Any) -> str:
    """Return an intervention's kind with its settings, and where it acts if that is on activations."""
    more = intervention.model_dump(exclude_defaults=True) if hasattr(intervention, "model_dump") else {}
    settings = ", ".join(f"{name} {value}" for name, value in more.items() if name not in ("kind", "space"))
    where = "activation " if getattr(intervention, "space", "weight") == "activation" else ""
    return f"{where}{intervention.kind}{f' ({settings})' if settings else ''}"


def _seeds(results: StudyResults) -> str:
    settings = results.settings
    study = f"study {getattr(results.study.spec, 'seed', NOT_ON_RECORD)}"
    return f"{study}; bootstrap {settings.seed}" if settings.n_replicates else f"{study}; no bootstrap"


def _precision(frozen: Mapping[str, Any], detector: Mapping[str, Any]) -> str:
    device, batch = detector.get("device"), frozen.get("batch_size")
    parts = [str(frozen.get("precision", NOT_ON_RECORD))]
    parts += [f"on {device}"] if device else []
    parts += [f"batches of {batch}"] if batch else []
    return ", ".join(parts)


def _versions(frozen: Mapping[str, Any], detector: Mapping[str, Any]) -> str:
    found = {**_mapping(frozen.get("versions")), **_mapping(detector.get("packages"))}
    return ", ".join(f"{name} {version}" for name, version in found.items()) or NOT_ON_RECORD


def _checksum(value: Any) -> str:
    return f"sha256 {value[:CHECKSUM]}…" if isinstance(value, str) and value else NOT_ON_RECORD


def _listed(names: Any) -> str:
    shown = [str(name) for name in names]
    more = f" and {len(shown) - NAMED_AT_MOST:,} more" if len(shown) > NAMED_AT_MOST else ""
    return f"{', '.join(shown[:NAMED_AT_MOST])}{more}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _mapping(value: Any) -> Mapping[str, Any]:
    """Return a mapping of facts, empty where an older study or another detector has none."""
    return value if isinstance(value, Mapping) else {}
