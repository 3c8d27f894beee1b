"""Studies on a Ray cluster: the same spec, the same folder, and the same numbers as in one process.

`dissect_core.engine.run` calls this when a spec's `execution` says so. Needs Ray: ``pip install "dissect-core[ray]"``.
"""

from ._cost import Cluster, Costs, Forecast, Workload, forecast
from ._engine import run_on_cluster
from ._spread import spread_over

__all__ = ["Cluster", "Costs", "Forecast", "Workload", "forecast", "run_on_cluster", "spread_over"]
