{{- define "gaugeway.labels" -}}
app.kubernetes.io/name: gaugeway-agent
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{- define "gaugeway.selector" -}}
app.kubernetes.io/name: gaugeway-agent
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "gaugeway.metadata" -}}
name: {{ .Release.Name }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "gaugeway.labels" . | nindent 2 }}
{{- end }}

{{- define "gaugeway.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{- /* What the values cannot say by their schema. */}}
{{- define "gaugeway.check" -}}
{{- if regexMatch `(?m)^\s*(listen|state_dir)\s*=` .Values.config }}
{{- fail "config: `listen` and `state_dir` are written by the chart; use the values `port` and `state`" }}
{{- end }}
{{- if and .Values.networkPolicy.enabled .Values.hostNetwork }}
{{- fail "networkPolicy.enabled: a NetworkPolicy has no effect on a pod with hostNetwork; disable one of them" }}
{{- end }}
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.from) }}
{{- fail "networkPolicy.from: is empty, so that nothing could read the page; name Prometheus' pods" }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled (eq .Values.serviceMonitor.scheme "https") (not .Values.webConfig.secret) }}
{{- fail "serviceMonitor.scheme: https needs webConfig.secret" }}
{{- end }}
{{- end }}
