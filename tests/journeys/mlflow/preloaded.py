"""Runs programs of MLflow's users, each in a fork of this process: what they import is imported once.

Reads a line of JSON for each program, answers with a line: its exit code.
"""

import json
import os
import runpy
import signal
import sys

import pandas as pd  # noqa: F401
import sklearn.ensemble  # noqa: F401

for line in sys.stdin:
    asked = json.loads(line)
    if (child := os.fork()) == 0:
        break
    sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
    sys.stdout.flush()
else:
    sys.exit()

# From here on the child: it ends as any program does.
signal.alarm(asked["seconds"])
os.chdir(asked["cwd"])
os.environ.clear()
os.environ.update(asked["environ"])
output = os.open(asked["output"], os.O_WRONLY | os.O_CREAT, 0o600)
for number, file in ((0, os.open(os.devnull, os.O_RDONLY)), (1, output), (2, output)):
    os.dup2(file, number)
sys.argv = asked["argv"]
runpy.run_path(asked["argv"][0], run_name="__main__")
