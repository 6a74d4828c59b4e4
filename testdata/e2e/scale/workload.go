package scale

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// workloadSpecs are what a ReplicaSet, current and former, says of the pods it makes: the pod without what the API server,
// the scheduler, the kubelet and Istio's injector have added.
func workloadSpecs() (current, former string, err error) {
	text, err := files.ReadFile("templates/pod.yaml")
	if err != nil {
		return "", "", err
	}
	pod := map[string]any{}
	if err := yaml.Unmarshal(text, &pod); err != nil {
		return "", "", err
	}
	u := unstructured.Unstructured{Object: pod}
	labels, annotations := u.GetLabels(), u.GetAnnotations()
	for _, own := range []map[string]string{labels, annotations} {
		maps.DeleteFunc(own, func(name, _ string) bool { return strings.Contains(name, "istio.io/") })
	}
	spec, _, err := unstructured.NestedMap(pod, "spec")
	if err != nil {
		return "", "", err
	}
	for _, name := range []string{"initContainers", "nodeName", "priority", "preemptionPolicy", "tolerations"} {
		delete(spec, name)
	}
	volumes, _, err := unstructured.NestedSlice(spec, "volumes")
	if err != nil {
		return "", "", err
	}
	spec["volumes"] = slices.DeleteFunc(volumes, func(v any) bool {
		name, _, _ := unstructured.NestedString(v.(map[string]any), "name")
		return name != "settings" && name != "scratch"
	})
	write := func(count any, hash string) (string, error) {
		labels["pod-template-hash"] = hash
		text, err := json.Marshal(map[string]any{
			"replicas": count, "minReadySeconds": 5,
			"selector": map[string]any{"matchLabels": map[string]any{"app": "$NAME", "pod-template-hash": hash}},
			"template": map[string]any{"metadata": map[string]any{"labels": labels, "annotations": annotations}, "spec": spec},
		})
		return string(text), err
	}
	if current, err = write("$COUNT", "7d9f6b5c4"); err != nil {
		return "", "", err
	}
	former, err = write(0, "6c8d5f9b7")
	return current, former, err
}
