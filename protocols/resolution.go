package protocols

// DomainResolutionProtocol is how a name was looked up (Apple's
// URLSessionTaskMetrics.DomainResolutionProtocol). The zero value: nobody tells.
type DomainResolutionProtocol uint8

const (
	// ResolutionUnknown: no name was looked up, or by a resolver that does not tell, as
	// that of the system.
	ResolutionUnknown DomainResolutionProtocol = iota
	// ResolutionUDP: by DNS over UDP (RFC 1035).
	ResolutionUDP
	// ResolutionTCP: by DNS over TCP (RFC 7766).
	ResolutionTCP
	// ResolutionTLS: by DNS over TLS (RFC 7858).
	ResolutionTLS
	// ResolutionHTTPS: by DNS over HTTPS (RFC 8484).
	ResolutionHTTPS
)

var resolutionNames = [...]string{"", "udp", "tcp", "tls", "https"}

// Raw is Apple's number for the protocol.
func (p DomainResolutionProtocol) Raw() int { return int(p) }

// String is Apple's name ("https"); "" for ResolutionUnknown.
func (p DomainResolutionProtocol) String() string {
	if int(p) >= len(resolutionNames) {
		return ""
	}

	return resolutionNames[p]
}

// SetResolution records how the name was looked up. The last word counts; after
// Complete nothing is recorded.
func (t *Trace) SetResolution(p DomainResolutionProtocol) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.complete {
		t.resolution = p
	}
}

// Resolution is what SetResolution recorded; ResolutionUnknown: nothing was.
func (t *Trace) Resolution() DomainResolutionProtocol {
	if t == nil {
		return ResolutionUnknown
	}
	t.mu.Lock()
	defer t.mu.Unlock()

	return t.resolution
}
