//go:build urlkit_nohttp3

package http

import (
	"context"
	"errors"
	"io"
)

// builtHTTP3: the tag urlkit_nohttp3 leaves HTTP/3 and quic-go out.
const builtHTTP3 = false

type http3State struct{}

func (*http3State) init(*Config) {}

func (*pool) connect3(context.Context, *attempt) (*conn, error) { return nil, errors.ErrUnsupported }

func (*pool) migrate(*conn) {}

func unsent3(error) bool { return false }

func (*exchange) classify3(err error) error { return err }

func (*exchange) bodyFailure3(err error) error { return err }

func halfFrame(io.ReadCloser) bool { return false }
