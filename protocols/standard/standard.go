// Package standard lists the built-in protocols, in the order in which a session
// asks them.
package standard

import (
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/protocols/data"
	"github.com/urlkit/urlkit/protocols/file"
	"github.com/urlkit/urlkit/protocols/http"
)

// Config holds the settings of the built-in protocols. The zero value works.
type Config struct {
	// File is for the scheme file.
	File file.Config
	// HTTP is for the schemes http and https.
	HTTP http.Config
}

// Schemes are the built-in schemes: data, file, http and https.
func Schemes(c Config) []protocols.Scheme {
	schemes := data.Schemes()
	schemes = append(schemes, file.Schemes(c.File)...)

	return append(schemes, http.Schemes(c.HTTP)...)
}
