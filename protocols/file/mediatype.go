package file

import (
	"errors"
	"io"
	"mime"
	"os"
	"path/filepath"
	"strings"

	"github.com/gabriel-vasile/mimetype"
)

const sniffLength = 3 << 10 // bytes; the longest signature that is looked for is shorter

// mediaType is the type of a file without parameters: by its extension, or else
// by how it begins. It leaves the file's position where it is.
func mediaType(f *os.File) (string, error) {
	extension := strings.ToLower(filepath.Ext(f.Name()))
	if known, ok := commonTypes[extension]; ok {
		return known, nil
	}
	if known := mime.TypeByExtension(extension); known != "" {
		return essence(known), nil
	}
	head := make([]byte, sniffLength)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}

	return essence(mimetype.Detect(head[:n]).String()), nil
}

// essence is a media type without its parameters: a charset told by an extension,
// or by the first few bytes, would be a guess.
func essence(mediaType string) string {
	mediaType, _, _ = strings.Cut(mediaType, ";")

	return strings.ToLower(strings.TrimSpace(mediaType))
}

// commonTypes come before the system's own table, so that a common extension
// means the same everywhere (names as registered with IANA).
var commonTypes = map[string]string{
	".7z":     "application/x-7z-compressed",
	".aac":    "audio/aac",
	".avif":   "image/avif",
	".avi":    "video/x-msvideo",
	".bin":    "application/octet-stream",
	".bmp":    "image/bmp",
	".bz2":    "application/x-bzip2",
	".css":    "text/css",
	".csv":    "text/csv",
	".doc":    "application/msword",
	".docx":   "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	".eml":    "message/rfc822",
	".epub":   "application/epub+zip",
	".flac":   "audio/flac",
	".gif":    "image/gif",
	".go":     "text/plain",
	".gz":     "application/gzip",
	".heic":   "image/heic",
	".htm":    "text/html",
	".html":   "text/html",
	".ico":    "image/vnd.microsoft.icon",
	".ics":    "text/calendar",
	".iso":    "application/octet-stream",
	".jar":    "application/java-archive",
	".jpeg":   "image/jpeg",
	".jpg":    "image/jpeg",
	".js":     "text/javascript",
	".json":   "application/json",
	".jsonld": "application/ld+json",
	".log":    "text/plain",
	".m3u8":   "application/vnd.apple.mpegurl",
	".m4a":    "audio/mp4",
	".md":     "text/markdown",
	".mjs":    "text/javascript",
	".mov":    "video/quicktime",
	".mp3":    "audio/mpeg",
	".mp4":    "video/mp4",
	".mpeg":   "video/mpeg",
	".odp":    "application/vnd.oasis.opendocument.presentation",
	".ods":    "application/vnd.oasis.opendocument.spreadsheet",
	".odt":    "application/vnd.oasis.opendocument.text",
	".oga":    "audio/ogg",
	".ogg":    "audio/ogg",
	".ogv":    "video/ogg",
	".opus":   "audio/ogg",
	".otf":    "font/otf",
	".pdf":    "application/pdf",
	".png":    "image/png",
	".ppt":    "application/vnd.ms-powerpoint",
	".pptx":   "application/vnd.openxmlformats-officedocument.presentationml.presentation",
	".rtf":    "application/rtf",
	".sql":    "application/sql",
	".svg":    "image/svg+xml",
	".tar":    "application/x-tar",
	".tgz":    "application/gzip",
	".tif":    "image/tiff",
	".tiff":   "image/tiff",
	".toml":   "application/toml",
	".ttf":    "font/ttf",
	".txt":    "text/plain",
	".vcf":    "text/vcard",
	".vtt":    "text/vtt",
	".wasm":   "application/wasm",
	".wav":    "audio/vnd.wave",
	".weba":   "audio/webm",
	".webm":   "video/webm",
	".webp":   "image/webp",
	".woff":   "font/woff",
	".woff2":  "font/woff2",
	".xhtml":  "application/xhtml+xml",
	".xls":    "application/vnd.ms-excel",
	".xlsx":   "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	".xml":    "application/xml",
	".xz":     "application/x-xz",
	".yaml":   "application/yaml",
	".yml":    "application/yaml",
	".zip":    "application/zip",
	".zst":    "application/zstd",
}
