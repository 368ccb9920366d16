"""Serves a GGUF model with llama.cpp: llama_server.py MODEL ALIAS PORT, until it is killed."""

import signal
import sys

import xllamacpp

model, alias, port = sys.argv[1:]
params = xllamacpp.CommonParams()
params.model.path = model
params.model_alias = {alias}
params.hostnames = ["127.0.0.1"]
params.port = int(port)
params.n_ctx = 2048
params.n_parallel = 2
# With more threads than free cores llama.cpp's barriers collapse.
params.cpuparams.n_threads = 1
params.cpuparams_batch.n_threads = 1
params.endpoint_metrics = True
server = xllamacpp.Server(params)
signal.pause()
