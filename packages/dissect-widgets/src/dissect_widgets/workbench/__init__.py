"""The workbench: all panels in one, connected."""

from ._panel import STEPS as STEPS, Workbench as Workbench
