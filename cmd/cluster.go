package cmd

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/printers"

	// Credentials of cloud providers and of exec plugins, as kubectl knows them.
	_ "k8s.io/client-go/plugin/pkg/client/auth"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/klog/v2"
)

// errNoKubeconfig stands in place of an attempt to reach localhost:8080, which
// is what client-go makes of no configuration at all.
var errNoKubeconfig = errors.New("no kubeconfig names a cluster")

// restConfig is the client configuration of kubectl's flags and kubeconfig.
// Warnings of the API server go to errOut, each once.
func restConfig(flags *genericclioptions.ConfigFlags, errOut io.Writer) (*rest.Config, error) {
	raw, err := flags.ToRawKubeConfigLoader().RawConfig()
	if err != nil {
		return nil, err
	}
	inCluster := os.Getenv("KUBERNETES_SERVICE_HOST") != "" || os.Getenv("KUBERNETES_MASTER") != ""
	if api.IsConfigEmpty(&raw) && *flags.APIServer == "" && !inCluster {
		return nil, errNoKubeconfig
	}
	if *flags.APIServer == "" && *flags.ClusterName == "" && !inCluster {
		if err := namesCluster(&raw, *flags.Context); err != nil {
			return nil, err
		}
	}
	config, err := flags.ToRESTConfig()
	if err != nil {
		return nil, err
	}
	config.WarningHandler = rest.NewWarningWriter(errOut, rest.WarningWriterOptions{
		Deduplicate: true,
		Color:       printers.AllowsColorOutput(errOut),
	})
	return config, nil
}

// namesCluster holds that the context leads to a cluster: client-go would try localhost:8080 where it does not.
func namesCluster(config *api.Config, context string) error {
	context = cmp.Or(context, config.CurrentContext)
	if context == "" {
		return fmt.Errorf("no cluster to read: the kubeconfig has no current context; choose one of its contexts with --context (%s)",
			strings.Join(slices.Sorted(maps.Keys(config.Contexts)), ", "))
	}
	chosen, ok := config.Contexts[context]
	if !ok {
		return nil // which client-go reports
	}
	if _, ok := config.Clusters[chosen.Cluster]; !ok {
		return fmt.Errorf("no cluster to read: context %q names the cluster %q, which the kubeconfig does not have", context, chosen.Cluster)
	}
	return nil
}

// setLogLevel lets client-go's log through from level 1 on; at level 0 it is
// silent, as its messages repeat in other words what exit.go says.
func setLogLevel(level int) {
	fs := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(fs)
	threshold := "FATAL"
	if level > 0 {
		threshold = "INFO"
	}
	for _, setting := range [][2]string{
		{"v", strconv.Itoa(level)},
		// Without this, the threshold has no effect on stderr.
		{"legacy_stderr_threshold_behavior", "false"},
		{"stderrthreshold", threshold},
	} {
		// The names and values are klog's own: Set can not fail.
		_ = fs.Set(setting[0], setting[1])
	}
}
