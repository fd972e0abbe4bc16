package engine

import "sync"

// kept is what a Task keeps of the bodies of one hop: their beginnings.
type kept struct {
	limit int

	mu                sync.Mutex
	request, response []byte
}

// begin forgets what was sent before: the body is sent anew, from offset.
func (k *kept) begin(offset int64) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.request = k.request[:min(int64(len(k.request)), offset)]
}

// sent keeps a piece of the request's body, and received one of the response's.
func (k *kept) sent(p []byte) {
	if k != nil {
		k.add(&k.request, p)
	}
}

func (k *kept) received(p []byte) {
	if k != nil {
		k.add(&k.response, p)
	}
}

func (k *kept) add(to *[]byte, p []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	*to = append(*to, p[:min(len(p), k.limit-len(*to))]...)
}

// bodies gives what was kept.
func (k *kept) bodies() (request, response []byte) {
	if k == nil {
		return nil, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()

	return k.request, k.response
}
