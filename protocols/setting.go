package protocols

// CachePolicy says how a load may use the cache (Apple's
// URLRequest.CachePolicy). The zero value is Apple's default.
type CachePolicy uint8

const (
	// UseProtocolCachePolicy follows the rules of the scheme; for HTTP RFC 9111.
	UseProtocolCachePolicy CachePolicy = iota
	// ReloadIgnoringLocalCache always loads.
	ReloadIgnoringLocalCache
	// ReloadIgnoringLocalAndRemoteCache also asks caches on the way to stand aside.
	ReloadIgnoringLocalAndRemoteCache
	// ReturnCacheElseLoad returns a stored response of any age, else loads.
	ReturnCacheElseLoad
	// ReturnCacheDontLoad returns a stored response of any age, else fails (-1008).
	ReturnCacheDontLoad
	// ReloadRevalidatingCache validates a stored response before using it.
	ReloadRevalidatingCache
)

// Raw is Apple's number for the policy.
func (p CachePolicy) Raw() int {
	return rawNumber(p, []int{0, 1, 4, 2, 3, 5})
}

// NetworkServiceType hints at the kind of traffic (Apple's
// URLRequest.NetworkServiceType). The zero value is the default.
type NetworkServiceType uint8

const (
	// ServiceDefault is ordinary traffic.
	ServiceDefault NetworkServiceType = iota
	// ServiceVoIP is voice-over-IP control traffic.
	ServiceVoIP
	// ServiceVideo is interactive video.
	ServiceVideo
	// ServiceBackground is traffic that nobody waits for.
	ServiceBackground
	// ServiceVoice is interactive voice.
	ServiceVoice
	// ServiceResponsiveData is traffic that a person waits for.
	ServiceResponsiveData
	// ServiceAVStreaming is streamed audio and video.
	ServiceAVStreaming
	// ServiceResponsiveAV is responsive audio and video.
	ServiceResponsiveAV
	// ServiceCallSignaling is call signalling.
	ServiceCallSignaling
)

// Raw is Apple's number for the service type.
func (t NetworkServiceType) Raw() int {
	return rawNumber(t, []int{0, 1, 2, 3, 4, 6, 8, 9, 11})
}

// Attribution says on whose behalf a request is made (Apple's
// URLRequest.Attribution). It is kept with the request and has no effect.
type Attribution uint8

const (
	// AttributionDeveloper is the default: the app's developer.
	AttributionDeveloper Attribution = iota
	// AttributionUser: the person using the app.
	AttributionUser
)

// Raw is Apple's number for the attribution.
func (a Attribution) Raw() int { return int(a) }

// CacheStoragePolicy says whether a response may be stored by a cache (Apple's
// URLCache.StoragePolicy). The zero value is the safe one: not allowed.
type CacheStoragePolicy uint8

const (
	// StorageNotAllowed: not stored.
	StorageNotAllowed CacheStoragePolicy = iota
	// StorageAllowed: stored in memory and on disk.
	StorageAllowed
	// StorageAllowedInMemoryOnly: never written to disk.
	StorageAllowedInMemoryOnly
)

// Raw is Apple's number for the policy.
func (p CacheStoragePolicy) Raw() int {
	return rawNumber(p, []int{2, 0, 1})
}

// rawNumber is Apple's number of an enumeration's value; -1 for one it lacks.
func rawNumber[T ~uint8](v T, numbers []int) int {
	if int(v) >= len(numbers) {
		return -1
	}

	return numbers[v]
}
