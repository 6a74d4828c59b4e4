package cmd

import (
	"errors"
	"flag"
	"io"
	"os"
	"strconv"

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
