"""The views of the guide, without a screen: what they show and what they offer, as values."""

from .profile import Action, LauncherScreen, Profile, ProfileConfiguration, ProfileLauncher, ProfileScreen

__all__ = ["Action", "LauncherScreen", "Profile", "ProfileConfiguration", "ProfileLauncher", "ProfileScreen"]
