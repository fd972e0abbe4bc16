package cookie

import (
	"strings"
	"sync"

	"golang.org/x/net/publicsuffix"
)

// maxSites bounds the hosts whose sites are remembered.
const maxSites = 1024

// sites remembers the sites of hosts: looking one up costs more than the cookies
// do, and makes garbage.
var sites siteCache

type siteCache struct {
	mu    sync.RWMutex
	known map[string]string
}

// of is the registrable domain of a host; the host itself where it has none (an IP
// address, a single label, a public suffix).
func (c *siteCache) of(host string) string {
	c.mu.RLock()
	site, ok := c.known[host]
	c.mu.RUnlock()
	if ok {
		return site
	}
	const longestName = 255 // RFC 1035 §2.3.4
	if len(host) > longestName {
		return siteOf(host)
	}
	host = strings.Clone(host) // not the whole URL that it is a part of
	site = siteOf(host)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known) >= maxSites {
		c.known = make(map[string]string)
	}
	c.known[host] = site

	return site
}

func siteOf(host string) string {
	if !isASCII(host) || isIP(host) {
		return host
	}
	site, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err != nil {
		return host
	}

	return site
}
