"""What a run records without being told to: system metrics, console output, the code's git state.

Each can be switched off; none of it may slow the program or fail it.
"""
