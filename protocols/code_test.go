package protocols_test

import (
	"fmt"
	"testing"

	"github.com/urlkit/urlkit/protocols"
)

// The whole of NSURLErrorDomain, by Apple's numbers and names.
var codes = map[int]string{
	-1: "unknown", -995: "backgroundSessionRequiresSharedContainer", -996: "backgroundSessionInUseByAnotherProcess",
	-997: "backgroundSessionWasDisconnected", -999: "cancelled", -1000: "badURL", -1001: "timedOut", -1002: "unsupportedURL",
	-1003: "cannotFindHost", -1004: "cannotConnectToHost", -1005: "networkConnectionLost", -1006: "dnsLookupFailed",
	-1007: "httpTooManyRedirects", -1008: "resourceUnavailable", -1009: "notConnectedToInternet",
	-1010: "redirectToNonExistentLocation", -1011: "badServerResponse", -1012: "userCancelledAuthentication",
	-1013: "userAuthenticationRequired", -1014: "zeroByteResource", -1015: "cannotDecodeRawData",
	-1016: "cannotDecodeContentData", -1017: "cannotParseResponse", -1018: "internationalRoamingOff", -1019: "callIsActive",
	-1020: "dataNotAllowed", -1021: "requestBodyStreamExhausted", -1022: "appTransportSecurityRequiresSecureConnection",
	-1100: "fileDoesNotExist", -1101: "fileIsDirectory", -1102: "noPermissionsToReadFile", -1103: "dataLengthExceedsMaximum",
	-1104: "fileOutsideSafeArea", -1200: "secureConnectionFailed", -1201: "serverCertificateHasBadDate",
	-1202: "serverCertificateUntrusted", -1203: "serverCertificateHasUnknownRoot", -1204: "serverCertificateNotYetValid",
	-1205: "clientCertificateRejected", -1206: "clientCertificateRequired", -2000: "cannotLoadFromNetwork",
	-3000: "cannotCreateFile", -3001: "cannotOpenFile", -3002: "cannotCloseFile", -3003: "cannotWriteToFile",
	-3004: "cannotRemoveFile", -3005: "cannotMoveFile", -3006: "downloadDecodingFailedMidStream",
	-3007: "downloadDecodingFailedToComplete",
}

func TestCodes(t *testing.T) {
	for number := -4000; number <= 0; number++ {
		c := protocols.Code(number)
		name, listed := codes[number]
		if !listed {
			name = fmt.Sprintf("code %d", number)
		}
		if c.String() != name || c.Error() != fmt.Sprintf("%s (%d)", name, number) || c.Raw() != number {
			t.Errorf("%d: %q, %q, %d; want %q", number, c.String(), c.Error(), c.Raw(), name)
		}
	}
	// The constants whose numbers are easily mistaken.
	for c, number := range map[protocols.Code]int{
		protocols.Unknown: -1, protocols.Cancelled: -999, protocols.TimedOut: -1001, protocols.UnsupportedURL: -1002,
		protocols.NetworkConnectionLost: -1005, protocols.AppTransportSecurityRequiresSecureConnection: -1022,
		protocols.FileDoesNotExist: -1100, protocols.SecureConnectionFailed: -1200, protocols.ServerCertificateHasBadDate: -1201,
		protocols.ServerCertificateUntrusted: -1202, protocols.ServerCertificateHasUnknownRoot: -1203,
		protocols.ServerCertificateNotYetValid: -1204, protocols.ClientCertificateRejected: -1205,
		protocols.ClientCertificateRequired: -1206, protocols.DownloadDecodingFailedToComplete: -3007,
	} {
		if c.Raw() != number {
			t.Errorf("%v is not %d", c, number)
		}
	}
}

// Apple's numbers of the enumerations, and -1 for a value that Apple lacks.
func TestRawNumbers(t *testing.T) {
	tests := []struct {
		name string
		raw  func(uint8) int
		want []int
	}{
		{"CachePolicy", func(v uint8) int { return protocols.CachePolicy(v).Raw() }, []int{0, 1, 4, 2, 3, 5, -1}},
		{"NetworkServiceType", func(v uint8) int { return protocols.NetworkServiceType(v).Raw() }, []int{0, 1, 2, 3, 4, 6, 8, 9, 11, -1}},
		{"CacheStoragePolicy", func(v uint8) int { return protocols.CacheStoragePolicy(v).Raw() }, []int{2, 0, 1, -1}},
		{"Disposition", func(v uint8) int { return protocols.Disposition(v).Raw() }, []int{1, 0, 2, 3, -1}},
		{"DomainResolutionProtocol", func(v uint8) int { return protocols.DomainResolutionProtocol(v).Raw() }, []int{0, 1, 2, 3, 4}},
		{"Attribution", func(v uint8) int { return protocols.Attribution(v).Raw() }, []int{0, 1}},
		{"Persistence", func(v uint8) int { return protocols.Persistence(v).Raw() }, []int{0, 1, 2}},
	}
	for _, test := range tests {
		for v, want := range test.want {
			if got := test.raw(uint8(v)); got != want {
				t.Errorf("%s %d: %d, want %d", test.name, v, got, want)
			}
		}
	}
}

func TestNames(t *testing.T) {
	tests := map[fmt.Stringer]string{
		protocols.Cleartext: "cleartext", protocols.Encrypted: "encrypted", protocols.Upgrades: "upgrades",
		protocols.Local: "local", protocols.Security(9): "security(9)",
		protocols.MethodDefault: "Default", protocols.MethodHTTPBasic: "HTTPBasic", protocols.MethodNTLM: "NTLM",
		protocols.MethodServerTrust: "ServerTrust", protocols.AuthenticationMethod(99): "AuthenticationMethod(99)",
	}
	for value, want := range tests {
		if value.String() != want {
			t.Errorf("%q, want %q", value.String(), want)
		}
	}
}
