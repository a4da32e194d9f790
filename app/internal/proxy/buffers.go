// Package proxy is what apps share that forward requests.
package proxy

import "sync"

// Buffers saves each answer that httputil.ReverseProxy forwards a buffer of its own.
type Buffers struct {
	// Size is that of each, in bytes.
	Size int
	pool sync.Pool
}

// Get returns a buffer.
func (b *Buffers) Get() []byte {
	if buffer, ok := b.pool.Get().(*[]byte); ok {
		return *buffer
	}
	return make([]byte, b.Size)
}

// Put takes it back.
func (b *Buffers) Put(buffer []byte) { b.pool.Put(&buffer) }
