"""Whether scores mean what they say: calibration errors D-ECE and LaECE, and the LRP error at the best threshold."""

from ._ece import (
    CalibrationBin as CalibrationBin,
    CalibrationError as CalibrationError,
    d_ece as d_ece,
    laece as laece,
)
from ._ece_sums import (
    D_ECE_BINS as D_ECE_BINS,
    LAECE_BINS as LAECE_BINS,
    EceSums as EceSums,
    bin_of as bin_of,
    require_shares as require_shares,
)
from ._hits import ScoredHits as ScoredHits, scored_hits as scored_hits
from ._lrp import LrpPoint as LrpPoint, OptimalLrp as OptimalLrp, olrp as olrp
from ._lrp_sums import LrpSums as LrpSums
