package urlsession

import (
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/storage"
)

// The types of the contract that an app meets, so that it imports one package.
type (
	// Error is the one error of a failed load.
	Error = protocols.Error
	// Code is a number of NSURLErrorDomain, and an error.
	Code = protocols.Code
	// Request is a URL load request.
	Request = protocols.Request
	// Body is the body of a request.
	Body = protocols.Body
	// Challenge is a question for a credential.
	Challenge = protocols.Challenge
	// ProtectionSpace is where a credential is good.
	ProtectionSpace = protocols.ProtectionSpace
	// Credential is a user and password, a token or a certificate.
	Credential = protocols.Credential
	// Negotiator makes the tokens of MethodNegotiate.
	Negotiator = protocols.Negotiator
	// SecurityContext is one authentication of a Negotiator's in the making.
	SecurityContext = protocols.SecurityContext
	// Disposition is the answer to a challenge.
	Disposition = protocols.Disposition
	// ConnInfo are facts of a connection.
	ConnInfo = protocols.ConnInfo
	// AuthenticationMethod is how a protection space is to be entered.
	AuthenticationMethod = protocols.AuthenticationMethod
	// Persistence says how long a credential is kept.
	Persistence = protocols.Persistence
	// CachePolicy says how a load may use the cache.
	CachePolicy = protocols.CachePolicy
	// CacheStoragePolicy says whether, and where, a response may be stored.
	CacheStoragePolicy = protocols.CacheStoragePolicy
	// NetworkServiceType hints at the kind of traffic.
	NetworkServiceType = protocols.NetworkServiceType
	// Attribution says on whose behalf a request is made.
	Attribution = protocols.Attribution
	// CookieAcceptPolicy says whose cookies are stored.
	CookieAcceptPolicy = storage.CookieAcceptPolicy
)

// The ways into a protection space.
const (
	MethodDefault           = protocols.MethodDefault
	MethodHTTPBasic         = protocols.MethodHTTPBasic
	MethodHTTPDigest        = protocols.MethodHTTPDigest
	MethodHTTPBearer        = protocols.MethodHTTPBearer
	MethodHTMLForm          = protocols.MethodHTMLForm
	MethodNTLM              = protocols.MethodNTLM
	MethodNegotiate         = protocols.MethodNegotiate
	MethodClientCertificate = protocols.MethodClientCertificate
	MethodServerTrust       = protocols.MethodServerTrust
)

// How long a credential is kept.
const (
	PersistenceNone       = protocols.PersistenceNone
	PersistenceForSession = protocols.PersistenceForSession
	PersistencePermanent  = protocols.PersistencePermanent
)

// How a load may use the cache.
const (
	UseProtocolCachePolicy            = protocols.UseProtocolCachePolicy
	ReloadIgnoringLocalCache          = protocols.ReloadIgnoringLocalCache
	ReloadIgnoringLocalAndRemoteCache = protocols.ReloadIgnoringLocalAndRemoteCache
	ReturnCacheElseLoad               = protocols.ReturnCacheElseLoad
	ReturnCacheDontLoad               = protocols.ReturnCacheDontLoad
	ReloadRevalidatingCache           = protocols.ReloadRevalidatingCache
)

// Whether a response may be stored.
const (
	StorageNotAllowed          = protocols.StorageNotAllowed
	StorageAllowed             = protocols.StorageAllowed
	StorageAllowedInMemoryOnly = protocols.StorageAllowedInMemoryOnly
)

// The kinds of traffic.
const (
	ServiceDefault        = protocols.ServiceDefault
	ServiceVoIP           = protocols.ServiceVoIP
	ServiceVideo          = protocols.ServiceVideo
	ServiceBackground     = protocols.ServiceBackground
	ServiceVoice          = protocols.ServiceVoice
	ServiceResponsiveData = protocols.ServiceResponsiveData
	ServiceAVStreaming    = protocols.ServiceAVStreaming
	ServiceResponsiveAV   = protocols.ServiceResponsiveAV
	ServiceCallSignaling  = protocols.ServiceCallSignaling
)

// On whose behalf a request is made.
const (
	AttributionDeveloper = protocols.AttributionDeveloper
	AttributionUser      = protocols.AttributionUser
)

// Whose cookies are stored.
const (
	AcceptFromMainDocumentDomain = storage.AcceptFromMainDocumentDomain
	AcceptAlways                 = storage.AcceptAlways
	AcceptNever                  = storage.AcceptNever
)

// The answers to a challenge.
const (
	PerformDefaultHandling        = protocols.PerformDefaultHandling
	UseCredential                 = protocols.UseCredential
	CancelAuthenticationChallenge = protocols.CancelAuthenticationChallenge
	RejectProtectionSpace         = protocols.RejectProtectionSpace
)

// The codes of NSURLErrorDomain.
const (
	Unknown                                      = protocols.Unknown
	BackgroundSessionRequiresSharedContainer     = protocols.BackgroundSessionRequiresSharedContainer
	BackgroundSessionInUseByAnotherProcess       = protocols.BackgroundSessionInUseByAnotherProcess
	BackgroundSessionWasDisconnected             = protocols.BackgroundSessionWasDisconnected
	Cancelled                                    = protocols.Cancelled
	BadURL                                       = protocols.BadURL
	TimedOut                                     = protocols.TimedOut
	UnsupportedURL                               = protocols.UnsupportedURL
	CannotFindHost                               = protocols.CannotFindHost
	CannotConnectToHost                          = protocols.CannotConnectToHost
	NetworkConnectionLost                        = protocols.NetworkConnectionLost
	DNSLookupFailed                              = protocols.DNSLookupFailed
	HTTPTooManyRedirects                         = protocols.HTTPTooManyRedirects
	ResourceUnavailable                          = protocols.ResourceUnavailable
	NotConnectedToInternet                       = protocols.NotConnectedToInternet
	RedirectToNonExistentLocation                = protocols.RedirectToNonExistentLocation
	BadServerResponse                            = protocols.BadServerResponse
	UserCancelledAuthentication                  = protocols.UserCancelledAuthentication
	UserAuthenticationRequired                   = protocols.UserAuthenticationRequired
	ZeroByteResource                             = protocols.ZeroByteResource
	CannotDecodeRawData                          = protocols.CannotDecodeRawData
	CannotDecodeContentData                      = protocols.CannotDecodeContentData
	CannotParseResponse                          = protocols.CannotParseResponse
	InternationalRoamingOff                      = protocols.InternationalRoamingOff
	CallIsActive                                 = protocols.CallIsActive
	DataNotAllowed                               = protocols.DataNotAllowed
	RequestBodyStreamExhausted                   = protocols.RequestBodyStreamExhausted
	AppTransportSecurityRequiresSecureConnection = protocols.AppTransportSecurityRequiresSecureConnection
	FileDoesNotExist                             = protocols.FileDoesNotExist
	FileIsDirectory                              = protocols.FileIsDirectory
	NoPermissionsToReadFile                      = protocols.NoPermissionsToReadFile
	DataLengthExceedsMaximum                     = protocols.DataLengthExceedsMaximum
	FileOutsideSafeArea                          = protocols.FileOutsideSafeArea
	SecureConnectionFailed                       = protocols.SecureConnectionFailed
	ServerCertificateHasBadDate                  = protocols.ServerCertificateHasBadDate
	ServerCertificateUntrusted                   = protocols.ServerCertificateUntrusted
	ServerCertificateHasUnknownRoot              = protocols.ServerCertificateHasUnknownRoot
	ServerCertificateNotYetValid                 = protocols.ServerCertificateNotYetValid
	ClientCertificateRejected                    = protocols.ClientCertificateRejected
	ClientCertificateRequired                    = protocols.ClientCertificateRequired
	CannotLoadFromNetwork                        = protocols.CannotLoadFromNetwork
	CannotCreateFile                             = protocols.CannotCreateFile
	CannotOpenFile                               = protocols.CannotOpenFile
	CannotCloseFile                              = protocols.CannotCloseFile
	CannotWriteToFile                            = protocols.CannotWriteToFile
	CannotRemoveFile                             = protocols.CannotRemoveFile
	CannotMoveFile                               = protocols.CannotMoveFile
	DownloadDecodingFailedMidStream              = protocols.DownloadDecodingFailedMidStream
	DownloadDecodingFailedToComplete             = protocols.DownloadDecodingFailedToComplete
)

// NewRequest makes a request from a method ("" is GET), a URL and a body (nil
// for none). A URL that cannot be parsed or has no scheme is BadURL.
func NewRequest(method, url string, body *Body) (*Request, error) {
	return protocols.NewRequest(method, url, body)
}
