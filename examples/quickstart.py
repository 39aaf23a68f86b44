# ruff: noqa: E501, I001
import rekam
rekam.set_tracking_uri("grpc://127.0.0.1:50051")
rekam.set_experiment("House Price Prediction")
with rekam.start_run(run_name="Random Forest n_estimators=100") as run:
    rekam.log_params({"n_estimators": 100, "max_depth": 5})
    for step in range(1000):
        rekam.log_metrics({"loss": 1 / (step + 1), "r2_score": step / 1000}, step=step)
print(rekam.search_runs(experiment_names=["House Price Prediction"], filter_string="metrics.r2_score > 0.9 and params.max_depth = '5'"))
