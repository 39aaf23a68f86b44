"""MLflow's plugins for Rekam: tracking store, artifact repository and registry store of rekam://host:port."""
