package resolve

import "slices"

// hostPlaces finds the places in a list of what names a host, without asking each of the list.
type hostPlaces struct {
	exact     map[string][]int
	wildcards []wildcardPlace
}

type wildcardPlace struct {
	host  string
	place int
}

func newHostPlaces() *hostPlaces { return &hostPlaces{exact: map[string][]int{}} }

// add takes down that the place names the host.
func (p *hostPlaces) add(host string, place int) {
	if IsWildcardHost(host) {
		p.wildcards = append(p.wildcards, wildcardPlace{host, place})
		return
	}
	p.exact[host] = append(p.exact[host], place)
}

// find returns the places, each once and in order, that name one of the hosts, or a wildcard that takes it.
func (p *hostPlaces) find(takes func(wildcard, host string) bool, hosts ...string) []int {
	var places []int
	for _, host := range hosts {
		places = append(places, p.exact[host]...)
		for _, w := range p.wildcards {
			if takes(w.host, host) {
				places = append(places, w.place)
			}
		}
	}
	slices.Sort(places)
	return slices.Compact(places)
}

// standsFor reports whether the wildcard stands for all that the host stands for.
func standsFor(wildcard, host string) bool { return HostSubsetOf(host, wildcard) }
