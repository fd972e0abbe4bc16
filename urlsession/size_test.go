package urlsession

import (
	"testing"
	"unsafe"
)

// TestTaskSize holds a task that waits, which is its struct and little else, to
// 1 KiB.
func TestTaskSize(t *testing.T) {
	const most = 1 << 10
	for name, size := range map[string]uintptr{
		"DataTask":     unsafe.Sizeof(DataTask{}),
		"UploadTask":   unsafe.Sizeof(UploadTask{}),
		"DownloadTask": unsafe.Sizeof(DownloadTask{}),
	} {
		t.Logf("%s: %d bytes", name, size)
		if size > most {
			t.Errorf("%s has %d bytes, want at most %d", name, size, most)
		}
	}
}
