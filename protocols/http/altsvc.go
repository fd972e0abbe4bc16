package http

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/urlkit/urlkit/protocols"
)

const (
	// defaultMaxAge is how long an alternative service is valid that does not say
	// (RFC 7838 §3.1).
	defaultMaxAge = 24 * time.Hour
	// longestMaxAge bounds what is believed.
	longestMaxAge = 365 * 24 * time.Hour
	// maxServices bounds what one origin can name.
	maxServices = 8
	// altSvcRefresh is how old a field may be before the same one is stored anew.
	altSvcRefresh = time.Minute
	// maxOrigins bounds what is remembered of origins.
	maxOrigins = 1024
)

var errAltSvc = errors.New("malformed Alt-Svc field")

// parseAltSvc reads the values of Alt-Svc (RFC 7838 §3), which together replace
// what was known of the origin. Services of unknown protocols are among the result;
// "clear" gives none.
func parseAltSvc(values []string, now time.Time) ([]protocols.AlternativeService, error) {
	var services []protocols.AlternativeService
	now = now.Round(0) // what expires does so by the clock on the wall
	for _, value := range values {
		if strings.TrimFunc(value, isBlank) == "clear" { // in this case only
			return nil, nil
		}
		s := scanner{text: value}
		for s.skip(); !s.end(); s.skip() {
			if s.take(',') { // an empty element of a list (RFC 9110 §5.6.1)
				continue
			}
			service, err := s.alternative(now)
			if err != nil {
				return nil, err
			}
			if s.skip(); !s.end() && !s.take(',') {
				return nil, errAltSvc
			}
			if len(services) < maxServices {
				services = append(services, service)
			}
		}
	}

	return services, nil
}

// scanner reads the value of a field.
type scanner struct {
	text string
	at   int
}

func isBlank(r rune) bool { return r == ' ' || r == '\t' }

func (s *scanner) end() bool { return s.at == len(s.text) }

func (s *scanner) skip() {
	for !s.end() && isBlank(rune(s.text[s.at])) {
		s.at++
	}
}

func (s *scanner) take(c byte) bool {
	if s.end() || s.text[s.at] != c {
		return false
	}
	s.at++

	return true
}

// token reads a token (RFC 9110 §5.6.2); "": there is none.
func (s *scanner) token() string {
	from := s.at
	for !s.end() && isTokenByte(s.text[s.at]) {
		s.at++
	}

	return s.text[from:s.at]
}

func isTokenByte(c byte) bool {
	letter := 'a' <= c|0x20 && c|0x20 <= 'z'

	return letter || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// quoted reads a quoted string (RFC 9110 §5.6.4).
func (s *scanner) quoted() (string, bool) {
	if !s.take('"') {
		return "", false
	}
	var text strings.Builder
	for !s.end() {
		c := s.text[s.at]
		s.at++
		switch {
		case c == '"':
			return text.String(), true
		case c == '\\' && !s.end():
			c = s.text[s.at]
			s.at++
		}
		if c < ' ' && c != '\t' || c == 0x7f {
			return "", false
		}
		text.WriteByte(c)
	}

	return "", false
}

// alternative reads an alternative and its parameters.
func (s *scanner) alternative(now time.Time) (protocols.AlternativeService, error) {
	service := protocols.AlternativeService{Expires: now.Add(defaultMaxAge)}
	name := s.token()
	if name == "" || !s.take('=') {
		return service, errAltSvc
	}
	var ok bool
	if service.Protocol, ok = percentDecoded(name); !ok {
		return service, errAltSvc
	}
	authority, ok := s.quoted()
	if !ok || !setAuthority(&service, authority) {
		return service, errAltSvc
	}
	for s.skip(); s.take(';'); s.skip() {
		s.skip()
		parameter := s.token()
		if parameter == "" || !s.take('=') {
			return service, errAltSvc
		}
		value := s.token()
		if value == "" {
			if value, ok = s.quoted(); !ok {
				return service, errAltSvc
			}
		}
		switch strings.ToLower(parameter) {
		case "ma":
			seconds, ok := deltaSeconds(value)
			if !ok {
				return service, errAltSvc
			}
			service.Expires = now.Add(seconds)
		case "persist":
			service.Persist = value == "1"
		}
	}

	return service, nil
}

// deltaSeconds reads a number of seconds of any length (RFC 9111 §1.2.2).
func deltaSeconds(text string) (time.Duration, bool) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n > int64(longestMaxAge/time.Second) {
		return longestMaxAge, true
	}

	return time.Duration(n) * time.Second, true
}

// percentDecoded is an ALPN name as an octet string (RFC 7838 §3).
func percentDecoded(name string) (string, bool) {
	if !strings.Contains(name, "%") {
		return name, true
	}
	var text strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] != '%' {
			text.WriteByte(name[i])

			continue
		}
		if i+2 >= len(name) {
			return "", false
		}
		n, err := strconv.ParseUint(name[i+1:i+3], 16, 8)
		if err != nil {
			return "", false
		}
		text.WriteByte(byte(n))
		i += 2
	}

	return text.String(), true
}

// setAuthority reads [ uri-host ] ":" port.
func setAuthority(service *protocols.AlternativeService, authority string) bool {
	i := strings.LastIndexByte(authority, ':')
	if i < 0 {
		return false
	}
	host, digits := strings.ToLower(authority[:i]), authority[i+1:]
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || port == 0 || len(host) > 253 || strings.ContainsFunc(host, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`/\@?#"%`, r)
	}) {
		return false
	}
	if n := len(host); n > 1 && host[0] == '[' && host[n-1] == ']' {
		host = host[1 : n-1]
	} else if strings.ContainsAny(host, ":[]") {
		return false
	}
	service.Host, service.Port = host, uint16(port)

	return true
}

// memory is the store of alternative services where the session has no other.
type memory struct {
	mu      sync.Mutex
	origins map[string][]protocols.AlternativeService
}

func (m *memory) Services(key string) []protocols.AlternativeService {
	m.mu.Lock()
	defer m.mu.Unlock()

	return slices.DeleteFunc(slices.Clone(m.origins[key]), func(s protocols.AlternativeService) bool {
		return !time.Now().Before(s.Expires)
	})
}

func (m *memory) StoreServices(key string, services []protocols.AlternativeService) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(services) == 0 {
		delete(m.origins, key)

		return
	}
	if m.origins == nil {
		m.origins = make(map[string][]protocols.AlternativeService)
	}
	if _, known := m.origins[key]; !known && len(m.origins) >= maxOrigins {
		for other := range m.origins { // any: what it said is said again
			delete(m.origins, other)

			break
		}
	}
	m.origins[key] = services
}

func (m *memory) PathChanged() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, services := range m.origins {
		kept := slices.DeleteFunc(slices.Clone(services), func(s protocols.AlternativeService) bool { return !s.Persist })
		if len(kept) == 0 {
			delete(m.origins, key)
		} else {
			m.origins[key] = kept
		}
	}
}
