"""The settings: ``in.yaml`` and command-line options as frozen, validated models."""

from annpot.settings.behler import BehlerSettings
from annpot.settings.chebyshev import AngularSettings, ChebyshevSettings
from annpot.settings.loading import (
    load_settings,
    locate,
    read_override,
    read_settings,
    require_structures,
)
from annpot.settings.models import (
    AdamSettings,
    DescriptorSettings,
    GenerateSettings,
    LbfgsSettings,
    PredictSettings,
    Settings,
    SpeciesSettings,
    StructureGroup,
    TrainSettings,
)
from annpot.settings.reference import commented_yaml, settings_reference
from annpot.settings.schema import json_schema

__all__ = [
    "AdamSettings",
    "AngularSettings",
    "BehlerSettings",
    "ChebyshevSettings",
    "DescriptorSettings",
    "GenerateSettings",
    "LbfgsSettings",
    "PredictSettings",
    "Settings",
    "SpeciesSettings",
    "StructureGroup",
    "TrainSettings",
    "commented_yaml",
    "json_schema",
    "load_settings",
    "locate",
    "read_override",
    "read_settings",
    "require_structures",
    "settings_reference",
]
