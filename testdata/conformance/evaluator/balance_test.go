package evaluator

import (
	"fmt"
	"strings"
	"testing"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
)

// assignment has a locality for each word: priority, weight (0 for none), healthy and all hosts.
func assignment(words string) string {
	var localities []string
	for i, w := range strings.Fields(words) {
		var priority, weight, healthy, all int
		_, _ = fmt.Sscanf(w, "P%d:w%d:%d/%d", &priority, &weight, &healthy, &all)
		var hosts []string
		for n := range all {
			status := "UNHEALTHY"
			if n < healthy {
				status = "HEALTHY"
			}
			hosts = append(hosts, fmt.Sprintf("{health_status: %s, endpoint: {address: {socket_address: {address: 10.0.%d.%d, port_value: 80}}}}", status, i, n))
		}
		more := ""
		if weight > 0 {
			more = fmt.Sprintf(", load_balancing_weight: %d", weight)
		}
		localities = append(localities, fmt.Sprintf("{priority: %d%s, lb_endpoints: [%s]}", priority, more, strings.Join(hosts, ", ")))
	}
	return "{endpoints: [" + strings.Join(localities, ", ") + "]}"
}

// Sources, below docs + "intro/arch_overview/upstream/load_balancing/": priority (the tables with two and with three
// levels), panic_threshold (its tables), locality_weight (its table).
func TestSharesOfLocalities(t *testing.T) {
	const weighted = "locality_weighted_lb_config: {}"
	for _, row := range []struct{ says, hosts, config, want string }{
		{"priority: all are healthy", "P0:w0:10/10 P1:w0:10/10", "", "100 0"},
		{"priority: 72 of 100", "P0:w0:72/100 P1:w0:100/100", "", "100 0"},
		{"priority: 71 of 100", "P0:w0:71/100 P1:w0:100/100", "", "99 1"},
		{"priority: 50 of 100", "P0:w0:50/100 P1:w0:100/100", "", "70 30"},
		{"priority: 25 of 100", "P0:w0:25/100 P1:w0:100/100", "", "35 65"},
		{"priority: none", "P0:w0:0/100 P1:w0:100/100", "", "0 100"},
		{"priority: both low, 25 and 25", "P0:w0:25/100 P1:w0:25/100", "healthy_panic_threshold: {value: 0}", "50 50"},
		{"priority: three levels", "P0:w0:25/100 P1:w0:25/100 P2:w0:100/100", "", "35 35 30"},
		{"priority: three levels, all low", "P0:w0:25/100 P1:w0:25/100 P2:w0:20/100", "healthy_panic_threshold: {value: 0}", "37 35 28"},
		{"priority: three levels, the last is not needed", "P0:w0:50/100 P1:w0:50/100 P2:w0:100/100", "", "70 30 0"},
		{"priority: what whole percents leave over goes to the first that is healthy", "P0:w0:0/100 P1:w0:20/100 P2:w0:20/100 P3:w0:20/100", "healthy_panic_threshold: {value: 0}", "0 34 33 33"},
		{"panic: as long as another priority has enough there is none", "P0:w0:10/100 P1:w0:100/100", "", "14 86"},
		{"panic: one priority is, and takes its unhealthy hosts too", "P0:w0:5/100 P1:w0:65/100", "", "8 92"},
		{"panic: all priorities are, their hosts count", "P0:w0:0/2 P1:w0:0/8", "", "20 80"},
		{"panic: never with a threshold of 0", "P0:w0:0/2 P1:w0:0/8", "healthy_panic_threshold: {value: 0}", "0 0"},
		{"hosts alone count without locality weights", "P0:w3:1/1 P0:w1:3/3", "", "25 75"},
		{"locality: 100 percent", "P0:w1:100/100 P0:w2:100/100", weighted, "33 67"},
		{"locality: 70 percent", "P0:w1:70/100 P0:w2:100/100", weighted, "33 67"},
		{"locality: 69 percent", "P0:w1:69/100 P0:w2:100/100", weighted, "33 67"},
		{"locality: 50 percent", "P0:w1:50/100 P0:w2:100/100", weighted, "26 74"},
		{"locality: 25 percent", "P0:w1:25/100 P0:w2:100/100", weighted, "15 85"},
		{"locality: none", "P0:w1:0/100 P0:w2:100/100", weighted, "0 100"},
		{"locality: without a weight", "P0:w0:1/1 P0:w2:1/1", weighted, "0 100"},
	} {
		t.Run(row.says, func(t *testing.T) {
			c := xds(t, "{type: STATIC, load_assignment: "+assignment(row.hosts)+", common_lb_config: {"+row.config+"}}", &cluster.Cluster{})
			targets, why := (&walk{}).targets(&visit{}, c)
			if why != "" {
				t.Fatal(why)
			}
			shares := make([]float64, len(strings.Fields(row.hosts)))
			for _, target := range targets {
				shares[target.address.Addr().As4()[2]] += 100 * target.part
			}
			var got []string
			for _, s := range shares {
				got = append(got, fmt.Sprintf("%.0f", s))
			}
			if strings.Join(got, " ") != row.want {
				t.Errorf("%v, not %s", got, row.want)
			}
		})
	}
}
