module github.com/urlkit/urlkit/bench

go 1.26.0

replace github.com/urlkit/urlkit => ../

require (
	github.com/go-resty/resty/v2 v2.17.2
	github.com/quic-go/quic-go v0.65.0
	github.com/urlkit/urlkit v0.0.0-00010101000000-000000000000
)

require (
	github.com/andybalholm/brotli v1.2.8 // indirect
	github.com/gabriel-vasile/mimetype v1.4.16 // indirect
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/quic-go/qpack v0.6.0 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/sys v0.50.0 // indirect
	golang.org/x/text v0.43.0 // indirect
)
