"""What MLflow's own client says of one run, as JSON. NaN and the infinities are texts."""

import json
import math
import sys

from mlflow import MlflowClient


def number(value):
    return value if math.isfinite(value) else str(value)


client = MlflowClient()
run = client.get_run(sys.argv[1])
files = []
folders = [""]
while folders:
    for entry in client.list_artifacts(run.info.run_id, folders.pop()):
        if entry.is_dir:
            folders.append(entry.path)
        else:
            files.append(entry.path)
print(
    json.dumps(
        {
            "name": run.info.run_name,
            "experiment": client.get_experiment(run.info.experiment_id).name,
            "status": run.info.status,
            "start": run.info.start_time,
            "end": run.info.end_time,
            "params": run.data.params,
            "tags": run.data.tags,
            "metrics": {
                key: [
                    [point.step, number(point.value), point.timestamp]
                    for point in client.get_metric_history(run.info.run_id, key)
                ]
                for key in run.data.metrics
            },
            "files": sorted(files),
            "inputs": [
                [dataset.dataset.name, dataset.dataset.digest, dataset.dataset.source, [tag.value for tag in dataset.tags]]
                for dataset in run.inputs.dataset_inputs
            ],
        }
    )
)
