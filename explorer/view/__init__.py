"""The screen: everything that needs Qt."""
