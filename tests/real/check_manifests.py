"""Checks manifests strictly: a field that the schema does not know is an error.

Usage: check_manifests.py FILE...
Prints `FILE: KIND: what is wrong` for each fault and `unchecked: APIVERSION KIND` for each kind without a schema.
Exit status 1 when there was a fault.
"""

import sys

import jsonschema
import kubernetes_validate
import yaml
from cloudcoil.models.istio.extensions import v1alpha1 as istio_extensions
from cloudcoil.models.istio.networking import v1alpha3 as istio_networking
from cloudcoil.models.istio.telemetry import v1 as istio_telemetry
from cloudcoil.models.prometheus_operator import v1 as prometheus_operator

KUBERNETES = "1.37"
MODELS = {
    ("extensions.istio.io/v1alpha1", "WasmPlugin"): istio_extensions.WasmPlugin,
    ("networking.istio.io/v1alpha3", "EnvoyFilter"): istio_networking.EnvoyFilter,
    ("telemetry.istio.io/v1", "Telemetry"): istio_telemetry.Telemetry,
    ("monitoring.coreos.com/v1", "ServiceMonitor"): prometheus_operator.ServiceMonitor,
    ("monitoring.coreos.com/v1", "PrometheusRule"): prometheus_operator.PrometheusRule,
}
BUILT_IN = ("v1", "apps/v1", "networking.k8s.io/v1")


def closed(schema):
    """The schema, with every object that lists its fields refusing others."""
    if isinstance(schema, dict):
        schema = {key: closed(value) for key, value in schema.items()}
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
    elif isinstance(schema, list):
        schema = [closed(value) for value in schema]
    return schema


def faults(manifest):
    """What is wrong with a manifest; None where there is no schema for it."""
    api, kind = manifest["apiVersion"], manifest["kind"]
    if api in BUILT_IN:
        try:
            kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
        except kubernetes_validate.ValidationError as error:
            return [f"{'.'.join(map(str, error.path))}: {error.message}"]
        return []
    if (api, kind) not in MODELS:
        return None
    model = MODELS[api, kind]
    validator = jsonschema.Draft202012Validator(closed(model.model_json_schema(by_alias=True)))
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(manifest)]


def main():
    failed = False
    for file in sys.argv[1:]:
        with open(file, encoding="utf-8") as text:
            manifests = [manifest for manifest in yaml.safe_load_all(text) if manifest]
        for manifest in manifests:
            found = faults(manifest)
            if found is None:
                print(f"unchecked: {manifest['apiVersion']} {manifest['kind']}")
            for fault in found or []:
                failed = True
                print(f"{file}: {manifest['kind']}: {fault}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
