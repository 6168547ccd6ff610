{{- define "mmaction.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "mmaction.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "mmaction.labels" -}}
{{ include "mmaction.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- /* An image by its digest, else by its tag, else by the chart's version. */}}
{{- define "mmaction.image" -}}
{{- if .image.digest }}{{ .image.repository }}@{{ .image.digest }}{{ else }}{{ .image.repository }}:{{ .image.tag | default .appVersion }}{{ end }}
{{- end }}

{{- /* The Leases that the controller holds while it acts, in the order in which it takes them: its installation's own,
among replicas; then that of the jobs that it takes care of, by their managedBy and where they are, among installations. */}}
{{- define "mmaction.leases" -}}
{{- $whose := .Values.controllerName | default "mmaction.dev/controller" | lower | replace "/" "." }}
{{- $jobs := regexReplaceAll "[^a-z0-9.]+" $whose "-" | trimAll "-." }}
{{- $leases := list (dict "of" "replicas" "namespace" .Release.Namespace "name" (include "mmaction.name" .)) }}
{{- range .Values.namespaces | default (list (.Values.leaseNamespace | default "kube-system")) | uniq | sortAlpha }}
{{- $leases = append $leases (dict "of" "jobs" "namespace" . "name" $jobs) }}
{{- end }}
{{- toYaml $leases }}
{{- end }}
