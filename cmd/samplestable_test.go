package cmd

const (
	bookinfo  = "bookinfo/platform/kube/bookinfo "
	traffic   = "bookinfo/networking/"
	subsets   = traffic + "destination-rule-all "
	toReviews = "--from deployment/productpage-v1 http://reviews:9080/reviews/0"
	toDetails = "--from deployment/productpage-v1 http://details:9080/details/0"
	toRatings = "--from deployment/reviews-v2 http://ratings:9080/ratings/0"
	jason     = "-H 'end-user: jason' "
)

// samples are requests to Istio's samples, each judged against Istio's tasks and its source.
var samples = []sample{
	{
		files: bookinfo + traffic + "bookinfo-gateway", args: "--from external http://bookinfo.example.com/productpage",
		want:    []string{"100% Delivered productpage-v1 (assumed)"},
		because: "uri exact /productpage. The sample brings no gateway: the tool assumes the stock istio-ingressgateway, whose Service maps 80 to 8080; the server's number 8080 is no Service port, so it is the pod port itself.",
	},
	{
		files: bookinfo + traffic + "bookinfo-gateway", args: "--from external http://bookinfo.example.com/static/site.css",
		want:    []string{"100% Delivered productpage-v1 (assumed)"},
		because: "uri prefix /static is a plain string prefix.",
	},
	{
		files: bookinfo + traffic + "bookinfo-gateway", args: "--from external http://bookinfo.example.com/productpage/",
		want:    []string{"100% NotRouted 404 NR NO_ROUTE (assumed)"},
		because: "exact /productpage does not take a slash at the end, and nothing else matches.",
	},
	{
		files: bookinfo + traffic + "bookinfo-gateway", args: "--from external http://bookinfo.example.com/reviews/0",
		want:    []string{"100% NotRouted 404 NR NO_ROUTE (assumed)"},
		because: "the VirtualService has no rule for /reviews: the gateway does not publish it.",
	},
	{
		files: bookinfo + traffic + "bookinfo-gateway", args: "--from external http://bookinfo.example.com:8080/productpage",
		want:    []string{"100% NotRouted NO_GATEWAY_PORT (assumed)"},
		because: "the stock gateway Service has no port 8080; that is the pod's port, behind Service port 80.",
	},
	{
		files: bookinfo + traffic + "bookinfo-gateway", args: "--from deployment/ratings-v1 http://productpage:9080/health",
		want:    []string{"100% Delivered productpage-v1"},
		because: "the VirtualService is bound to the gateway only: inside the mesh the Service has its default route.",
	},
	{
		files: bookinfo + traffic + "bookinfo-gateway", args: "--from external http://bookinfo.example.com/productpage", bare: true,
		want:    []string{"100% Delivered productpage-v1 (assumed)"},
		because: "the route is the same without a Namespace; that productpage is injected is one assumption more.",
	},
	{
		files: bookinfo, args: "--from external http://bookinfo.example.com/productpage",
		want:    []string{"100% NotRouted NO_GATEWAY"},
		because: "without a Gateway nothing takes requests from outside.",
	},
	{
		files: bookinfo + traffic + "certmanager-gateway", args: "--from external http://bookinfo.example.com/.well-known/acme-challenge/t",
		want:    []string{"100% Unavailable 503 NC HOST_UNKNOWN (assumed)"},
		because: "the short destination cert-manager-resolver means istio-system, where the sample has no such Service: the gateway has no cluster.",
	},
	{
		files: bookinfo + traffic + "certmanager-gateway", args: "--from external http://bookinfo.example.com/productpage",
		want:    []string{"100% NotRouted 404 NR NO_ROUTE (assumed)"},
		because: "the only rule is the ACME prefix.",
	},
	{
		files: bookinfo + traffic + "bookinfo-gateway " + traffic + "certmanager-gateway", args: "--from external http://bookinfo.example.com/productpage",
		want:    []string{"100% Delivered productpage-v1 (assumed)"},
		because: "server 8080 and server 80 meet on pod port 8080, both are HTTP for every host: their routes are in one virtual host.",
	},
	{
		files: bookinfo + traffic + "bookinfo-gateway " + traffic + "certmanager-gateway", args: "--from external http://bookinfo.example.com/.well-known/acme-challenge/t",
		want:    []string{"100% Unavailable 503 NC HOST_UNKNOWN (assumed)"},
		because: "no rule of bookinfo takes the path, so the route of the other Gateway does, and its destination is unknown.",
	},
	{
		files: bookinfo, args: toReviews,
		want:    []string{"100% Delivered reviews-v1 reviews-v2 reviews-v3"},
		because: "no VirtualService, no subsets: all endpoints of the Service share the load.",
	},
	{
		files: bookinfo, args: toReviews, bare: true,
		want:    []string{"100% Delivered reviews-v1 reviews-v2 reviews-v3"},
		because: "no resource of Istio and no injection label: plain Kubernetes.",
	},
	{
		files: bookinfo + subsets, args: toReviews,
		want:    []string{"100% Delivered reviews-v1 reviews-v2 reviews-v3"},
		because: "defining subsets routes nothing by itself.",
	},
	{
		files: bookinfo + traffic + "destination-rule-all-mtls", args: toReviews,
		want:    []string{"100% Delivered reviews-v1 reviews-v2 reviews-v3"},
		because: "ISTIO_MUTUAL meets sidecars, which accept mTLS in mode PERMISSIVE.",
	},
	{
		files: bookinfo + traffic + "destination-rule-all-mtls", args: toReviews, bare: true,
		want:    []string{"100% Delivered reviews-v1 reviews-v2 reviews-v3 (assumed)"},
		because: "the same, if the Namespace that is not given has the injection label.",
	},
	{
		files: bookinfo + traffic + "destination-rule-reviews", args: toReviews,
		want:    []string{"100% Delivered reviews-v1 reviews-v2 reviews-v3"},
		because: "RANDOM chooses among the same endpoints.",
	},
	{
		files: bookinfo + traffic + "virtual-service-all-v1", args: toReviews,
		want:    []string{"100% Unavailable 503 NC subset v1 SUBSET_UNDEFINED"},
		because: "a route to subset v1 without any DestinationRule names a cluster that does not exist. Istio's tasks therefore apply destination-rule-all first.",
	},
	{
		files: bookinfo + subsets + traffic + "virtual-service-all-v1", args: toReviews,
		want:    []string{"100% Delivered subset v1 reviews-v1"},
		because: "every service is pinned to v1.",
	},
	{
		files: bookinfo + subsets + traffic + "virtual-service-all-v1", args: toRatings,
		want:    []string{"100% Delivered subset v1 ratings-v1"},
		because: "every service is pinned to v1.",
	},
	{
		files: bookinfo + subsets + traffic + "virtual-service-all-v1", args: toDetails,
		want:    []string{"100% Delivered subset v1 details-v1"},
		because: "every service is pinned to v1.",
	},
	{
		files: bookinfo + subsets + traffic + "virtual-service-all-v1 " + traffic + "bookinfo-gateway", args: "--from external http://bookinfo.example.com/productpage",
		want:    []string{"100% Delivered productpage-v1 (assumed)"},
		because: "the VirtualService productpage is for the mesh: the gateway follows its own and names no subset.",
	},
	{
		files: bookinfo + traffic + "destination-rule-all-mtls " + traffic + "virtual-service-all-v1", args: toReviews,
		want:    []string{"100% Delivered subset v1 reviews-v1"},
		because: "the mTLS variant defines the same subsets.",
	},
	{
		files: bookinfo + subsets + traffic + "virtual-service-reviews-v3", args: toReviews,
		want:    []string{"100% Delivered subset v3 reviews-v3"},
		because: "the one rule goes to v3.",
	},
	{
		files: bookinfo + traffic + "destination-rule-reviews " + traffic + "virtual-service-reviews-v3", args: toReviews,
		want:    []string{"100% Delivered subset v3 reviews-v3"},
		because: "destination-rule-reviews defines v3 too.",
	},
	{
		files: bookinfo + traffic + "virtual-service-reviews-v3", args: toReviews,
		want:    []string{"100% Unavailable 503 NC subset v3 SUBSET_UNDEFINED"},
		because: "no DestinationRule defines v3.",
	},
	{
		files: bookinfo + traffic + "virtual-service-reviews-v3", args: toReviews, bare: true,
		want:    []string{"100% Unavailable 503 NC subset v3 SUBSET_UNDEFINED (assumed)"},
		because: "the same, if productpage has a sidecar; without one no VirtualService applies to it.",
	},
	{
		files: bookinfo + subsets + traffic + "virtual-service-reviews-50-v3", args: toReviews,
		want:    []string{"50% Delivered subset v1 reviews-v1", "50% Delivered subset v3 reviews-v3"},
		because: "the weights are 50 and 50.",
	},
	{
		files: bookinfo + subsets + traffic + "virtual-service-reviews-80-20", args: toReviews,
		want:    []string{"80% Delivered subset v1 reviews-v1", "20% Delivered subset v2 reviews-v2"},
		because: "the weights are 80 and 20.",
	},
	{
		files: bookinfo + subsets + traffic + "virtual-service-reviews-90-10", args: toReviews,
		want:    []string{"90% Delivered subset v1 reviews-v1", "10% Delivered subset v2 reviews-v2"},
		because: "the weights are 90 and 10.",
	},
	{
		files: bookinfo + subsets + traffic + "virtual-service-reviews-v2-v3", args: toReviews,
		want:    []string{"50% Delivered subset v2 reviews-v2", "50% Delivered subset v3 reviews-v3"},
		because: "the weights are 50 and 50; v1 gets nothing.",
	},
	{
		files: bookinfo + subsets + traffic + "virtual-service-reviews-jason-v2-v3", args: jason + toReviews,
		want:    []string{"100% Delivered subset v2 reviews-v2"},
		because: "header end-user is exactly jason: the first rule.",
	},
	{
		files: bookinfo + subsets + traffic + "virtual-service-reviews-jason-v2-v3", args: toReviews,
		want:    []string{"100% Delivered subset v3 reviews-v3"},
		because: "without the header the first rule misses and the second takes everything.",
	},
	{
		files: bookinfo + subsets + traffic + "virtual-service-reviews-test-v2", args: jason + toReviews,
		want:    []string{"100% Delivered subset v2 reviews-v2"},
		because: "header end-user is exactly jason: the first rule.",
	},
	{
		files: bookinfo + subsets + traffic + "virtual-service-reviews-test-v2", args: toReviews,
		want:    []string{"100% Delivered subset v1 reviews-v1"},
		because: "everybody else gets v1.",
	},
	{
		files: bookinfo + subsets + traffic + "virtual-service-reviews-test-v2", args: "-H 'end-user: Jason' " + toReviews,
		want:    []string{"100% Delivered subset v1 reviews-v1"},
		because: "header values are compared with case.",
	},
	{
		files: bookinfo + subsets + traffic + "virtual-service-details-v2", args: toDetails,
		want:    []string{"100% Unavailable 503 UH subset v2 SUBSET_EMPTY"},
		because: "the subset is defined, so there is a cluster; no pod has version=v2.",
	},
	{
		files: bookinfo + "bookinfo/platform/kube/bookinfo-details-v2 " + subsets + traffic + "virtual-service-details-v2", args: toDetails,
		want:    []string{"100% Delivered subset v2 details-v2"},
		because: "bookinfo-details-v2 brings the pod.",
	},
	{
		files: bookinfo + traffic + "fault-injection-details-v1", args: toDetails,
		want:    []string{"100% Responded 555 FI FAULT_ABORT"},
		because: "the first rule has no match and aborts every request; the second is never reached.",
	},
	{
		files: bookinfo + subsets + traffic + "virtual-service-ratings-test-abort", args: jason + toRatings,
		want:    []string{"100% Responded 500 FI FAULT_ABORT"},
		because: "jason's requests are aborted by the caller's sidecar.",
	},
	{
		files: bookinfo + subsets + traffic + "virtual-service-ratings-test-abort", args: toRatings,
		want:    []string{"100% Delivered subset v1 ratings-v1"},
		because: "the fault belongs to jason's rule only.",
	},
	{
		files: bookinfo + subsets + traffic + "virtual-service-ratings-test-delay", args: jason + toRatings,
		want:    []string{"100% Delivered subset v1 ratings-v1"},
		because: "a delay of 7 s holds the request up and does not change where it goes. What the application's own time limit makes of it is not the mesh's.",
	},
	{
		files: bookinfo + subsets + traffic + "virtual-service-ratings-test-delay", args: toRatings,
		want:    []string{"100% Delivered subset v1 ratings-v1"},
		because: "no delay without the header.",
	},
	{
		files: bookinfo + subsets + traffic + "virtual-service-ratings-db", args: toRatings,
		want:    []string{"100% Unavailable 503 UH subset v2 SUBSET_EMPTY"},
		because: "ratings-v2 is not deployed by bookinfo.yaml.",
	},
	{
		files: bookinfo + "bookinfo/platform/kube/bookinfo-ratings-v2 " + subsets + traffic + "virtual-service-ratings-db", args: toRatings,
		want:    []string{"100% Delivered subset v2 ratings-v2"},
		because: "bookinfo-ratings-v2 brings the pod.",
	},
	{
		files: bookinfo + "bookinfo/platform/kube/bookinfo-ratings-v2 " + subsets + traffic + "virtual-service-ratings-db", args: toReviews,
		want:    []string{"100% Delivered subset v3 reviews-v3"},
		because: "the file pins reviews to v3.",
	},
	{
		files: bookinfo + "bookinfo/platform/kube/bookinfo-ratings-v2 bookinfo/platform/kube/bookinfo-db", args: "--from deployment/ratings-v2 tcp://mongodb:27017",
		want:    []string{"100% Delivered mongodb-v1"},
		because: "a mongo port is forwarded as TCP.",
	},
	{
		files: bookinfo + "bookinfo/platform/kube/bookinfo-ratings-v2-mysql " + subsets + traffic + "virtual-service-ratings-mysql", args: toRatings,
		want:    []string{"100% Delivered subset v2-mysql ratings-v2-mysql"},
		because: "the subset and its pod are there.",
	},
	{
		files: bookinfo + "bookinfo/platform/kube/bookinfo-ratings-v2-mysql bookinfo/platform/kube/bookinfo-mysql", args: "--from deployment/ratings-v2-mysql tcp://mysqldb:3306",
		want:    []string{"100% Delivered mysqldb-v1"},
		because: "port 3306 is TCP.",
	},
	{
		files: bookinfo + "bookinfo/platform/kube/bookinfo-ratings-v2-mysql-vm " + subsets + traffic + "virtual-service-ratings-mysql-vm", args: toRatings,
		want:    []string{"100% Delivered subset v2-mysql-vm ratings-v2-mysql-vm"},
		because: "the subset and its pod are there.",
	},
	{
		files: bookinfo + "bookinfo/platform/kube/bookinfo-ratings-v2-mysql-vm", args: "--from deployment/ratings-v2-mysql-vm tcp://mysqldb.default.svc.cluster.local:3306",
		want:    []string{"100% NotRouted NAME_NOT_FOUND"},
		because: "mysqldb is registered with the virtual machine, not by the sample: without a Service the name does not resolve.",
	},
	{
		files: bookinfo + traffic + "egress-rule-google-apis", args: "--from deployment/productpage-v1 http://www.googleapis.com/books/v1/volumes",
		want:    []string{"100% Delivered outbound|443||www.googleapis.com OUTSIDE_MESH"},
		because: "the VirtualService moves port 80 to 443, where the DestinationRule originates TLS.",
	},
	{
		files: bookinfo + traffic + "egress-rule-google-apis", args: "--from deployment/productpage-v1 https://www.googleapis.com/books/v1/volumes",
		want:    []string{"100% Reset TLS_TWICE (assumed)"},
		because: "port 443 originates TLS for every client, one that speaks https itself too: TLS inside TLS. The sample is for applications that speak http.",
	},
	{
		files: bookinfo, args: "--from deployment/productpage-v1 https://www.googleapis.com/books/v1/volumes",
		want:    []string{"100% Delivered PassthroughCluster PASSTHROUGH"},
		because: "outboundTrafficPolicy is ALLOW_ANY by default: unknown hosts are passed through.",
	},
	{
		files: bookinfo + "bookinfo/platform/kube/bookinfo-versions", args: "--from deployment/productpage-v1 http://reviews-v2:9080/reviews/0",
		want:    []string{"100% Delivered reviews-v2"},
		because: "a Service for each version.",
	},
	{
		files: bookinfo + "bookinfo/platform/kube/bookinfo-versions bookinfo/gateway-api/route-reviews-90-10", args: toReviews,
		want:    []string{"90% Delivered reviews-v1", "10% Delivered reviews-v2"},
		because: "the HTTPRoute has the Service reviews as parent and is in its namespace, so every client's sidecar obeys it: weights 90 and 10.",
	},
	{
		files: bookinfo + "bookinfo/gateway-api/bookinfo-gateway", args: "--from external http://bookinfo.example.com/productpage",
		want:    []string{"100% Delivered productpage-v1"},
		because: "istiod deploys bookinfo-gateway-istio for the Gateway, with port 80; the HTTPRoute has an exact match for /productpage.",
	},
	{
		files: bookinfo + "bookinfo/gateway-api/bookinfo-gateway", args: "--from external http://bookinfo.example.com/reviews/0",
		want:    []string{"100% NotRouted 404 NR NO_ROUTE"},
		because: "the HTTPRoute has no match for /reviews: the gateway does not publish it.",
	},
	{
		files: bookinfo + "bookinfo/platform/kube/bookinfo-versions bookinfo/gateway-api/route-all-v1", args: "--from deployment/reviews-v2 http://ratings:9080/ratings/0",
		want:    []string{"100% Delivered ratings-v1"},
		because: "an HTTPRoute of its own sends every version of reviews to the Service ratings-v1.",
	},
	{
		files: bookinfo + "bookinfo/gateway-api/route-reviews-v1", args: toReviews,
		want:    []string{"100% Responded 500 NC BACKEND_INVALID"},
		because: "the Service reviews-v1 is in bookinfo-versions, which is not applied: the backend does not exist and answers 500, as the Gateway API asks.",
	},
	{
		files: bookinfo + "bookinfo/platform/kube/bookinfo-ingress", args: "--from external http://bookinfo.example.com/productpage",
		want:    []string{"100% Delivered productpage-v1 (assumed)"},
		because: "the annotation of the Ingress is meshConfig.ingressClass, and it has the exact path; the sample brings no gateway: the stock istio-ingressgateway is assumed.",
	},
	{
		files: bookinfo + "bookinfo/platform/kube/bookinfo-ingress", args: "--from external http://bookinfo.example.com/reviews/0",
		want:    []string{"100% NotRouted 404 NR NO_ROUTE (assumed)"},
		because: "the Ingress has no path for /reviews: the gateway does not publish it.",
	},
	{
		files: bookinfo + "bookinfo/platform/kube/productpage-nodeport", args: "--from external http://bookinfo.example.com:9080/productpage",
		want:    []string{"100% NotRouted NO_GATEWAY"},
		because: "a request from outside enters by a gateway, and there is none; the node port bypasses the mesh's edge.",
	},
	{
		files: bookinfo + traffic + "bookinfo-gateway bookinfo/policy/productpage_envoy_ratelimit", args: "--from external http://bookinfo.example.com/productpage",
		want:    []string{"100% Delivered productpage-v1 (assumed)"},
		because: "the EnvoyFilter puts a rate limit before the router; whether it refuses is not known, and the trace says so.",
	},
	{
		files: "bookinfo/platform/kube/bookinfo-dualstack", args: toReviews,
		want:    []string{"100% Delivered reviews-v1 reviews-v2 reviews-v3"},
		because: "two address families change nothing in the choice.",
	},
	{
		files: "helloworld/helloworld helloworld/helloworld-gateway", args: "--from external http://hello.example.com/hello",
		want:    []string{"100% Delivered helloworld-v1 helloworld-v2 (assumed)"},
		because: "uri exact /hello; the Service covers both versions.",
	},
	{
		files: "helloworld/helloworld helloworld/helloworld-gateway", args: "--from external http://hello.example.com/",
		want:    []string{"100% NotRouted 404 NR NO_ROUTE (assumed)"},
		because: "only /hello is published.",
	},
	{
		files: "helloworld/helloworld helloworld/helloworld-gateway", args: "--from deployment/helloworld-v1 http://helloworld:5000/hello",
		want:    []string{"100% Delivered helloworld-v1 helloworld-v2"},
		because: "inside the mesh the Service has its default route.",
	},
	{
		files: "helloworld/helloworld-dual-stack helloworld/helloworld-gateway", args: "--from external http://hello.example.com/hello",
		want:    []string{"100% Delivered helloworld-v1 helloworld-v2 (assumed)"},
		because: "as with one address family.",
	},
	{
		files: "helloworld/helloworld helloworld/gateway-api/helloworld-gateway", args: "--from external http://hello.example.com/hello",
		want:    []string{"100% Delivered helloworld-v1 helloworld-v2"},
		because: "istiod deploys helloworld-gateway-istio for the Gateway; the HTTPRoute has an exact match for /hello and no hostname.",
	},
	{
		files: "tcp-echo/tcp-echo-services tcp-echo/gateway-api/tcp-echo-all-v1 tcp-echo/gateway-api/tcp-echo-20-v2", args: "--from external tcp://tcp.example.com:31400",
		want:    []string{"80% Delivered tcp-echo-v1", "20% Delivered tcp-echo-v2"},
		because: "istiod deploys tcp-echo-gateway-istio with port 31400; the TCPRoute splits connections 80 to 20.",
	},
	{
		files: "httpbin/httpbin httpbin/httpbin-gateway", args: "--from external http://httpbin.example.com/status/418",
		want:    []string{"100% Delivered httpbin (assumed)"},
		because: "the rule has no match: every path goes to Service port 8000, target port 8080.",
	},
	{
		files: "httpbin/httpbin httpbin/httpbin-gateway", args: "http://httpbin.example.com/status/418",
		want:    []string{"100% Delivered httpbin (assumed)"},
		because: "without --from the client is taken to be outside, as a gateway serves the host.",
	},
	{
		files: "httpbin/httpbin-nodeport httpbin/httpbin-gateway", args: "--from external http://httpbin.example.com/get",
		want:    []string{"100% Delivered httpbin (assumed)"},
		because: "a NodePort Service is routed like a ClusterIP.",
	},
	{
		files: "httpbin/httpbin httpbin/sample-client/fortio-deploy", args: "--from deployment/fortio-deploy http://httpbin:8000/get",
		want:    []string{"100% Delivered httpbin"},
		because: "the Service's default route.",
	},
	{
		files: "httpbin/httpbin httpbin/sample-client/fortio-deploy", args: "--from deployment/fortio-deploy http://httpbin:8000/get", bare: true,
		want:    []string{"100% Delivered httpbin"},
		because: "no resource of Istio and no injection label: plain Kubernetes.",
	},
	{
		files: "httpbin/httpbin httpbin/sample-client/fortio-deploy", args: "--from deployment/fortio-deploy http://httpbin:8080/get",
		want:    []string{"100% Unavailable 503 UF PORT_NOT_IN_SERVICE"},
		because: "8080 is the target port and no port of the Service. fortio's own port 8080 gives the sidecar an HTTP listener there; its catch-all passes the request to the ClusterIP, where nothing listens, and the sidecar answers 503.",
	},
	{
		files: "httpbin/httpbin httpbin/gateway-api/httpbin-gateway", args: "--from external http://httpbin.example.com/get",
		want:    []string{"100% Delivered httpbin"},
		because: "istiod deploys httpbin-gateway-istio for the Gateway; the HTTPRoute sends everything to Service port 8000, target port 8080.",
	},
}
