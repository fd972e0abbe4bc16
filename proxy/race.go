package proxy

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// attempt is how one connection attempt ended.
type attempt struct {
	conn net.Conn
	err  error
}

// race starts an attempt for each address, the next when FallbackDelay has gone
// by or the last one failed (RFC 8305 §5). The first connection wins. It
// returns when every attempt has ended: they end promptly once cancelled, so
// nothing outlives the dial.
func (d *Dialer) race(ctx context.Context, p Parameters, network string, addrs []netip.AddrPort) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	delay := d.FallbackDelay
	if delay == 0 {
		delay = defaultFallbackDelay
	}
	timer := time.NewTimer(0) // the first attempt starts at once
	defer timer.Stop()
	ended := make(chan attempt)
	var winner net.Conn
	var failed attemptErrors
	for next, running := 0, 0; running > 0 || winner == nil && next < len(addrs) && ctx.Err() == nil; {
		select {
		case <-timer.C:
			if winner == nil && next < len(addrs) && ctx.Err() == nil {
				go func(addr netip.AddrPort) {
					conn, err := d.dialOne(ctx, p, network, addr)
					ended <- attempt{conn, err}
				}(addrs[next])
				next++
				running++
				timer.Reset(delay)
			}
		case a := <-ended:
			running--
			switch {
			case a.err != nil:
				failed = append(failed, a.err)
				timer.Reset(0)
			case winner == nil:
				winner = a.conn
				cancel()
			default:
				_ = a.conn.Close()
			}
		}
	}
	if winner != nil {
		return winner, nil
	}

	return nil, failed.orElse(ctx.Err())
}

// sequence tries one address after another. Each gets an equal share of the time
// that is left, so that one that swallows packets does not starve the rest.
func (d *Dialer) sequence(ctx context.Context, p Parameters, network string, addrs []netip.AddrPort) (net.Conn, error) {
	var failed attemptErrors
	for i, addr := range addrs {
		conn, err := d.dialShare(ctx, p, network, addr, len(addrs)-i)
		if err == nil {
			return conn, nil
		}
		failed = append(failed, err)
		if ctx.Err() != nil {
			break
		}
	}

	return nil, failed.orElse(ctx.Err())
}

// dialShare makes one attempt within 1/shares of the time that ctx leaves.
func (d *Dialer) dialShare(ctx context.Context, p Parameters, network string, addr netip.AddrPort, shares int) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok && shares > 1 {
		var cancel context.CancelFunc
		share := time.Until(deadline) / time.Duration(shares)
		ctx, cancel = context.WithTimeoutCause(ctx, share, errConnectTimeout)
		defer cancel()
	}

	return d.dialOne(ctx, p, network, addr)
}
