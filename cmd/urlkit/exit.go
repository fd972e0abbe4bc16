package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"

	"github.com/urlkit/urlkit/urlsession"
)

// The exit statuses. They are curl's where curl has the thing.
const (
	exitScheme      = 1
	exitUsage       = 2
	exitURL         = 3
	exitHost        = 6
	exitConnect     = 7
	exitReply       = 8
	exitPartial     = 18
	exitStatus      = 22
	exitWrite       = 23
	exitRead        = 26
	exitTime        = 28
	exitTLS         = 35
	exitFile        = 37
	exitCancelled   = 42
	exitRedirects   = 47
	exitNoReply     = 52
	exitSend        = 55
	exitReceive     = 56
	exitCertificate = 58
	exitPeer        = 60
	exitCoding      = 61
	exitSize        = 63
	exitRewind      = 65
	exitLogin       = 67
	exitCA          = 77
	exitAsked       = 98
	exitPolicy      = 120
	exitOther       = 121
)

// statuses are what help says about them.
var statuses = []struct {
	status  int
	meaning string
}{
	{0, "all URLs were loaded; without --fail whatever their HTTP status"},
	{exitScheme, "no protocol takes the URL's scheme, or a redirect led to one that may not"},
	{exitUsage, "wrong flags or arguments, or a policy that contradicts itself"},
	{exitURL, "the URL is malformed"},
	{exitHost, "the host's name could not be resolved"},
	{exitConnect, "no connection to the host"},
	{exitReply, "the server's reply could not be understood"},
	{exitPartial, "the body ended before it was whole; no file is left"},
	{exitStatus, "the HTTP status was 400 or more, and --fail was given"},
	{exitWrite, "the body could not be written to its file or to standard output"},
	{exitRead, "what was to be sent could not be read"},
	{exitTime, "a time-out"},
	{exitTLS, "TLS could not be agreed on"},
	{exitFile, "the file of a file: URL could not be read"},
	{exitCancelled, "cancelled"},
	{exitRedirects, "too many redirects, or one that leads nowhere"},
	{exitNoReply, "the server closed the connection without a reply"},
	{exitSend, "the request could not be sent"},
	{exitReceive, "the connection broke while the response came"},
	{exitCertificate, "the client certificate or its key could not be used (--cert, --key)"},
	{exitPeer, "the server's certificate is not trusted"},
	{exitCoding, "the body could not be decoded"},
	{exitSize, "more data than is allowed"},
	{exitRewind, "a body that can be sent once only was to be sent again"},
	{exitLogin, "the server wants a login"},
	{exitCA, "the authorities of --cacert could not be read"},
	{exitAsked, "the server wants a client certificate, or refused the one it got"},
	{exitPolicy, "refused by App Transport Security (urlkit's own number)"},
	{exitOther, "any other failure (urlkit's own number)"},
	{128 + int(syscall.SIGINT), "interrupted by SIGINT; 143 by SIGTERM; no new file is left"},
}

// exitHelp is the list of the statuses, for help.
func exitHelp() string {
	var b strings.Builder
	b.WriteString("Exit status (curl's numbers, where curl has the thing):\n")
	for _, s := range statuses {
		fmt.Fprintf(&b, "  %3d  %s\n", s.status, s.meaning)
	}

	return b.String()
}

// failure is an error with a status of its own: what went wrong on this side, and
// what is an error for this command only.
type failure struct {
	status int
	err    error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// failed makes a failure; format may use %w.
func failed(status int, format string, args ...any) error {
	return &failure{status, fmt.Errorf(format, args...)}
}

// reported says that all failures were printed already.
type reported struct{ status int }

func (r *reported) Error() string { return fmt.Sprintf("exit status %d", r.status) }

// statusError is a response that --fail makes an error of.
func statusError(code int) error {
	return failed(exitStatus, "the server answered %d %s", code, http.StatusText(code))
}

// exitOf is the exit status for the outcome of one URL, or of the command.
func exitOf(err error) int {
	var (
		f *failure
		r *reported
		i *interruption
		e *urlsession.Error
	)
	switch {
	case err == nil:
		return 0
	case errors.As(err, &r):
		return r.status
	case errors.As(err, &i):
		return i.status()
	case errors.As(err, &f):
		return f.status
	case errors.As(err, &e):
		return exitOfCode(e)
	case errors.Is(err, context.Canceled):
		return exitCancelled
	default:
		return exitOther
	}
}

func exitOfCode(e *urlsession.Error) int {
	switch e.Code {
	case urlsession.NetworkConnectionLost:
		return exitOfLoss(e)
	case urlsession.FileDoesNotExist, urlsession.NoPermissionsToReadFile, urlsession.FileIsDirectory:
		if strings.HasPrefix(e.URL, "file:") {
			return exitFile
		}

		return exitWrite // nothing else here is about files
	}
	if status, ok := exitOfCodes[e.Code]; ok {
		return status
	}

	return exitOther
}

// exitOfLoss tells apart what curl tells apart.
func exitOfLoss(e *urlsession.Error) int {
	end := errors.Is(e, io.EOF) || errors.Is(e, io.ErrUnexpectedEOF)
	switch {
	case e.Phase == "body" && errors.Is(e, io.ErrUnexpectedEOF):
		return exitPartial
	case e.Phase != "body" && end:
		return exitNoReply
	case errors.Is(e, syscall.EPIPE), errors.Is(e, os.ErrClosed):
		return exitSend
	default:
		return exitReceive
	}
}

var exitOfCodes = map[urlsession.Code]int{
	urlsession.Cancelled:                       exitCancelled,
	urlsession.BadURL:                          exitURL,
	urlsession.TimedOut:                        exitTime,
	urlsession.UnsupportedURL:                  exitScheme,
	urlsession.CannotFindHost:                  exitHost,
	urlsession.DNSLookupFailed:                 exitHost,
	urlsession.CannotConnectToHost:             exitConnect,
	urlsession.NotConnectedToInternet:          exitConnect,
	urlsession.HTTPTooManyRedirects:            exitRedirects,
	urlsession.RedirectToNonExistentLocation:   exitRedirects,
	urlsession.BadServerResponse:               exitReply,
	urlsession.CannotParseResponse:             exitReply,
	urlsession.UserCancelledAuthentication:     exitLogin,
	urlsession.UserAuthenticationRequired:      exitLogin,
	urlsession.CannotDecodeRawData:             exitCoding,
	urlsession.CannotDecodeContentData:         exitCoding,
	urlsession.RequestBodyStreamExhausted:      exitRewind,
	urlsession.DataLengthExceedsMaximum:        exitSize,
	urlsession.SecureConnectionFailed:          exitTLS,
	urlsession.ServerCertificateHasBadDate:     exitPeer,
	urlsession.ServerCertificateUntrusted:      exitPeer,
	urlsession.ServerCertificateHasUnknownRoot: exitPeer,
	urlsession.ServerCertificateNotYetValid:    exitPeer,
	urlsession.ClientCertificateRejected:       exitAsked,
	urlsession.ClientCertificateRequired:       exitAsked,
	urlsession.CannotCreateFile:                exitWrite,
	urlsession.CannotOpenFile:                  exitWrite,
	urlsession.CannotCloseFile:                 exitWrite,
	urlsession.CannotWriteToFile:               exitWrite,
	urlsession.CannotRemoveFile:                exitWrite,
	urlsession.CannotMoveFile:                  exitWrite,

	urlsession.DownloadDecodingFailedMidStream:  exitCoding,
	urlsession.DownloadDecodingFailedToComplete: exitCoding,

	urlsession.AppTransportSecurityRequiresSecureConnection: exitPolicy,
}
