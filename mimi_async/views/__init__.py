"""The views of the guide, without a screen: what they show and what they offer, as values."""

from .profile import Action, LauncherScreen, Profile, ProfileConfiguration, ProfileLauncher, ProfileScreen
from .test_flow import TestFlow, TestScreen

__all__ = [
    "Action",
    "LauncherScreen",
    "Profile",
    "ProfileConfiguration",
    "ProfileLauncher",
    "ProfileScreen",
    "TestFlow",
    "TestScreen",
]
