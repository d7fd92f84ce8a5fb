"""The app without a screen: session, playback, layout, frame, files. Imports no Qt."""
