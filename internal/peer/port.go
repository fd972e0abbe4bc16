package peer

import (
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"testing"
	"time"
)

// freePort returns a port that, like the ones after it, is free on 127.0.0.1 in TCP and UDP and is not in taken. It
// lies below the range from which systems take the ports of outgoing connections, so that none takes it meanwhile.
func freePort(t testing.TB, after int, taken []int) int {
	t.Helper()
	const low, high, tries = 10000, 30000, 200
	for range tries {
		port := low + rand.IntN(high-low)
		free := true
		for p := port; p <= port+after && free; p++ {
			free = !slices.Contains(taken, p) && !takenTCP(p) && !takenUDP(p)
		}
		if free {
			return port
		}
	}
	t.Fatalf("found no free port between %d and %d", low, high)

	return 0
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// answersTCP says whether something takes connections on the port.
func answersTCP(port int) bool {
	conn, err := net.DialTimeout("tcp", loopback(port), time.Second)
	if err != nil {
		return false
	}
	conn.Close()

	return true
}

// takenTCP says whether the port cannot be listened on.
func takenTCP(port int) bool {
	l, err := net.Listen("tcp", loopback(port))
	if err != nil {
		return true
	}
	l.Close()

	return false
}

// takenUDP says whether the port cannot be bound.
func takenUDP(port int) bool {
	c, err := net.ListenPacket("udp", loopback(port))
	if err != nil {
		return true
	}
	c.Close()

	return false
}
