package protocols

import "strconv"

// Code is a number of Apple's NSURLErrorDomain. A Code is an error, so that
// errors.Is(err, protocols.TimedOut) asks for it.
type Code int

// The codes of NSURLErrorDomain. Their names are Apple's.
const (
	Unknown                                      Code = -1
	BackgroundSessionRequiresSharedContainer     Code = -995
	BackgroundSessionInUseByAnotherProcess       Code = -996
	BackgroundSessionWasDisconnected             Code = -997
	Cancelled                                    Code = -999
	BadURL                                       Code = -1000
	TimedOut                                     Code = -1001
	UnsupportedURL                               Code = -1002
	CannotFindHost                               Code = -1003
	CannotConnectToHost                          Code = -1004
	NetworkConnectionLost                        Code = -1005
	DNSLookupFailed                              Code = -1006
	HTTPTooManyRedirects                         Code = -1007
	ResourceUnavailable                          Code = -1008
	NotConnectedToInternet                       Code = -1009
	RedirectToNonExistentLocation                Code = -1010
	BadServerResponse                            Code = -1011
	UserCancelledAuthentication                  Code = -1012
	UserAuthenticationRequired                   Code = -1013
	ZeroByteResource                             Code = -1014
	CannotDecodeRawData                          Code = -1015
	CannotDecodeContentData                      Code = -1016
	CannotParseResponse                          Code = -1017
	InternationalRoamingOff                      Code = -1018
	CallIsActive                                 Code = -1019
	DataNotAllowed                               Code = -1020
	RequestBodyStreamExhausted                   Code = -1021
	AppTransportSecurityRequiresSecureConnection Code = -1022
	FileDoesNotExist                             Code = -1100
	FileIsDirectory                              Code = -1101
	NoPermissionsToReadFile                      Code = -1102
	DataLengthExceedsMaximum                     Code = -1103
	FileOutsideSafeArea                          Code = -1104
	SecureConnectionFailed                       Code = -1200
	ServerCertificateHasBadDate                  Code = -1201
	ServerCertificateUntrusted                   Code = -1202
	ServerCertificateHasUnknownRoot              Code = -1203
	ServerCertificateNotYetValid                 Code = -1204
	ClientCertificateRejected                    Code = -1205
	ClientCertificateRequired                    Code = -1206
	CannotLoadFromNetwork                        Code = -2000
	CannotCreateFile                             Code = -3000
	CannotOpenFile                               Code = -3001
	CannotCloseFile                              Code = -3002
	CannotWriteToFile                            Code = -3003
	CannotRemoveFile                             Code = -3004
	CannotMoveFile                               Code = -3005
	DownloadDecodingFailedMidStream              Code = -3006
	DownloadDecodingFailedToComplete             Code = -3007
)

var codeNames = map[Code]string{
	Unknown:                                      "unknown",
	BackgroundSessionRequiresSharedContainer:     "backgroundSessionRequiresSharedContainer",
	BackgroundSessionInUseByAnotherProcess:       "backgroundSessionInUseByAnotherProcess",
	BackgroundSessionWasDisconnected:             "backgroundSessionWasDisconnected",
	Cancelled:                                    "cancelled",
	BadURL:                                       "badURL",
	TimedOut:                                     "timedOut",
	UnsupportedURL:                               "unsupportedURL",
	CannotFindHost:                               "cannotFindHost",
	CannotConnectToHost:                          "cannotConnectToHost",
	NetworkConnectionLost:                        "networkConnectionLost",
	DNSLookupFailed:                              "dnsLookupFailed",
	HTTPTooManyRedirects:                         "httpTooManyRedirects",
	ResourceUnavailable:                          "resourceUnavailable",
	NotConnectedToInternet:                       "notConnectedToInternet",
	RedirectToNonExistentLocation:                "redirectToNonExistentLocation",
	BadServerResponse:                            "badServerResponse",
	UserCancelledAuthentication:                  "userCancelledAuthentication",
	UserAuthenticationRequired:                   "userAuthenticationRequired",
	ZeroByteResource:                             "zeroByteResource",
	CannotDecodeRawData:                          "cannotDecodeRawData",
	CannotDecodeContentData:                      "cannotDecodeContentData",
	CannotParseResponse:                          "cannotParseResponse",
	InternationalRoamingOff:                      "internationalRoamingOff",
	CallIsActive:                                 "callIsActive",
	DataNotAllowed:                               "dataNotAllowed",
	RequestBodyStreamExhausted:                   "requestBodyStreamExhausted",
	AppTransportSecurityRequiresSecureConnection: "appTransportSecurityRequiresSecureConnection",
	FileDoesNotExist:                             "fileDoesNotExist",
	FileIsDirectory:                              "fileIsDirectory",
	NoPermissionsToReadFile:                      "noPermissionsToReadFile",
	DataLengthExceedsMaximum:                     "dataLengthExceedsMaximum",
	FileOutsideSafeArea:                          "fileOutsideSafeArea",
	SecureConnectionFailed:                       "secureConnectionFailed",
	ServerCertificateHasBadDate:                  "serverCertificateHasBadDate",
	ServerCertificateUntrusted:                   "serverCertificateUntrusted",
	ServerCertificateHasUnknownRoot:              "serverCertificateHasUnknownRoot",
	ServerCertificateNotYetValid:                 "serverCertificateNotYetValid",
	ClientCertificateRejected:                    "clientCertificateRejected",
	ClientCertificateRequired:                    "clientCertificateRequired",
	CannotLoadFromNetwork:                        "cannotLoadFromNetwork",
	CannotCreateFile:                             "cannotCreateFile",
	CannotOpenFile:                               "cannotOpenFile",
	CannotCloseFile:                              "cannotCloseFile",
	CannotWriteToFile:                            "cannotWriteToFile",
	CannotRemoveFile:                             "cannotRemoveFile",
	CannotMoveFile:                               "cannotMoveFile",
	DownloadDecodingFailedMidStream:              "downloadDecodingFailedMidStream",
	DownloadDecodingFailedToComplete:             "downloadDecodingFailedToComplete",
}

// String is Apple's name of the code ("timedOut"), or "code N".
func (c Code) String() string {
	if name, ok := codeNames[c]; ok {
		return name
	}

	return "code " + strconv.Itoa(int(c))
}

// Error gives name and number: "timedOut (-1001)".
func (c Code) Error() string {
	return c.String() + " (" + strconv.Itoa(int(c)) + ")"
}

// Raw is Apple's number.
func (c Code) Raw() int { return int(c) }
