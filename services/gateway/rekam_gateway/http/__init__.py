"""The HTTP door: MLflow's REST API, spoken to the same services as gRPC.

JSON comes in, the services' own requests go out; no rule that a service has is written here again.
A module per noun declares its endpoints (`endpoints.py`); `app.py` puts them together.
"""
