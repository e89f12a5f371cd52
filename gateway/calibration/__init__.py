"""From a labelled walk to what each link sounds like in each zone: readings and labels in, numbers out."""

from gateway.calibration.fitting import Fitted, Walked, fit
from gateway.calibration.separation import Separation, separations
from gateway.calibration.walk import Sample, samples

__all__ = ["Fitted", "Sample", "Separation", "Walked", "fit", "samples", "separations"]
