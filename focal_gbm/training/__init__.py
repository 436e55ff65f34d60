"""What a fit derives from labels and parameters, common to both libraries: plan, objective, metrics, state.

Knows losses, kernels and scikit-learn, but no library: what differs between them is in their `Library`.
"""
