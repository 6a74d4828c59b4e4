package bigmesh

// gateway is what a mesh has once.
const gateway = `apiVersion: v1
kind: Namespace
metadata:
  name: istio-system
---
apiVersion: v1
kind: Service
metadata:
  name: istio-ingressgateway
  namespace: istio-system
spec:
  type: LoadBalancer
  selector:
    istio: ingressgateway
  ports:
  - name: http2
    port: 80
    targetPort: 8080
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: istio-ingressgateway
  namespace: istio-system
spec:
  replicas: 1
  selector:
    matchLabels:
      istio: ingressgateway
  template:
    metadata:
      labels:
        istio: ingressgateway
        sidecar.istio.io/inject: "true"
      annotations:
        inject.istio.io/templates: gateway
    spec:
      containers:
      - name: istio-proxy
        image: auto
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata:
  name: front
  namespace: istio-system
spec:
  selector:
    istio: ingressgateway
  servers:
  - port:
      number: 80
      name: http
      protocol: HTTP
    hosts:
    - "*"
`

// namespace is what each namespace has.
const namespace = `---
apiVersion: v1
kind: Namespace
metadata:
  name: $NS
  labels:
    istio-injection: enabled
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata:
  name: default
  namespace: $NS
spec:
  mtls:
    mode: STRICT
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata:
  name: default
  namespace: $NS
spec:
  egress:
  - hosts:
    - "*/*"
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: outside
  namespace: $NS
spec:
  hosts:
  - $NS.outside.example.net
  exportTo:
  - "."
  ports:
  - number: 443
    name: tls
    protocol: TLS
  resolution: DNS
  location: MESH_EXTERNAL
`

// service is what each service has.
const service = `---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: $NAME
  namespace: $NS
  labels:
    app.kubernetes.io/name: $NAME
---
apiVersion: v1
kind: Service
metadata:
  name: $NAME
  namespace: $NS
  labels:
    app: $NAME
    app.kubernetes.io/name: $NAME
    app.kubernetes.io/managed-by: Helm
spec:
  type: ClusterIP
  clusterIP: $CLUSTERIP
  selector:
    app: $NAME
  ports:
  - name: http
    port: 80
    targetPort: 8080
    protocol: TCP
  - name: http-metrics
    port: 9090
    targetPort: 9090
    protocol: TCP
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: $NAME
  namespace: $NS
  labels:
    app: $NAME
    app.kubernetes.io/name: $NAME
spec:
  replicas: $REPLICAS
  selector:
    matchLabels:
      app: $NAME
  template:
    metadata:
      labels:
        app: $NAME
        version: v1
    spec:
      serviceAccountName: $NAME
      containers:
      - name: app
        image: registry.example.com/$NS/$NAME:1.4.2
        ports:
        - name: http
          containerPort: 8080
          protocol: TCP
        env:
        - name: LOG_LEVEL
          value: "info"
        resources:
          requests:
            cpu: 100m
            memory: 128Mi
          limits:
            memory: 256Mi
        readinessProbe:
          httpGet:
            path: /ready
            port: 8080
          periodSeconds: 10
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: $NAME
  namespace: $NS
spec:
  host: $NAME.$NS.svc.cluster.local
  trafficPolicy:
    connectionPool:
      http:
        http2MaxRequests: 1000
    outlierDetection:
      consecutive5xxErrors: 7
      interval: 30s
      baseEjectionTime: 1m
  subsets:
  - name: v1
    labels:
      version: v1
  - name: v2
    labels:
      version: v2
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: $NAME
  namespace: $NS
spec:
  selector:
    matchLabels:
      app: $NAME
  action: ALLOW
  rules:
  - from:
    - source:
        principals:
        - cluster.local/ns/$NS/sa/$CALLER
    - source:
        namespaces:
        - $NS
        - istio-system
    to:
    - operation:
        methods:
        - GET
        - POST
        paths:
        - /api/*
        - /
`

// virtualService is what every second service has.
const virtualService = `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: $NAME
  namespace: $NS
spec:
  hosts:
  - $NAME.$NS.svc.cluster.local
  - $NAME.example.com
  gateways:
  - mesh
$GATEWAYS
  http:
  - name: canary
    match:
    - headers:
        x-canary:
          exact: "true"
      uri:
        prefix: /api
    route:
    - destination:
        host: $NAME.$NS.svc.cluster.local
        subset: v2
  - name: all
    timeout: 15s
    retries:
      attempts: 3
      perTryTimeout: 2s
      retryOn: 5xx,connect-failure
    route:
    - destination:
        host: $NAME.$NS.svc.cluster.local
        subset: v1
`

// podManifest is a running pod.
const podManifest = `---
apiVersion: v1
kind: Pod
metadata:
  name: $POD
  namespace: $NS
  creationTimestamp: "2026-05-04T10:20:30Z"
  labels:
    app: $NAME
    version: v1
    pod-template-hash: 7d9f6b5c4
    security.istio.io/tlsMode: istio
  annotations:
    sidecar.istio.io/status: '{"initContainers":["istio-init","istio-proxy"],"revision":"default"}'
  ownerReferences:
  - apiVersion: apps/v1
    kind: ReplicaSet
    name: $NAME-7d9f6b5c4
    uid: 6f1c1f9e-6f0b-4f5e-9a39-0d5f3f6b8a11
    controller: true
    blockOwnerDeletion: true
spec:
  serviceAccountName: $NAME
  nodeName: $NODE
  initContainers:
  - name: istio-proxy
    image: docker.io/istio/proxyv2:1.31.0
    restartPolicy: Always
  containers:
  - name: app
    image: registry.example.com/$NS/$NAME:1.4.2
    ports:
    - name: http
      containerPort: 8080
      protocol: TCP
status:
  phase: Running
  podIP: $PODIP
  podIPs:
  - ip: $PODIP
  conditions:
  - type: Ready
    status: "True"
    lastTransitionTime: "2026-05-04T10:20:41Z"
`

// slice lists the pods of a service; an endpoint for each follows it.
const slice = `---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: $NAME-x2x4z
  namespace: $NS
  labels:
    kubernetes.io/service-name: $NAME
    endpointslice.kubernetes.io/managed-by: endpointslice-controller.k8s.io
addressType: IPv4
ports:
- name: http
  port: 8080
  protocol: TCP
- name: http-metrics
  port: 9090
  protocol: TCP
endpoints:
`

const endpoint = `- addresses:
  - $PODIP
  conditions:
    ready: true
    serving: true
    terminating: false
  nodeName: $NODE
  targetRef:
    kind: Pod
    name: $POD
    namespace: $NS
`
