"""The gradient lab without a screen: gradient over time, its parts, paths, Jacobians, proofs, differences.

Each module answers one question about a trace, in plain arrays that a view draws and a test reads. All is
asked of the trace's own arrays, so that long answers can be computed in a thread beside the window.
"""
