package engine

import (
	"crypto/sha256"
	"crypto/x509"
	"sync"
	"sync/atomic"

	"github.com/urlkit/urlkit/protocols"
)

// vouched are the servers whose certificates the evaluation refused and the app
// accepted. What comes from them is for this session's loads: others that share its
// cache have not accepted them.
type vouched struct {
	any atomic.Bool

	mu     sync.Mutex
	leaves map[[sha256.Size]byte]struct{}
	all    bool // too many were accepted to tell them apart
}

// maxVouched bounds them, should an app accept whatever it is asked.
const maxVouched = 4096

func (v *vouched) add(leaf *x509.Certificate) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.leaves == nil {
		v.leaves = make(map[[sha256.Size]byte]struct{})
	}
	if v.all = v.all || len(v.leaves) >= maxVouched; !v.all {
		v.leaves[sha256.Sum256(leaf.Raw)] = struct{}{}
	}
	v.any.Store(true)
}

// has tells whether a response came from such a server.
func (v *vouched) has(resp *protocols.Response) bool {
	if !v.any.Load() || resp.Conn == nil || resp.Conn.TLS == nil || len(resp.Conn.TLS.PeerCertificates) == 0 {
		return false
	}
	leaf := sha256.Sum256(resp.Conn.TLS.PeerCertificates[0].Raw)
	v.mu.Lock()
	defer v.mu.Unlock()
	_, ok := v.leaves[leaf]

	return ok || v.all
}
