"""From an XTuner DPO config, a Python file that is read as syntax and never run, to a config of ours."""
