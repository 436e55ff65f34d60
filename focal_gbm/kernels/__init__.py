"""The focal losses in compiled code, on the threads of the library that asks; depends on NumPy alone."""
