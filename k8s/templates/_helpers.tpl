{{- define "bobchat.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* 52: Kubernetes adds 11 letters to a StatefulSet's in a label of 63. */}}
{{- define "bobchat.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains (include "bobchat.name" .) .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "bobchat.name" .) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "bobchat.selector" -}}
app.kubernetes.io/name: {{ include "bobchat.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: server
{{- end }}

{{- define "bobchat.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: {{ include "bobchat.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "bobchat.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "bobchat.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "bobchat.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}
{{- end }}

{{- define "bobchat.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "bobchat.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- /* What only one of the modes can be given. */}}
{{- define "bobchat.check" -}}
{{- if eq .Values.mode "cluster" }}
{{- if not (or .Values.redis.url .Values.redis.cluster) }}{{ fail "mode cluster: name the Redis (redis.url or redis.cluster)" }}{{ end }}
{{- if not .Values.cassandra.nodes }}{{ fail "mode cluster: name the Cassandra (cassandra.nodes)" }}{{ end }}
{{- else }}
{{- if or .Values.redis.url .Values.redis.cluster .Values.cassandra.nodes }}{{ fail "mode alone uses neither redis nor cassandra; set mode=cluster" }}{{ end }}
{{- if .Values.autoscaling.enabled }}{{ fail "mode alone is one server: autoscaling is for mode=cluster" }}{{ end }}
{{- end }}
{{- if and .Values.autoscaling.schedule (ne .Values.autoscaling.engine "keda") }}{{ fail "autoscaling.schedule needs autoscaling.engine=keda" }}{{ end }}
{{- $taken := dict
  "server" (list "listen" "admin_listen" "admin_guarded" "drain_timeout" "tls_certificate" "tls_key" "production")
  "store" (list "data")
  "redis" (list "url" "cluster" "username" "password" "password_file" "certificates" "client_certificate" "client_key")
  "cassandra" (list "nodes" "keyspace" "replication" "datacenter" "username" "password" "password_file" "certificates" "client_certificate" "client_key")
  "cluster" (list "deployment" "node") }}
{{- range $section, $keys := .Values.config }}
{{- range $key := get $taken $section | default list }}
{{- if hasKey $keys $key }}{{ fail (printf "config.%s.%s: the chart sets it; see its other values" $section $key) }}{{ end }}
{{- end }}
{{- end }}
{{- if and .Values.monitoring.serviceMonitor .Values.networkPolicy.enabled (not .Values.networkPolicy.metricsFrom) }}{{ fail "monitoring.serviceMonitor: name Prometheus in networkPolicy.metricsFrom, or it is denied" }}{{ end }}
{{- if and .Values.canary.enabled .Values.tls.secretName (not .Values.canary.targets) }}{{ fail "canary.targets: name what the certificate of tls.secretName is for" }}{{ end }}
{{- if .Values.canary.enabled }}
{{- if and (eq (toString (dig "auth" "guests" true .Values.config)) "false") (not .Values.canary.tokensSecret.name) }}{{ fail "canary.tokensSecret: name the secret with its users, for config.auth.guests lets no guests in" }}{{ end }}
{{- if .Values.canary.certificatesSecret.name }}
{{- range .Values.canary.targets | default (list "http://") }}
{{- if not (hasPrefix "https://" .) }}{{ fail "canary.certificatesSecret is for targets with https:// alone (canary.targets)" }}{{ end }}
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) }}{{ fail "ingress.enabled: name the hosts (ingress.hosts)" }}{{ end }}
{{- if gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas) }}{{ fail "autoscaling.minReplicas is above maxReplicas" }}{{ end }}
{{- range $service := list .Values.redis .Values.cassandra }}
{{- if and $service.username (not $service.passwordSecret.name) }}{{ fail (printf "username %s: name the secret of its password (passwordSecret)" $service.username) }}{{ end }}
{{- end }}
{{- if and .Values.redis.url .Values.redis.cluster }}{{ fail "redis.url and redis.cluster: one of them" }}{{ end }}
{{- end }}

{{- /* A value as the environment holds it; numbers as JSON writes them, for YAML's 1000000 would become 1e+06. */}}
{{- define "bobchat.setting" -}}
{{- if kindIs "slice" . }}{{ join "," . }}{{ else if kindIs "string" . }}{{ . }}{{ else }}{{ toJson . }}{{ end }}
{{- end }}

{{- /* Whether the server refuses what is good enough to try it and no more: by default where it is run for many. */}}
{{- define "bobchat.production" -}}
{{- if kindIs "bool" .Values.production }}{{ .Values.production }}{{ else }}{{ eq .Values.mode "cluster" }}{{ end }}
{{- end }}

{{- define "bobchat.scheme" -}}
{{ if .Values.tls.secretName }}https{{ else }}http{{ end }}
{{- end }}

{{- define "bobchat.env" -}}
- {name: BOBCHAT__SERVER__LISTEN, value: "0.0.0.0:8080"}
- {name: BOBCHAT__SERVER__ADMIN_LISTEN, value: "0.0.0.0:8090"}
- {name: BOBCHAT__SERVER__ADMIN_GUARDED, value: "{{ .Values.networkPolicy.enabled }}"}
- {name: BOBCHAT__SERVER__PRODUCTION, value: "{{ include "bobchat.production" . }}"}
{{- if .Values.tls.secretName }}
- {name: BOBCHAT__SERVER__TLS_CERTIFICATE, value: /run/secrets/bobchat/tls/tls.crt}
- {name: BOBCHAT__SERVER__TLS_KEY, value: /run/secrets/bobchat/tls/tls.key}
{{- end }}
- {name: BOBCHAT__STORE__DATA, value: /data}
- {name: BOBCHAT__SERVER__DRAIN_TIMEOUT, value: "{{ .Values.drain.timeoutSeconds }}s"}
{{- if not (hasKey (default dict .Values.config.telemetry) "log_format") }}
- {name: BOBCHAT__TELEMETRY__LOG_FORMAT, value: json}
{{- end }}
{{- if eq .Values.mode "cluster" }}
- name: BOBCHAT__CLUSTER__NODE
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- {name: BOBCHAT__CLUSTER__DEPLOYMENT, value: {{ default .Release.Name .Values.deployment | quote }}}
{{- with .Values.redis }}
{{- if .url }}
- {name: BOBCHAT__REDIS__URL, value: {{ .url | quote }}}
{{- else }}
- {name: BOBCHAT__REDIS__CLUSTER, value: {{ join "," .cluster | quote }}}
{{- end }}
{{- if .username }}
- {name: BOBCHAT__REDIS__USERNAME, value: {{ .username | quote }}}
{{- end }}
{{- if .passwordSecret.name }}
- {name: BOBCHAT__REDIS__PASSWORD_FILE, value: /run/secrets/bobchat/redis-password/{{ .passwordSecret.key }}}
{{- end }}
{{- if .certificatesSecret.name }}
- {name: BOBCHAT__REDIS__CERTIFICATES, value: /run/secrets/bobchat/redis-certificates/{{ .certificatesSecret.key }}}
{{- end }}
{{- if .clientSecret.name }}
- {name: BOBCHAT__REDIS__CLIENT_CERTIFICATE, value: /run/secrets/bobchat/redis-client/tls.crt}
- {name: BOBCHAT__REDIS__CLIENT_KEY, value: /run/secrets/bobchat/redis-client/tls.key}
{{- end }}
{{- end }}
{{- with .Values.cassandra }}
- {name: BOBCHAT__CASSANDRA__NODES, value: {{ join "," .nodes | quote }}}
- {name: BOBCHAT__CASSANDRA__KEYSPACE, value: {{ .keyspace | quote }}}
- {name: BOBCHAT__CASSANDRA__REPLICATION, value: {{ .replication | toString | quote }}}
{{- if .datacenter }}
- {name: BOBCHAT__CASSANDRA__DATACENTER, value: {{ .datacenter | quote }}}
{{- end }}
{{- if .username }}
- {name: BOBCHAT__CASSANDRA__USERNAME, value: {{ .username | quote }}}
{{- end }}
{{- if .passwordSecret.name }}
- {name: BOBCHAT__CASSANDRA__PASSWORD_FILE, value: /run/secrets/bobchat/cassandra-password/{{ .passwordSecret.key }}}
{{- end }}
{{- if .certificatesSecret.name }}
- {name: BOBCHAT__CASSANDRA__CERTIFICATES, value: /run/secrets/bobchat/cassandra-certificates/{{ .certificatesSecret.key }}}
{{- end }}
{{- if .clientSecret.name }}
- {name: BOBCHAT__CASSANDRA__CLIENT_CERTIFICATE, value: /run/secrets/bobchat/cassandra-client/tls.crt}
- {name: BOBCHAT__CASSANDRA__CLIENT_KEY, value: /run/secrets/bobchat/cassandra-client/tls.key}
{{- end }}
{{- end }}
{{- end }}
{{- range $section, $keys := .Values.config }}
{{- range $key, $value := $keys }}
- {name: BOBCHAT__{{ upper $section }}__{{ upper $key }}, value: {{ include "bobchat.setting" $value | quote }}}
{{- end }}
{{- end }}
{{- end }}

{{- /* Secrets that are mounted as folders, so that a change of them arrives: name of the folder, and the secret. */}}
{{- define "bobchat.secrets" -}}
{{- if .Values.tls.secretName }}
- {folder: tls, name: {{ .Values.tls.secretName | quote }}}
{{- end }}
{{- if eq .Values.mode "cluster" }}
{{- range $service := list "redis" "cassandra" }}
{{- range $what := list "password" "certificates" "client" }}
{{- $secret := index $.Values $service (printf "%sSecret" $what) }}
{{- if $secret.name }}
- {folder: {{ $service }}-{{ $what }}, name: {{ $secret.name | quote }}}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Where pods may run, and where their image comes from. */}}
{{- define "bobchat.placement" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "bobchat.pod" -}}
{{- $secrets := include "bobchat.secrets" . | fromYamlArray }}
metadata:
  labels:
    {{- include "bobchat.labels" . | nindent 4 }}
    app.kubernetes.io/component: server
  annotations:
    checksum/files: {{ .Values.files | toJson | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "bobchat.serviceAccount" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- include "bobchat.placement" . | nindent 2 }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  securityContext:
    {{- include "bobchat.podSecurityContext" . | nindent 4 }}
  # The hook, the server's own drain, and a margin: a kill loses nothing, but it is not good order.
  terminationGracePeriodSeconds: {{ add .Values.drain.preStopSeconds .Values.drain.timeoutSeconds .Values.drain.marginSeconds }}
  containers:
    - name: bobchat
      image: {{ include "bobchat.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      securityContext:
        {{- include "bobchat.securityContext" . | nindent 8 }}
      env:
        {{- include "bobchat.env" . | nindent 8 }}
      ports:
        - {name: http, containerPort: 8080}
        - {name: admin, containerPort: 8090}
      # It listens before its services are there: a start that waits for Redis is not killed.
      startupProbe:
        httpGet: {path: /healthz, port: admin}
        periodSeconds: 1
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /healthz, port: admin}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 3
      readinessProbe:
        httpGet: {path: /readyz, port: admin}
        periodSeconds: 2
        timeoutSeconds: 2
        failureThreshold: 2
      lifecycle:
        preStop:
          sleep: {seconds: {{ .Values.drain.preStopSeconds }}}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      volumeMounts:
        - {name: data, mountPath: /data}
        {{- if .Values.files }}
        - {name: files, mountPath: /etc/bobchat, readOnly: true}
        {{- end }}
        {{- range $secrets }}
        - {name: {{ .folder }}, mountPath: /run/secrets/bobchat/{{ .folder }}, readOnly: true}
        {{- end }}
  volumes:
    {{- if eq .Values.mode "cluster" }}
    # The operator's token and nothing else.
    - {name: data, emptyDir: {sizeLimit: 16Mi}}
    {{- end }}
    {{- if .Values.files }}
    - {name: files, configMap: {name: {{ include "bobchat.fullname" . }}}}
    {{- end }}
    {{- range $secrets }}
    - {name: {{ .folder }}, secret: {secretName: {{ .name }}, defaultMode: 0440}}
    {{- end }}
    {{- if and (ne .Values.mode "cluster") (not .Values.files) (not $secrets) }}
    []
    {{- end }}
  {{- if and .Values.topologySpread (eq .Values.mode "cluster") }}
  topologySpreadConstraints:
    {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - topologyKey: {{ . }}
      maxSkew: 1
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "bobchat.selector" $ | nindent 10 }}
    {{- end }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{- define "bobchat.scaling" -}}
# Who goes takes connections along, which come back to the others: one at a time, and not for a short lull.
scaleDown:
  stabilizationWindowSeconds: 600
  policies: [{type: Pods, value: 1, periodSeconds: 120}]
scaleUp:
  stabilizationWindowSeconds: 0
  policies: [{type: Percent, value: 100, periodSeconds: 30}]
{{- end }}
