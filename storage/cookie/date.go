package cookie

import (
	"strconv"
	"strings"
	"time"
)

// months are the names that RFC 6265bis §5.1.1 knows a month by.
const months = "janfebmaraprmayjunjulaugsepoctnovdec"

// parseDate is the algorithm of RFC 6265bis §5.1.1: it looks for a time, a day, a
// month and a year in any order, and so reads RFC 1123, RFC 850, asctime and
// what lies between.
func parseDate(s string) (time.Time, bool) {
	var hour, minute, second, day, month, year int
	var hasTime, hasDay, hasMonth, hasYear bool
	for _, token := range strings.FieldsFunc(s, isDateDelimiter) {
		if !hasTime {
			if hour, minute, second, hasTime = clockTime(token); hasTime {
				continue
			}
		}
		if !hasDay {
			if day, hasDay = leadingNumber(token, 1, 2); hasDay {
				continue
			}
		}
		if !hasMonth {
			if month, hasMonth = monthOf(token); hasMonth {
				continue
			}
		}
		if !hasYear {
			year, hasYear = leadingNumber(token, 2, 4)
		}
	}
	switch {
	case 70 <= year && year <= 99:
		year += 1900
	case 0 <= year && year <= 69:
		year += 2000
	}
	if !hasTime || !hasDay || !hasMonth || !hasYear || year < 1601 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)

	return t, t.Day() == day // a day that the month lacks has moved to another
}

func isDateDelimiter(r rune) bool {
	return r == '\t' || ' ' <= r && r <= '/' || ';' <= r && r <= '@' || '[' <= r && r <= '`' || '{' <= r && r <= '~'
}

// leadingNumber reads a number of least to most digits, with anything but a
// digit after it.
func leadingNumber(token string, least, most int) (int, bool) {
	n := 0
	for n < len(token) && '0' <= token[n] && token[n] <= '9' {
		n++
	}
	if n < least || n > most {
		return 0, false
	}
	v, err := strconv.Atoi(token[:n])

	return v, err == nil
}

// clockTime reads "h:m:s", with anything but a digit after it.
func clockTime(token string) (hour, minute, second int, ok bool) {
	h, rest, found := strings.Cut(token, ":")
	m, s, found2 := strings.Cut(rest, ":")
	if !found || !found2 || strings.Trim(h+m, "0123456789") != "" {
		return 0, 0, 0, false
	}
	hour, okH := leadingNumber(h, 1, 2)
	minute, okM := leadingNumber(m, 1, 2)
	second, okS := leadingNumber(s, 1, 2)

	return hour, minute, second, okH && okM && okS
}

func monthOf(token string) (int, bool) {
	if len(token) < 3 {
		return 0, false
	}
	i := strings.Index(months, strings.ToLower(token[:3]))

	return i/3 + 1, i >= 0 && i%3 == 0
}
