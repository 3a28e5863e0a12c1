"""Train what a workdir lacks, run kept models: joins training, storage and estimates."""
