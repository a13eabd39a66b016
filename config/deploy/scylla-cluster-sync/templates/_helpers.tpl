{{/* Labels of an object; of: the component. */}}
{{- define "sync.labels" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .of }}
{{- end -}}

{{/* Section source or target of a file; of: which. */}}
{{- define "sync.cluster" -}}
{{- $given := index .root.Values .of -}}
{{- if not $given.hosts }}{{ fail (printf "%s.hosts: expected at least one host" .of) }}{{ end -}}
{{ toYaml $given }}
{{- if include "sync.secret" . }}
username: ${ENV:{{ .of | upper }}_USERNAME}
password: ${ENV:{{ .of | upper }}_PASSWORD}
{{- end }}
{{- end -}}

{{/* Name of the secret of a cluster; nothing where there is none. */}}
{{- define "sync.secret" -}}
{{- $given := index .root.Values.credentials .of -}}
{{- if $given.existingSecret }}{{ $given.existingSecret }}
{{- else if or $given.username .root.Values.credentials.externalSecrets.enabled }}cql-{{ .of }}-credentials
{{- end -}}
{{- end -}}

{{/* URL of the proxy that loader and reader tell. */}}
{{- define "sync.proxy" -}}
{{- if .Values.proxyUrl }}{{ .Values.proxyUrl }}{{ else if .Values.dualWriter.enabled }}http://dual-writer:8080{{ end -}}
{{- end -}}

{{/* A component: its pod with a volume for its state. given: its values; args: of the command; ports: name to number; config: what makes it start again when it changes. */}}
{{- define "sync.component" -}}
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ .of }}
  labels:
    {{- include "sync.labels" . | nindent 4 }}
spec:
  replicas: 1
  serviceName: {{ .of }}
  selector:
    matchLabels:
      {{- include "sync.labels" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "sync.labels" . | nindent 8 }}
      annotations:
        causeway/config: {{ .config | sha256sum }}
    spec:
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 60
      securityContext:
        runAsNonRoot: true
        runAsUser: 1000
        runAsGroup: 1000
        fsGroup: 1000
      {{- with .root.Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .root.Values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .root.Values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
        - name: {{ .of }}
          image: {{ printf "%s:%s" (required "image.repository: expected the image that config/deploy/Dockerfile makes" .root.Values.image.repository) (.root.Values.image.tag | default .root.Chart.AppVersion) | quote }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          args:
            {{- range .args }}
            - {{ . | quote }}
            {{- end }}
          ports:
            {{- range $name, $port := .ports }}
            - name: {{ $name }}
              containerPort: {{ $port }}
            {{- end }}
          {{- if or (include "sync.secret" (dict "root" .root "of" "source")) (include "sync.secret" (dict "root" .root "of" "target")) }}
          env:
            {{- $root := .root }}
            {{- range $cluster := list "source" "target" }}
            {{- $secret := include "sync.secret" (dict "root" $root "of" $cluster) }}
            {{- if $secret }}
            {{- range $key := list "username" "password" }}
            - name: {{ $cluster | upper }}_{{ $key | upper }}
              valueFrom:
                secretKeyRef:
                  name: {{ $secret }}
                  key: {{ $key }}
            {{- end }}
            {{- end }}
            {{- end }}
          {{- end }}
          # Whether it answers at all: a cluster that is away is no reason to start it again.
          livenessProbe:
            tcpSocket:
              port: http
            periodSeconds: 10
            failureThreshold: 6
          readinessProbe:
            httpGet:
              path: /health
              port: http
            periodSeconds: 5
            timeoutSeconds: 5
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities:
              drop: [ALL]
          {{- with .given.resources }}
          resources:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          volumeMounts:
            - name: config
              mountPath: /etc/causeway
            - name: state
              mountPath: /var/lib/causeway
            {{- if .filter }}
            - name: filter
              mountPath: /etc/causeway-filter
            {{- end }}
      volumes:
        - name: config
          configMap:
            name: {{ .of }}
        {{- if .filter }}
        - name: filter
          configMap:
            name: {{ .of }}-filter
        {{- end }}
  # Never shared, and never restored from a copy: an old log of writes sends old writes again.
  volumeClaimTemplates:
    - metadata:
        name: state
      spec:
        accessModes: [ReadWriteOnce]
        {{- with .given.persistence.storageClass }}
        storageClassName: {{ . }}
        {{- end }}
        resources:
          requests:
            storage: {{ .given.persistence.size }}
{{- end -}}
