package cache

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

type (
	// keyHash stands for a key in file names; its first byte is the folder.
	keyHash [12]byte
	// variantHash stands for a variant in file names.
	variantHash [8]byte
	// generation is what all files of one stored body have in common. Create makes a
	// new one; Extend and Update keep it.
	generation [8]byte
)

const (
	headSuffix = ".head"
	bodySuffix = ".body"
	tempSuffix = ".temp" // a head that is being written
)

// What a name can tell, so that sums and the next instant do not overflow: the year
// 2116, and 32 TiB.
const (
	maxInstant = 1 << 62
	maxFiles   = 1 << 45
)

func hashKey(key string) keyHash {
	sum := sha256.Sum256([]byte(key))

	return keyHash(sum[:len(keyHash{})])
}

func hashVariant(variant string) variantHash {
	sum := sha256.Sum256([]byte(variant))

	return variantHash(sum[:len(variantHash{})])
}

func newGeneration() generation {
	var g generation
	_, _ = rand.Read(g[:]) // never fails

	return g
}

// entryID is the ID of an entry that is on disk.
func entryID(k keyHash, g generation) string {
	return string(hex.AppendEncode(hex.AppendEncode(make([]byte, 0, 40), k[:]), g[:]))
}

func parseID(id string) (k keyHash, g generation, ok bool) {
	ok = len(id) == 40 && decode(k[:], id[:24]) && decode(g[:], id[24:])

	return k, g, ok
}

// decode is hex.Decode for a string of the right length.
func decode(to []byte, from string) bool {
	if len(from) != 2*len(to) {
		return false
	}
	for i := range to {
		high, low := nibble(from[2*i]), nibble(from[2*i+1])
		if high > 15 || low > 15 {
			return false
		}
		to[i] = high<<4 | low
	}

	return true
}

func nibble(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	default:
		return 0xff
	}
}

// headName is the name of a head: key, variant, generation, when it was stored (in
// nanoseconds since 1970) and the bytes of all its files.
func headName(k keyHash, v variantHash, g generation, stored, size int64) string {
	b := make([]byte, 0, 112)
	b = hex.AppendEncode(b, k[:])
	b = hex.AppendEncode(append(b, '-'), v[:])
	b = hex.AppendEncode(append(b, '-'), g[:])
	b = strconv.AppendInt(append(b, '-'), stored, 16)
	b = strconv.AppendInt(append(b, '-'), size, 16)

	return string(append(b, headSuffix...))
}

// parseHeadName gives a head without its place in an index; nil: it is none.
func parseHeadName(name string) *head {
	fields := strings.Split(strings.TrimSuffix(name, headSuffix), "-")
	if len(fields) != 5 {
		return nil
	}
	h := &head{name: name}
	if !decode(h.key[:], fields[0]) || !decode(h.variant[:], fields[1]) || !decode(h.generation[:], fields[2]) {
		return nil
	}
	var err1, err2 error
	h.stored, err1 = strconv.ParseInt(fields[3], 16, 64)
	h.size, err2 = strconv.ParseInt(fields[4], 16, 64)
	if err1 != nil || err2 != nil || h.stored < 0 || h.size < 0 || h.stored > maxInstant || h.size > maxFiles ||
		headName(h.key, h.variant, h.generation, h.stored, h.size) != name {
		return nil
	}

	return h
}

// newName is the name of another file of a generation.
func newName(g generation, suffix string) string {
	return hex.EncodeToString(g[:]) + "-" + rand.Text() + suffix
}

// parseName tells the generation of a file that newName named.
func parseName(name, suffix string) (g generation, ok bool) {
	digits, text, found := strings.Cut(strings.TrimSuffix(name, suffix), "-")
	ok = found && len(text) == 26 && strings.HasSuffix(name, suffix) && decode(g[:], digits)

	return g, ok
}

var lastInstant atomic.Int64

// instant is the time in nanoseconds since 1970, and later than every other
// instant of this process, also where the clock is coarse or is set back.
func instant() int64 {
	now := time.Now().UnixNano()
	for {
		last := lastInstant.Load()
		if now <= last {
			now = last + 1
		}
		if lastInstant.CompareAndSwap(last, now) {
			return now
		}
	}
}
