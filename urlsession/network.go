package urlsession

import (
	"github.com/urlkit/urlkit/path"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/proxy"
)

// NetworkUnavailableReason says why a path to the network was not used.
type NetworkUnavailableReason = protocols.NetworkUnavailableReason

// Why a path to the network was not used.
const (
	UnavailableNone        = protocols.UnavailableNone
	UnavailableCellular    = protocols.UnavailableCellular
	UnavailableExpensive   = protocols.UnavailableExpensive
	UnavailableConstrained = protocols.UnavailableConstrained
)

// DomainResolutionProtocol is how a name was looked up.
type DomainResolutionProtocol = protocols.DomainResolutionProtocol

// How a name was looked up.
const (
	ResolutionUnknown = protocols.ResolutionUnknown
	ResolutionUDP     = protocols.ResolutionUDP
	ResolutionTCP     = protocols.ResolutionTCP
	ResolutionTLS     = protocols.ResolutionTLS
	ResolutionHTTPS   = protocols.ResolutionHTTPS
)

// cachedResolver is the Resolver with a cache.
func (c *Configuration) cachedResolver() proxy.Resolver {
	if cache, ok := c.Resolver.(*proxy.Cache); ok {
		return cache
	}

	return &proxy.Cache{Resolver: c.Resolver}
}

// monitor is the PathMonitor with its default.
func (c *Configuration) monitor() path.Monitor {
	if c.PathMonitor == nil {
		return path.System()
	}

	return c.PathMonitor
}
